"""Gradient smoothing: one pure function and its state.

Steps of different sizes and batches have gradients of different length. Smoothing rescales every gradient to a running
length, so that one learning rate suits all of them. `training` applies it to the aggregated, unscaled gradient, before
weight decay and momentum.

    smoothed = smooth(gradients, state)
    optimizer.apply(smoothed.gradients); state = smoothed.state
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

EPSILON = 1e-6


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


def smooth(gradients, state: SmoothingState, *, momentum: float = 0.9) -> Smoothed:
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
