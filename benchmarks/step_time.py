"""Measures training steps and the input pipeline against stock Keras and plain tf.data, alternating, in one run.

    make benchmark          # or: python benchmarks/step_time.py --output=docs/benchmarks/step_time.json

Three questions: what a step of a mixed regime costs beside a step of stock Keras `fit` at the base size, per pixel; how
far apart the steps of the different buckets are; and how many images per second the in-memory pipeline makes beside a
plain tf.data pipeline with the same augmentation. Each is a ratio of figures taken in turns, with its quartiles.
"""

import functools
import itertools
import time
import warnings
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from measuring import Spread, alternate, ratios, say_turn, show_spreads, write_results
from step_contenders import compiled, mixed

import keras_mixsize as kms

MODEL = flags.DEFINE_enum("model", "resnet14", kms.models.names(), "Network of the step times.")
ROUNDS = flags.DEFINE_integer("rounds", 9, "Turns of each measurement.", lower_bound=3)
STEPS = flags.DEFINE_integer("steps", 46, "Steps in a turn.", lower_bound=2)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark.json", "File for the figures.")
REGIMES = {name: kms.Regime.preset(f"small/{name}") for name in ("baseline", "b+", "d+")}
PLAIN = "plain tf.data"


class StepTimes(keras.callbacks.Callback):
    """Records when each step ended."""

    def on_train_begin(self, logs=None):
        """Start a turn."""
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        """Note the time."""
        self.ends.append(time.perf_counter())

    def milliseconds(self) -> np.ndarray:
        """Return the time of each step but the first, which waits for the pipeline to start."""
        return 1000 * np.diff(self.ends)


def plain_pipeline(source: kms.sources.ArraySource, batch: int) -> tf.data.Dataset:
    """Return what people write by hand: shuffle, then pad, crop and flip each image, then batch."""

    def augment(image, label):
        image = tf.image.convert_image_dtype(image, tf.float32)
        image = tf.image.random_crop(tf.pad(image, [[4, 4], [4, 4], [0, 0]]), [32, 32, 1])
        return tf.image.random_flip_left_right(image), label

    examples = tf.data.Dataset.from_tensor_slices((source.images, source.labels))
    examples = examples.shuffle(source.num_examples).repeat().map(augment, tf.data.AUTOTUNE)
    return examples.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


# Steps


class Step(NamedTuple):
    """A step that was timed; the cost is relative to the base's."""

    size: int
    cost: float
    milliseconds: float


def fit_steps(model: keras.Model, data) -> np.ndarray:
    """Return the milliseconds of each step of one turn of `fit`, but the first."""
    timer = StepTimes()
    model.fit(data, steps_per_epoch=STEPS.value, verbose=0, shuffle=False, callbacks=[timer])
    return timer.milliseconds()


def mixed_steps(model: kms.MixSizeModel, data: kms.MixSizeDataset) -> list[Step]:
    """Return the steps of one turn of `fit`, but the first."""
    first, taken = model.position, fit_steps(model, data)
    buckets = [data.plan.at(step).bucket for step in range(first + 1, model.position)]
    base = data.plan.regime.base
    return [Step(bucket.size, bucket.cost / base.cost, time) for bucket, time in zip(buckets, taken)]


def at_base_cost(turn: list[Step]) -> float:
    """Return the mean milliseconds of a turn's steps, had they the base's cost."""
    return sum(step.milliseconds for step in turn) / sum(step.cost for step in turn)


def say_means(number: int, turn: dict) -> None:
    """Print the mean milliseconds of a turn's steps."""
    say_turn(number, {name: at_base_cost(turn[name]) if name in REGIMES else turn[name].mean() for name in turn})


def by_size(turns: list[list[Step]]) -> dict[str, Spread]:
    """Return the milliseconds of the steps of each size, each divided by its cost."""
    found = {}
    for step in itertools.chain.from_iterable(turns):
        found.setdefault(step.size, []).append(step.milliseconds / step.cost)
    return {str(size): Spread.quartiles(values) for size, values in sorted(found.items())}


def measure_steps(source: kms.sources.ArraySource) -> dict:
    """Return step times of stock Keras and of each regime, in turns."""
    stock = compiled(kms.models.build(MODEL.value, classes=10, channels=1))
    contenders = {"stock": functools.partial(fit_steps, stock, plain_pipeline(source, 64))}
    for name, regime in REGIMES.items():
        model = mixed(MODEL.value, l2=0.0)
        model.warm_up(regime)
        contenders[name] = functools.partial(mixed_steps, model, kms.MixSizeDataset.from_source(source, regime=regime))
    turns = alternate(contenders, ROUNDS.value, warm_up=1, watch=say_means)
    times = {name: [at_base_cost(turn) for turn in turns[name]] for name in REGIMES}
    times = {"stock": [turn.mean() for turn in turns["stock"]], **times}
    return {
        "ms_per_step_at_base_cost": {name: Spread.quartiles(values) for name, values in times.items()},
        "ratio_to_stock": {name: ratios(times[name], times["stock"]) for name in REGIMES},
        "ms_at_base_cost_by_size": {name: by_size(turns[name]) for name in REGIMES},
    }


# The input pipeline


def images_per_second(pipeline) -> float:
    """Return the rate of 200 batches, after 20 that fill the buffers."""
    iterator = iter(pipeline)
    for _ in range(20):
        next(iterator)
    start = time.perf_counter()
    images = sum(next(iterator)[0].shape[0] for _ in range(200))
    return images / (time.perf_counter() - start)


def measure_pipeline(source: kms.sources.ArraySource) -> dict:
    """Return images per second of the pipelines alone, in turns."""
    pipelines = {PLAIN: plain_pipeline(source, 64)}
    for name, regime in REGIMES.items():
        pipelines[name] = kms.MixSizeDataset.from_source(source, regime=regime, augmentation=kms.PadCropFlip(4))
    contenders = {name: functools.partial(images_per_second, pipeline) for name, pipeline in pipelines.items()}
    rates = alternate(contenders, ROUNDS.value, warm_up=1)
    return {
        "images_per_second": {name: Spread.quartiles(values) for name, values in rates.items()},
        "ratio_to_plain": {name: ratios(rates[name], rates[PLAIN]) for name in REGIMES},
    }


def show(pipeline: dict, steps: dict) -> None:
    """Print all medians with their quartiles."""
    show_spreads("images per second, pipeline alone", pipeline["images_per_second"])
    show_spreads("pipeline: ratio to plain tf.data", pipeline["ratio_to_plain"])
    show_spreads(f"{MODEL.value}: ms per step at the base's cost", steps["ms_per_step_at_base_cost"])
    show_spreads("step: ratio to stock Keras fit at 32 px", steps["ratio_to_stock"])
    for name, rows in steps["ms_at_base_cost_by_size"].items():
        show_spreads(f"{name}: ms per step at the base's cost, by size", rows)


def main(_):
    warnings.filterwarnings("ignore", message="`shuffle=True` was passed")
    source = kms.sources.fashion_mnist("train")
    pipeline, steps = measure_pipeline(source), measure_steps(source)
    show(pipeline, steps)
    settings = {"model": MODEL.value, "rounds": ROUNDS.value, "steps_per_turn": STEPS.value}
    write_results(OUTPUT.value, {**settings, "pipeline": pipeline, "steps": steps})


if __name__ == "__main__":
    app.run(main)
