"""What the scripts that time training steps measure against each other: stock Keras's model and ours.

Owns how they are built and compiled, so that every script compares the same: SGD with momentum, cross-entropy,
accuracy.

    stock = compiled(kms.models.build("resnet14", classes=10, channels=1))
    ours = mixed("resnet14")                                         # the same network, trained at mixed sizes
    base, buckets = buckets_of(recipe, base_batch=64)                # what a recipe's regimes ask of the machine
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import keras
import tensorflow as tf

import keras_mixsize as kms


def compiled(model: keras.Model, *, heads: int = 1, rate: float = 0.1, momentum: float = 0.9, **options) -> keras.Model:
    """Return the model, compiled with SGD, cross-entropy of logits and accuracy.

    Args:
        model: one that gives logits.
        heads: how many outputs it has, each with a loss.
        rate: learning rate.
        momentum: of SGD.
        **options: for `compile`.
    """
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = loss if heads == 1 else [loss] * heads
    model.compile(keras.optimizers.SGD(rate, momentum=momentum), losses, **{"metrics": ["accuracy"]} | options)
    return model


def mixed(network: str | keras.Model, *, l2: float = 1e-4, rate: float = 0.1) -> kms.MixSizeModel:
    """Return our model of a network for the embedded data, compiled, with smoothing and decay as in training.

    Args:
        network: name of one, or one for 10 classes.
        l2: decay of weights; 0 for none.
        rate: learning rate.
    """
    network = kms.models.build(network, classes=10, channels=1) if isinstance(network, str) else network
    return compiled(kms.MixSizeModel.from_model(network, l2=l2), rate=rate)


def recipe_network(recipe: kms.presets.Recipe, classes: int) -> keras.Model:
    """Return a recipe's network, in full width."""
    options = {"mean": recipe.mean, "std": recipe.std, **recipe.network_options}
    return kms.models.build(recipe.network, classes=classes, **options)


def buckets_of(recipe: kms.presets.Recipe, base_batch: int | None) -> tuple[kms.Bucket, list[kms.Bucket]]:
    """Return the base, and every bucket of the recipe's regimes; a batch of None is the recipe's."""
    options = {"base_batch": base_batch} if base_batch else {}
    regimes = [kms.Regime.preset(f"{recipe.family}/{mode}", **options) for mode in ("baseline", "b+", "d+")]
    shapes = {(b.size, b.batch, b.duplicates): b for regime in regimes for b in regime.buckets}
    return regimes[0].base, sorted(shapes.values(), key=lambda bucket: (bucket.size, bucket.duplicates))


def shape_of(bucket: kms.Bucket) -> dict[str, int]:
    """Return what tells a bucket's steps from others: size in pixels, batch and duplicates."""
    return {"size": bucket.size, "batch": bucket.batch, "duplicates": bucket.duplicates}


class Milliseconds(NamedTuple):
    """What a step took by the clock, and of all threads' CPU time, which others on a machine change less."""

    wall: float
    cpu: float


def milliseconds(model: keras.Model, batches: Iterator, calls: int) -> Milliseconds:
    """Return the time of a step, of so many calls of several steps or one, and of waiting for the last.

    Args:
        model: compiled; its train function is made.
        batches: as Keras gives them to it.
        calls: how many; each takes `steps_per_execution` steps.
    """
    wall, cpu, steps = time.perf_counter(), time.process_time(), calls * model.steps_per_execution
    for _ in range(calls):
        logs = model.train_function(batches)
    keras.tree.map_structure(lambda value: value.numpy(), logs)
    return Milliseconds(1000 * (time.perf_counter() - wall) / steps, 1000 * (time.process_time() - cpu) / steps)


def finite(model: keras.Model) -> bool:
    """Return whether all of a model's weights are still numbers."""
    return all(bool(tf.reduce_all(tf.math.is_finite(weight.value))) for weight in model.trainable_weights)
