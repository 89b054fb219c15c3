"""Measures training steps and the input pipeline against stock Keras and plain tf.data, alternating, in one run.

    make benchmark          # or: python experiments/benchmark.py --output=docs/benchmarks/step_time.json

Three questions: what a step of a mixed regime costs beside a step of stock Keras `fit` at the base size, per pixel; how far
apart the steps of the different buckets are; and how many images per second the in-memory pipeline makes beside a plain
tf.data pipeline with the same augmentation. Each is a ratio of figures taken in turns, with its quartiles.
"""

import json
import pathlib
import statistics
import time
import warnings

import keras
import numpy as np
import rich.table
import tensorflow as tf
from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import console, replace_file, versions

MODEL = flags.DEFINE_enum("model", "resnet14", kms.models.names(), "Network of the step times.")
ROUNDS = flags.DEFINE_integer("rounds", 9, "Turns of each measurement.", lower_bound=3)
STEPS = flags.DEFINE_integer("steps", 46, "Steps in a turn.", lower_bound=2)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark.json", "File for the figures.")


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


def compiled(model: keras.Model) -> keras.Model:
    """Return the model compiled as in the demo."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    return model


def network() -> keras.Model:
    """Return a fresh network."""
    return kms.models.build(MODEL.value, classes=10, channels=1)


def plain_pipeline(source: kms.sources.ArraySource, batch: int) -> tf.data.Dataset:
    """Return what people write by hand: shuffle, then pad, crop and flip each image, then batch."""

    def augment(image, label):
        image = tf.image.convert_image_dtype(image, tf.float32)
        image = tf.image.random_crop(tf.pad(image, [[4, 4], [4, 4], [0, 0]]), [32, 32, 1])
        return tf.image.random_flip_left_right(image), label

    examples = tf.data.Dataset.from_tensor_slices((source.images, source.labels))
    examples = examples.shuffle(source.num_examples).repeat().map(augment, tf.data.AUTOTUNE)
    return examples.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def measure_steps(source: kms.sources.ArraySource) -> dict:
    """Return step times of stock Keras and of each regime, in turns."""
    regimes = {name: kms.Regime.preset(f"small/{name}") for name in ("baseline", "b+", "d+")}
    datasets = {name: kms.MixSizeDataset.from_source(source, regime=regime) for name, regime in regimes.items()}
    stock, stock_data = compiled(network()), plain_pipeline(source, 64)
    models = {name: compiled(kms.MixSizeModel.from_model(network())) for name in regimes}
    for name, model in models.items():
        model.warm_up(regimes[name])
    timer, times = StepTimes(), {"stock": [], **{name: [] for name in regimes}}
    buckets = {name: {} for name in regimes}
    options = {"steps_per_epoch": STEPS.value, "verbose": 0, "shuffle": False, "callbacks": [timer]}
    for turn in range(ROUNDS.value + 1):
        stock.fit(stock_data, **options)
        times["stock"].append(timer.milliseconds().mean())
        for name, model in models.items():
            first = model.position
            model.fit(datasets[name], **options)
            steps = [datasets[name].plan.at(step).bucket for step in range(first + 1, model.position)]
            cost = np.mean([bucket.cost for bucket in steps]) / regimes[name].base.cost
            times[name].append(timer.milliseconds().mean() / cost)
            for bucket, milliseconds in zip(steps, timer.milliseconds()):
                buckets[name].setdefault(bucket.size, []).append(milliseconds * regimes[name].base.cost / bucket.cost)
        console.print(f"turn {turn}: " + ", ".join(f"{name} {values[-1]:.1f}" for name, values in times.items()))
    times = {name: values[1:] for name, values in times.items()}  # the first turn warms up
    return {
        "ms_per_step_at_base_cost": {name: quartiles(values) for name, values in times.items()},
        "ratio_to_stock": {name: quartiles(np.divide(times[name], times["stock"])) for name in regimes},
        "ms_at_base_cost_by_size": {
            name: {str(size): quartiles(values) for size, values in sorted(sizes.items())}
            for name, sizes in buckets.items()
        },
    }


def measure_pipeline(source: kms.sources.ArraySource) -> dict:
    """Return images per second of the pipelines alone, in turns."""
    pipelines = {"plain tf.data": plain_pipeline(source, 64)}
    for name in ("baseline", "b+", "d+"):
        regime = kms.Regime.preset(f"small/{name}")
        pipelines[name] = kms.MixSizeDataset.from_source(source, regime=regime, augmentation=kms.PadCropFlip(4))
    rates = {name: [] for name in pipelines}
    for turn in range(ROUNDS.value + 1):
        for name, pipeline in pipelines.items():
            iterator = iter(pipeline)
            for _ in range(20):
                next(iterator)
            start, images = time.perf_counter(), 0
            for _ in range(200):
                images += next(iterator)[0].shape[0]
            if turn:
                rates[name].append(images / (time.perf_counter() - start))
    plain = rates["plain tf.data"]
    return {
        "images_per_second": {name: quartiles(values) for name, values in rates.items()},
        "ratio_to_plain": {name: quartiles(np.divide(rates[name], plain)) for name in rates if name != "plain tf.data"},
    }


def quartiles(values) -> list[float]:
    """Return [first quartile, median, third quartile]."""
    return [round(float(value), 4) for value in statistics.quantiles(values, n=4, method="inclusive")]


def show(title: str, rows: dict) -> None:
    """Print medians with their quartiles."""
    table = rich.table.Table("", "median", "quartiles", title=title)
    for name, (low, median, high) in rows.items():
        table.add_row(name, f"{median:,.3f}", f"{low:,.3f} to {high:,.3f}")
    console.print(table)


def main(_):
    warnings.filterwarnings("ignore", message="`shuffle=True` was passed")
    source = kms.sources.fashion_mnist("train")
    pipeline, steps = measure_pipeline(source), measure_steps(source)
    show("images per second, pipeline alone", pipeline["images_per_second"])
    show("pipeline: ratio to plain tf.data", pipeline["ratio_to_plain"])
    show(f"{MODEL.value}: ms per step at the base's cost", steps["ms_per_step_at_base_cost"])
    show("step: ratio to stock Keras fit at 32 px", steps["ratio_to_stock"])
    for name, rows in steps["ms_at_base_cost_by_size"].items():
        show(f"{name}: ms per step at the base's cost, by size", rows)
    settings = {"model": MODEL.value, "rounds": ROUNDS.value, "steps_per_turn": STEPS.value}
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    replace_file(
        output, json.dumps({**settings, "versions": versions(), "pipeline": pipeline, "steps": steps}, indent=1)
    )
    console.print(f"figures in {output}")


if __name__ == "__main__":
    app.run(main)
