"""Gradients on their way to the optimizer: computed in parts, smoothed, decayed. Pure functions, in the order of a
step.

Accumulation computes the gradient of a batch from equal parts of it, in the memory of one. Steps of different sizes and
batches have gradients of different length: smoothing rescales each to a running length, so that one learning rate suits
all of them. It acts on the aggregated, unscaled gradient, before weight decay and momentum. Decay adds L2 to it. Used
by `step`.

    gradients, loss, predictions = in_parts(forward_backward, (images, labels, None), parts=4)
    smoothed = smooth(gradients, state)
    gradients = decay(smoothed.gradients, weights, decayed_weights(network, "kernels"), l2=1e-4)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_mixsize.internals import layers_of

EPSILON = 1e-6  # keeps a gradient of zero at zero
L2_FILTERS = ("kernels", "no_depthwise", "all")


# Accumulation


def in_parts(function: Callable, batch: tuple, parts: int) -> tuple[list, tf.Tensor, object]:
    """Return what a function of a whole batch would, computed from equal parts of its rows.

    Args:
        function: of the batch's members; returns (gradients, loss, predictions), the first two being those of a mean
            over its rows. A gradient may be None.
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


# Smoothing


class SmoothingState(NamedTuple):
    """What smoothing remembers.

    Attributes:
        norm: float32 scalar, the running global L2 norm.
        steps: int64 scalar, how many norms are in it; 0 before the first.
    """

    norm: tf.Tensor
    steps: tf.Tensor


class Smoothed(NamedTuple):
    """The result of `smooth`.

    Attributes:
        gradients: as given, each rescaled; zero where the norm was not finite.
        state: the state for the next step; as given where the norm was not finite.
        finite: bool scalar, whether the norm was finite.
    """

    gradients: list[tf.Tensor | None]
    state: SmoothingState
    finite: tf.Tensor


def initial_state() -> SmoothingState:
    """Return the state before the first step."""
    return SmoothingState(tf.zeros([], tf.float32), tf.zeros([], tf.int64))


def smooth(gradients: Sequence, state: SmoothingState, *, momentum: float = 0.9) -> Smoothed:
    """Rescale gradients to the running norm: g * run / (|g| + 1e-6).

    |g| is the L2 norm of all gradients together. The first step sets run = |g|; then, with the current norm included,
    run = momentum * run + (1 - momentum) * |g|.

    Args:
        gradients: tensors of any shapes; None stays None.
        state: from the step before, or `initial_state()`.
        momentum: in [0, 1).

    Returns:
        The rescaled gradients, the new state, and whether the norm was finite.

    Source: the GradSmooth regulariser of arXiv 1908.08986.
    """
    # In float32 whatever the gradients are: float16 would overflow at a norm of 256
    norm = tf.linalg.global_norm([None if g is None else tf.cast(g, tf.float32) for g in gradients])
    finite = tf.math.is_finite(norm)
    run = tf.where(state.steps > 0, momentum * state.norm + (1.0 - momentum) * norm, norm)
    scale = tf.where(finite, run / (norm + EPSILON), 0.0)
    # multiply_no_nan: a NaN times a scale of zero is zero, so a non-finite step cannot reach the weights
    rescaled = [None if g is None else tf.math.multiply_no_nan(g, tf.cast(scale, g.dtype)) for g in gradients]
    updated = SmoothingState(tf.where(finite, run, state.norm), state.steps + tf.cast(finite, tf.int64))
    return Smoothed(rescaled, updated, finite)


# Decay


def decay(gradients: Sequence, weights: Sequence, decayed: Collection[int], l2: float) -> list[tf.Tensor | None]:
    """Return gradients with L2 added: g + l2 * w for the weights that decay.

    Args:
        gradients: tensors of any shapes, one for each weight; None stays None.
        weights: trainable ones.
        decayed: the `id` of each weight that decays, see `decayed_weights`.
        l2: strength, at or above 0.
    """
    return [
        gradient + l2 * tf.cast(weight, gradient.dtype) if gradient is not None and id(weight) in decayed else gradient
        for gradient, weight in zip(gradients, weights)
    ]


def decayed_weights(network: keras.Model, l2_filter: str) -> set[int]:
    """Return the `id` of each trainable weight that decays.

    Args:
        network: any Keras model.
        l2_filter: `"kernels"`: weights of two or more dimensions, so neither biases nor batch norm; `"no_depthwise"`:
            kernels but those of depthwise convolutions; `"all"`.

    Source: the filters of the training code published with arXiv 1908.08986.
    """
    weights = network.trainable_weights
    if l2_filter == "all":
        return {id(weight) for weight in weights}
    kernels = {id(weight) for weight in weights if len(weight.shape) >= 2}
    return kernels - _depthwise_kernels(network) if l2_filter == "no_depthwise" else kernels


def _depthwise_kernels(network: keras.Model) -> set[int]:
    depthwise = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
    return {id(layer.kernel) for layer in layers_of(network) if isinstance(layer, depthwise)}
