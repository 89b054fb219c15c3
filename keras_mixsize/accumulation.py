"""Gradient accumulation: a step computed in parts, one after the other, so that only one needs memory at a time.

Used by `training`; knows nothing of models.

    gradients, loss, predictions = in_parts(forward_backward, (images, labels), parts=4)
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import tensorflow as tf


def in_parts(function: Callable, batch: tuple, parts: int) -> tuple[list, tf.Tensor, object]:
    """Return what a function of a whole batch would, computed from equal parts of its rows.

    Args:
        function: of the batch's members; returns (gradients, loss, predictions), the first two being those of a mean over
            its rows. A gradient may be None.
        batch: tensors `[N, ...]`, structures of them, or None; N is a multiple of `parts`.
        parts: how many; each begins when the one before it has ended.

    Returns:
        Mean gradients, mean loss, and the predictions of all rows.
    """
    if parts == 1:
        return function(*batch)
    gradients, losses, predictions = None, [], []
    for index in range(parts):
        # without the order TensorFlow would run the parts side by side, and need the memory of all of them
        with tf.control_dependencies([g for g in gradients or [] if g is not None]):
            part = keras.tree.map_structure(functools.partial(_part, parts=parts, index=index), batch)
            found, loss, outputs = function(*part)
            gradients = found if gradients is None else [_add(sum_, g) for sum_, g in zip(gradients, found)]
        losses.append(loss)
        predictions.append(outputs)
    gradients = [None if g is None else g / tf.cast(parts, g.dtype) for g in gradients]
    joined = keras.tree.map_structure(lambda *rows: tf.concat(rows, axis=0), *predictions)
    return gradients, tf.add_n(losses) / tf.cast(parts, losses[0].dtype), joined


def _part(rows: tf.Tensor | None, parts: int, index: int) -> tf.Tensor | None:
    return None if rows is None else tf.split(tf.identity(rows), parts)[index]


def _add(total: tf.Tensor | None, gradient: tf.Tensor | None) -> tf.Tensor | None:
    return total if gradient is None else gradient if total is None else total + gradient
