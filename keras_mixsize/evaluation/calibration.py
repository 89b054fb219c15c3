"""Calibration: batch-norm statistics for one image size.

Running averages mix all training sizes; at one test size they fit none. Calibration replaces them by the statistics of
training batches at that size, and touches nothing else. Neighbours: `statistics`, `size_batches`; used by `evaluate`
and by exports.

    previous = calibrate(model, train, size=24)         # set_statistics(model, previous) brings the old ones back
    with calibrated(model, train, size=24):
        model.evaluate(*test_24)                        # images at 24 px, and their labels
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.arguments import check_count, is_number
from keras_mixsize.evaluation.progress import ProgressBar
from keras_mixsize.evaluation.size_batches import SizeBatches, TrainingImages
from keras_mixsize.evaluation.statistics import (
    RunningMeans,
    Statistics,
    batch_norm_layers,
    get_statistics,
    set_statistics,
)
from keras_mixsize.internals import batch_statistics

TOLERANCE = 0.003  # standard error at which statistics have settled, in deviations of what a layer normalises

_log = logging.getLogger(__name__)


class Calibration(NamedTuple):
    """Statistics for one size.

    Attributes:
        statistics: one for each of `batch_norm_layers`.
        batches: how many were taken.
        error: standard error of the statistics, root mean square over channels, in deviations; infinite for fewer than
            eight batches.
    """

    statistics: list[Statistics]
    batches: int
    error: float

    def __repr__(self) -> str:
        return f"<Calibration of {len(self.statistics)} layers with {self.batches} batches, error {self.error:.4f}>"


def calibrate(
    model: keras.Model, images: TrainingImages, size: int, batches: int = 200, *, tolerance: float = TOLERANCE
) -> list[Statistics]:
    """Replace the batch-norm statistics by those of training batches at one size.

    Each layer gets the mean over batches of the batch means and of the (biased) batch variances, taken while all
    BatchNormalization layers normalise with batch statistics and every other layer, dropout and stochastic depth
    included, behaves as in inference. Weights and frozen layers are not touched. Batches are taken until the statistics
    have settled; the log says how many.

    Args:
        model: any Keras model; without BatchNormalization it is left alone, with a message in the log.
        images: a MixSizeDataset (its examples are drawn anew at `size`), an array `[N, H, W, C]` (read in batches of
            64), or an iterable of image batches or (images, ...) tuples; uint8 or float32 in [0, 1], resized to `size`.
        size: side in pixels.
        batches: how many batches to take, at most; fewer if the data end.
        tolerance: standard error at which the statistics have settled, root mean square over all channels, in standard
            deviations of what a layer normalises; 0 to take all batches.

    Returns:
        The statistics from before, for `set_statistics`. If reading or running fails, they are put back.

    Raises:
        ValueError: no batch at all, `batches` below 1, or images out of range.

    Source: arXiv 1908.08986.
    """
    check_count("size", size)
    previous = get_statistics(model)
    found = measure_statistics(model, images, [size], batches, tolerance=tolerance)
    set_statistics(model, found[size].statistics)
    return previous


@contextlib.contextmanager
def calibrated(
    model: keras.Model, images: TrainingImages, size: int, batches: int = 200, *, tolerance: float = TOLERANCE
) -> Iterator[keras.Model]:
    """Calibrate for the length of a `with` block; the old statistics come back at its end, errors included.

    Takes `calibrate`'s arguments and yields the model.
    """
    previous = calibrate(model, images, size, batches=batches, tolerance=tolerance)
    try:
        yield model
    finally:
        set_statistics(model, previous)


def measure_statistics(
    model: keras.Model,
    images: TrainingImages,
    sizes: Sequence[int],
    batches: int = 200,
    *,
    tolerance: float = TOLERANCE,
    bar: ProgressBar | None = None,
) -> dict[int, Calibration]:
    """Return the statistics of training batches at each size; input and network are traced once for all of them.

    The model is left as it was. See `calibrate` for the arguments.

    Args:
        model: any Keras model.
        images: an iterable must be one that can be gone through again, once for each size.
        sizes: sides in pixels.
        batches: at each size, at most.
        tolerance: standard error at which the statistics have settled.
        bar: told which size is being calibrated.
    """
    check_count("batches", batches)
    if not is_number(tolerance) or not tolerance >= 0:
        raise ValueError(f"tolerance must be a number at or above 0, got {tolerance!r}")
    calibrator, found = Calibrator(model, images, sizes), {}
    for size in sizes:
        if bar is not None and calibrator.layers:
            bar.begin(f"calibrating at {size} px")
        found[size] = calibrator.measure(size, batches=batches, tolerance=tolerance)
    return found


class Calibrator:
    """Measures the statistics of a model at some sizes, as often as asked, from one trace of input and network.

    The model is left as it was.

    Args:
        model: any Keras model.
        images: see `calibrate`; an iterable must be one that can be gone through again.
        sizes: sides in pixels.

    Attributes:
        layers: the BatchNormalization layers that are calibrated.
    """

    def __init__(self, model: keras.Model, images: TrainingImages, sizes: Sequence[int]):
        self.layers = batch_norm_layers(model)
        self._model = model
        if not self.layers:
            _log.info("model %s has no trainable BatchNormalization; nothing to calibrate", model.name)
            return
        self._source = SizeBatches(images, sizes)
        with batch_statistics(self.layers):
            self._run = _measuring(model, self.layers)

    def measure(self, size: int, *, batches: int = 200, tolerance: float = TOLERANCE) -> Calibration:
        """Return the statistics of training batches at one of the sizes; see `calibrate` for the arguments."""
        if not self.layers:
            return Calibration([], 0, 0.0)
        previous = get_statistics(self._model)
        try:
            values = map(self._run, itertools.islice(self._source.at(size), batches))
            means = _means(self.layers, values, tolerance)
            found = Calibration(means.statistics(), means.count, means.error)
        finally:
            set_statistics(self._model, previous)
        _log.info("calibrated at %d px with %d batches, standard error %.4f", size, found.batches, found.error)
        return found


def _measuring(model: keras.Model, layers: Sequence[keras.layers.BatchNormalization]):
    """Return the function from images of any size to the statistics of that batch, `[2, channels of all layers]`.

    It is traced at once, while the layers normalise with batch statistics.
    """
    spec = tf.TensorSpec([None, None, None, model.input_shape[-1]], tf.float32)

    @tf.function(input_signature=[spec], autograph=False)
    def measure(images):
        model(images, training=False)
        # With a momentum of zero the moving statistics are those of the last batch
        means, variances = ([layer.moving_mean for layer in layers], [layer.moving_variance for layer in layers])
        return tf.stack([tf.concat([tf.convert_to_tensor(part) for part in parts], 0) for parts in (means, variances)])

    traced = measure.get_concrete_function()
    return lambda images: traced(images).numpy()


def _means(layers, values: Iterable[np.ndarray], tolerance: float) -> RunningMeans:
    """Return the means over batches, as soon as they have settled."""
    means = RunningMeans([layer.moving_mean.shape[0] for layer in layers], [layer.epsilon for layer in layers])
    for of_batch in values:
        means.add(of_batch)
        if means.error <= tolerance:
            break
    return means
