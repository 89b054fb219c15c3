"""Batch-norm statistics for one image size.

Running averages mix all training sizes; at one test size they fit none. Calibration replaces them by the statistics of
training batches at that size, and touches nothing else. Used by `evaluation` and by exports.

    previous = calibrate(model, train, size=24)         # set_statistics(model, previous) brings the old ones back
    with calibrated(model, train, size=24):
        model.evaluate(test_24)
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.arguments import check_count
from keras_mixsize.images.rendering import resize
from keras_mixsize.images.transform import mirror_inputs
from keras_mixsize.input.dataset import MixSizeDataset

_log = logging.getLogger(__name__)


class Statistics(NamedTuple):
    """Mean and variance of one BatchNormalization layer, float32 `[channels]` each."""

    mean: np.ndarray
    variance: np.ndarray


def batch_norm_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the BatchNormalization layers that are not frozen, nested ones included, in a fixed order."""
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]


def get_statistics(model: keras.Model) -> list[Statistics]:
    """Return the statistics that the model uses now, one for each of `batch_norm_layers`."""
    layers = batch_norm_layers(model)
    return [Statistics(layer.moving_mean.numpy(), layer.moving_variance.numpy()) for layer in layers]


def set_statistics(model: keras.Model, statistics: list[Statistics]) -> None:
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


def calibrate(model: keras.Model, images, size: int, batches: int = 200) -> list[Statistics]:
    """Replace the batch-norm statistics by those of training batches at one size.

    Each layer gets the mean over batches of the batch means and of the (biased) batch variances, taken while all
    BatchNormalization layers normalise with batch statistics and every other layer, dropout and stochastic depth
    included, behaves as in inference. Weights and frozen layers are not touched.

    Args:
        model: any Keras model; without BatchNormalization it is left alone, with a message in the log.
        images: a MixSizeDataset (its examples are drawn anew at `size`), an array `[N, H, W, C]` (read in batches of
            64), or an iterable of image batches or (images, ...) tuples; uint8 or float32 in [0, 1], resized to `size`.
        size: side in pixels.
        batches: how many batches to take, at most; fewer if the data end.

    Returns:
        The statistics from before, for `set_statistics`. If reading or running fails, they are put back.

    Raises:
        ValueError: no batch at all, or `batches` below 1.

    Source: arXiv 1908.08986.
    """
    check_count("size", size)
    if batches < 1:
        raise ValueError(f"batches must be at least 1, got {batches}")
    previous = get_statistics(model)
    if not previous:
        _log.info("model %s has no trainable BatchNormalization; nothing to calibrate", model.name)
        return previous
    try:
        set_statistics(model, _measure(model, size, itertools.islice(_image_batches(images, size), batches)))
    except BaseException:
        set_statistics(model, previous)
        raise
    return previous


@contextlib.contextmanager
def calibrated(model: keras.Model, images, size: int, batches: int = 200) -> Iterator[keras.Model]:
    """Calibrate for the length of a `with` block; the old statistics come back at its end, errors included.

    Takes `calibrate`'s arguments and yields the model.
    """
    previous = calibrate(model, images, size, batches=batches)
    try:
        yield model
    finally:
        set_statistics(model, previous)


def _image_batches(images, size: int) -> Iterable[tf.Tensor]:
    """Yield batches `[N, size, size, C]` float32 in [0, 1]."""
    if isinstance(images, MixSizeDataset):
        images = images.at_size(size)
    elif isinstance(images, (np.ndarray, tf.Tensor)):
        images = tf.data.Dataset.from_tensor_slices(images).batch(64)
    for batch in images:
        batch = batch[0] if isinstance(batch, (tuple, list)) else batch
        yield resize(tf.convert_to_tensor(mirror_inputs(batch)), size)


def _measure(model: keras.Model, size: int, batches: Iterable[tf.Tensor]) -> list[Statistics]:
    """Return the mean of the batch statistics over all batches."""
    layers = batch_norm_layers(model)
    with _batch_statistics(layers):
        # With a momentum of zero the moving statistics are those of the last batch
        spec = tf.TensorSpec([None, size, size, model.input_shape[-1]], tf.float32)

        @tf.function(input_signature=[spec], autograph=False)
        def run(images):
            model(images, training=False)
            return [(tf.identity(layer.moving_mean), tf.identity(layer.moving_variance)) for layer in layers]

        sums, count = None, 0
        for images in batches:
            values = keras.tree.map_structure(lambda value: value.numpy().astype(np.float64), run(images))
            sums = values if sums is None else keras.tree.map_structure(np.add, sums, values)
            count += 1
    if not count:
        raise ValueError("images must hold at least one batch to calibrate with, got none")
    return [Statistics(*((total / count).astype(np.float32) for total in layer)) for layer in sums]


@contextlib.contextmanager
def _batch_statistics(layers) -> Iterator[None]:
    """Let BatchNormalization layers normalise with batch statistics, and store them, whatever `training` says."""
    saved = [(layer, layer.call, layer.momentum) for layer in layers]
    try:
        for layer, call, _ in saved:
            layer.momentum = 0.0
            layer.call = lambda inputs, training=None, mask=None, call=call: call(inputs, training=True, mask=mask)
        yield
    finally:
        for layer, _, momentum in saved:
            layer.momentum = momentum
            del layer.call  # the class's own comes back
