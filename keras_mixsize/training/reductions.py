"""Reductions: sample weights with which the mean of the losses of a batch's parts is the loss of the batch.

That holds by itself for a mean over rows, but neither for a sum nor for a mean over weights. Used by `step`, when it
accumulates; neighbour: `gradients`.

    losses = losses_of_outputs(keras.losses.MeanSquaredError(reduction="sum"), ["scores"])
    weights = weights_for_parts(losses, None, rows=32, parts=2)
    with sums_for_parts(losses, None): ...          # the loss of each part, given its rows of the weights
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

_BY_WEIGHT = "mean_with_sample_weight"


def losses_of_outputs(loss, names: Sequence[str]) -> list:
    """Return what `compile` was given as the loss of each output, None for none.

    Args:
        loss: one for all outputs, a list in their order, or a dictionary by their names.
        names: of the outputs.
    """
    if isinstance(loss, dict):
        return [loss.get(name) for name in names]
    if isinstance(loss, (list, tuple)):
        return list(loss)[: len(names)]
    return [loss] * len(names)


def weights_for_parts(losses: Sequence, weights: Sequence | None, *, rows: int, parts: int, replicas: int = 1) -> list:
    """Return the sample weights to compute the losses of equal parts with; their mean is the loss of all rows.

    Args:
        losses: of each output.
        weights: of each output, `[N]` or of more axes, or None; None for none at all.
        rows: N.
        parts: how many.
        replicas: by whose number Keras divides a mean.
    """
    weights = [None] * len(losses) if weights is None else weights
    return [_weights(loss, weight, rows, parts, replicas) for loss, weight in zip(losses, weights, strict=True)]


def _weights(loss, weight, rows: int, parts: int, replicas: int):
    reduction = loss.reduction if isinstance(loss, keras.losses.Loss) else None
    if reduction == "sum":
        ones = tf.ones([rows]) if weight is None else tf.cast(weight, tf.float32)
        return ones * parts
    if reduction == _BY_WEIGHT and weight is not None:
        weight = tf.cast(weight, tf.float32)
        return tf.math.divide_no_nan(weight * parts, tf.reduce_sum(weight) * replicas)
    return weight


@contextlib.contextmanager
def sums_for_parts(losses: Sequence, weights: Sequence | None) -> Iterator[None]:
    """Let losses that are means over weights be sums within a `with` block, as `weights_for_parts` expects.

    Args:
        losses: of each output.
        weights: the user's, of each output.
    """
    weights = [None] * len(losses) if weights is None else weights
    weighted = [loss for loss, weight in zip(losses, weights, strict=True) if weight is not None]
    changed = [loss for loss in weighted if isinstance(loss, keras.losses.Loss) and loss.reduction == _BY_WEIGHT]
    try:
        for loss in changed:
            loss.reduction = "sum"
        yield
    finally:
        for loss in changed:
            loss.reduction = _BY_WEIGHT
