"""Statistics: what the BatchNormalization layers of a model normalise with, and their means over batches.

Neighbours: `calibration`, which measures them at an image size; the room `export`, which keeps a set for each size.

    before = get_statistics(model)                      # a Statistics for each layer
    set_statistics(model, before)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from keras_mixsize.internals import layers_of

FEWEST = 8  # batches, before their spread says anything


class Statistics(NamedTuple):
    """Mean and variance of one BatchNormalization layer, float32 `[channels]` each."""

    mean: np.ndarray
    variance: np.ndarray


def batch_norm_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the BatchNormalization layers that are not frozen, nested ones included, in a fixed order."""
    layers = layers_of(model)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]


def get_statistics(model: keras.Model) -> list[Statistics]:
    """Return the statistics that the model uses now, one for each of `batch_norm_layers`."""
    layers = batch_norm_layers(model)
    return [Statistics(layer.moving_mean.numpy(), layer.moving_variance.numpy()) for layer in layers]


def set_statistics(model: keras.Model, statistics: Sequence[Statistics]) -> None:
    """Put statistics into the model.

    Args:
        model: the model they were taken from, or one of the same architecture.
        statistics: one for each of `batch_norm_layers`.

    Raises:
        ValueError: another number of layers.
    """
    layers = batch_norm_layers(model)
    if len(layers) != len(statistics):
        raise ValueError(f"statistics must be for {len(layers)} BatchNormalization layers, got {len(statistics)}")
    for layer, (mean, variance) in zip(layers, statistics):
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


class RunningMeans:
    """The means over batches of the batch means and the (biased) batch variances, and how far they have settled.

    Args:
        widths: channels of each layer.
        epsilons: of each layer, what it adds to a variance.
    """

    def __init__(self, widths: Sequence[int], epsilons: Sequence[float]):
        self._ends = np.cumsum(widths)[:-1]
        self._epsilon = np.repeat(np.asarray(epsilons, np.float64), widths)
        self._sum = np.zeros([2, sum(widths)])
        self._squares = np.zeros([2, sum(widths)])
        self.count = 0

    def add(self, values: np.ndarray) -> None:
        """Take the statistics of one more batch: `[2, channels of all layers]`, means and variances."""
        values = np.asarray(values, np.float64)
        self._sum += values
        self._squares += values**2
        self.count += 1

    @property
    def error(self) -> float:
        """The standard error of the means, as the layers see it: root mean square over channels, in deviations.

        A channel's mean is off by its standard error over the root of its variance; its deviation, relative to itself,
        by half of the variance's relative standard error. Infinite before the eighth batch.
        """
        if self.count < FEWEST:
            return float("inf")
        mean, variance = self._sum / self.count
        spread = np.maximum(self._squares / self.count - (self._sum / self.count) ** 2, 0.0) / (self.count - 1)
        scale = variance + self._epsilon
        return float(np.sqrt(np.mean(spread[0] / scale + spread[1] / (2 * scale) ** 2)))

    def statistics(self) -> list[Statistics]:
        """Return the means so far, a `Statistics` for each layer.

        Raises:
            ValueError: there was no batch.
        """
        if not self.count:
            raise ValueError("images must hold at least one batch to calibrate with, got none")
        mean, variance = (self._sum / self.count).astype(np.float32)
        return [Statistics(*both) for both in zip(np.split(mean, self._ends), np.split(variance, self._ends))]
