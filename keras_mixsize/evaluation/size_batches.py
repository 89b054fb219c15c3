"""SizeBatches: training images in batches at any of several sizes, from one trace of the input.

Used by `calibration`. Neighbours: the rooms `input` (a MixSizeDataset's examples are drawn anew) and `images`.

    batches = SizeBatches(train, [16, 24, 32])
    next(batches.at(24))                            # [B, 24, 24, C] float32 in [0, 1]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from keras_mixsize.images.rendering import resize
from keras_mixsize.images.step_images import mirror_inputs
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.input.steps import loader
from keras_mixsize.regimes.bucket import Bucket
from keras_mixsize.regimes.regime import Regime

TrainingImages: TypeAlias = (
    MixSizeDataset | np.ndarray | tf.Tensor | Iterable
)  # what calibration takes; see `SizeBatches`

_ARRAY_BATCH = 64
_ROUNDING = 0.5  # what a resize or the user's own augmentation may add to [0, 1]; floats of 0..255 are far above


class SizeBatches:
    """Batches of images at each of some sizes.

    Args:
        images: a MixSizeDataset (its examples are drawn anew at each size, as `MixSizeDataset.at_size` does), an array
            `[N, H, W, C]` (read in batches of 64), or an iterable of image batches or (images, ...) tuples; uint8, or
            float32 in [0, 1].
        sizes: sides in pixels.
    """

    def __init__(self, images: TrainingImages, sizes: Sequence[int]):
        self._images = _drawn_anew(images, sizes) if isinstance(images, MixSizeDataset) else images

    def at(self, size: int) -> Iterator[tf.Tensor]:
        """Yield the batches at one of the sizes: `[N, size, size, C]` float32 in [0, 1].

        Raises:
            ValueError: floats beyond [0, 1].
        """
        for batch in _batches(self._images, size):
            images = batch[0] if type(batch) in (tuple, list) else batch  # StepImages are a tuple of another type
            yield resize(_checked(tf.convert_to_tensor(mirror_inputs(images))), size)


def _drawn_anew(dataset: MixSizeDataset, sizes: Sequence[int]) -> dict[int, tf.data.Dataset]:
    """Return what `MixSizeDataset.at_size` gives for each size, with one trace for all of them."""
    batches = {size: dataset.calibration_batch(size) for size in sizes}
    buckets = [Bucket(size, batch, probability=1 / len(batches)) for size, batch in batches.items()]
    plan = dataset.plan.with_regime(Regime(buckets))
    load = loader(dataset.source, plan, dataclasses.replace(dataset.transform, in_step=False))
    specs = [tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int64)]
    traced = tf.function(lambda bucket, sample: load(bucket, sample, 0), input_signature=specs, autograph=False)
    traced = traced.get_concrete_function()

    def drawn(index: int, batch: int) -> tf.data.Dataset:
        def load_step(step):
            return traced(tf.constant(index), step * batch)

        steps = tf.data.Dataset.range(np.iinfo(np.int64).max // batch)
        return steps.map(load_step, dataset.parallel_calls, deterministic=True).prefetch(tf.data.AUTOTUNE)

    return {size: drawn(index, batch) for index, (size, batch) in enumerate(batches.items())}


def _batches(images, size: int) -> Iterable:
    if isinstance(images, dict):
        return images[size]
    if isinstance(images, (np.ndarray, tf.Tensor)):
        return (images[low : low + _ARRAY_BATCH] for low in range(0, len(images), _ARRAY_BATCH))
    return images


def _checked(images: tf.Tensor) -> tf.Tensor:
    if images.dtype.is_floating and images.shape[0]:
        highest = float(tf.reduce_max(images))
        if not -_ROUNDING <= float(tf.reduce_min(images)) <= highest <= 1 + _ROUNDING:
            raise ValueError(
                f"images must be float32 in [0, 1] to calibrate with, got values up to {highest:g}; "
                "divide 0..255 by 255, or give them as uint8"
            )
    return images
