"""Times small steps one by one and k in a call, ours beside stock Keras's, in turns.

    python benchmarks/steps_per_call.py --output=docs/benchmarks/steps_per_call.json

The batches lie in memory and are all of one shape, so that what differs is the step and the way to it. Wall time says
what a user waits, but on a shared machine also what others do; CPU time, of all threads, is what a step costs.
"""

import keras
import measuring
import numpy as np
import tensorflow as tf
from absl import app, flags
from measuring import Spread, alternate, ratios
from step_contenders import Milliseconds, compiled, milliseconds, mixed

import keras_mixsize as kms

MODEL = flags.DEFINE_enum("model", "resnet14", kms.models.names(), "Network.")
SIZE = flags.DEFINE_integer("size", 16, "Side of the images in pixels.", lower_bound=8)
BATCH = flags.DEFINE_integer("batch", 64, "Images in a step.", lower_bound=2)
STEPS = flags.DEFINE_integer("steps", 10, "Steps in a call, beside single ones.", lower_bound=2)
CALLS = flags.DEFINE_integer("calls", 4, "Calls of several steps in a turn.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 9, "Turns of each measurement.", lower_bound=3)
OUTPUT = flags.DEFINE_string("output", "runs/steps_per_call.json", "File for the figures.")


def source() -> kms.sources.ArraySource:
    """Return images of the size, as many as a step takes."""
    images = np.random.default_rng(0).integers(0, 256, [BATCH.value, SIZE.value, SIZE.value, 1], np.uint8)
    return kms.sources.ArraySource(images, np.arange(BATCH.value) % 10)


class Contender:
    """A model's steps, of which so many are one call."""

    def __init__(self, model: keras.Model, data, steps: int):
        model.fit(data, steps_per_epoch=2 * steps, verbose=0, shuffle=False)  # traces
        self.model, self.calls = model, CALLS.value * STEPS.value // steps
        self.batches = iter(tf.data.Dataset.from_tensors(next(iter(data))).repeat().apply(forget_shapes))

    def run(self) -> Milliseconds:
        """Return what a step took."""
        return milliseconds(self.model, self.batches, self.calls)


def forget_shapes(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return the batches as a plan gives them, with sides that are known when they are there."""
    spec = (tf.TensorSpec([None, None, None, 1]), tf.TensorSpec([None], tf.int64))
    empty = tf.data.Dataset.from_generator(lambda: iter(()), output_signature=spec)
    return empty.concatenate(batches)


def contenders() -> dict[str, Contender]:
    """Return stock Keras and ours, one step and several in a call."""
    data = kms.MixSizeDataset.from_source(source(), regime=kms.Regime.fixed(SIZE.value, BATCH.value))
    found = {}
    for steps in (1, STEPS.value):
        stock = compiled(kms.models.build(MODEL.value, classes=10, channels=1), rate=1e-4, steps_per_execution=steps)
        ours = compiled(mixed(MODEL.value), rate=1e-4, steps_per_execution=steps)
        bare = kms.models.build(MODEL.value, classes=10, channels=1)
        bare = compiled(kms.MixSizeModel.from_model(bare, smoothing=None), rate=1e-4, steps_per_execution=steps)
        named = {"stock": stock, "ours": ours, "ours without smoothing and decay": bare}
        found |= {f"{name}, {steps} a call": Contender(model, data, steps) for name, model in named.items()}
    return found


def main(_):
    turns = alternate({name: contender.run for name, contender in contenders().items()}, ROUNDS.value, warm_up=1)
    facts = {"model": MODEL.value, "size": SIZE.value, "batch": BATCH.value, "rounds": ROUNDS.value}
    for index, clock in enumerate(("wall", "cpu")):
        taken = {name: [turn[index] for turn in values] for name, values in turns.items()}
        facts[f"{clock}_ms_per_step"] = {name: Spread.quartiles(values) for name, values in taken.items()}
        facts[f"{clock}_ratio_to_stock_at_as_many_a_call"] = {
            name: ratios(values, taken[f"stock, {name.split(', ')[1]}"]) for name, values in taken.items()
        }
        facts[f"{clock}_ratio_to_stock_one_by_one"] = {
            name: ratios(values, taken["stock, 1 a call"]) for name, values in taken.items()
        }
    for title, spreads in facts.items():
        if isinstance(spreads, dict):
            measuring.show_spreads(title.replace("_", " "), spreads)
    measuring.write_results(OUTPUT.value, facts)


if __name__ == "__main__":
    app.run(main)
