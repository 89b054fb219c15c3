"""Stochastic depth: whole residual branches are dropped at random, example by example.

Used by `efficientnet` and `amoebanet`.

    x = keras.layers.Add()([shortcut, DropPath(0.2)(branch)])
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_mixsize")
class DropPath(keras.layers.Dropout):
    """Dropout of all of an example's maps together, in training only.

    An example's maps `[H, W, C]` become zero with probability `rate`, or else are divided by `1 - rate`, so that the
    expectation stays; at inference nothing happens.

    Args:
        rate: probability in [0, 1) that a branch is dropped.
        seed: of the layer's random generator; drawn at random unless given.

    Raises:
        ValueError: a rate out of range.

    Source: Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", arXiv 1603.09382; drawn for each
    example and scaled in training as in Larsson, Maire, Shakhnarovich, "FractalNet", arXiv 1605.07648.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        check_rates(rate=rate)
        super().__init__(rate, noise_shape=(None, 1, 1, 1), seed=seed, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {key: value for key, value in super().get_config().items() if key != "noise_shape"}


def check_rates(**rates: float) -> None:
    """Raise a ValueError if a rate, given under its argument's name, is not in [0, 1)."""
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise ValueError(f"{name} must be a probability in [0, 1), got {rate!r}; 0 turns it off")
