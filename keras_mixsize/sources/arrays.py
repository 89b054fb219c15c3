"""ArraySource: images of one size in memory.

source = ArraySource(images, labels)
source.num_examples, source.num_classes, source.channels
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_mixsize import images as images_lib
from keras_mixsize.sources.source import Source, check_labels


class ArraySource(Source):
    """Images of one size in memory.

    Args:
        images: uint8 (0..255) or float32 (in [0, 1]), `[N, H, W, C]` or `[N, H, W]`.
        labels: integers `[N]` at or above 0, or floats `[N, classes]`.
        class_names: a name per class.

    Raises:
        ValueError: shapes, dtypes or label values that do not fit.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...] | None = None):
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim == 3:
            images = images[..., None]
        if images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise ValueError(f"images must be [N, H, W, C] with C 1 or 3, or [N, H, W], got the shape {images.shape}")
        if images.dtype not in (np.uint8, np.float32):
            raise ValueError(f"images must be uint8 (0..255) or float32 (in [0, 1]), got {images.dtype}")
        if images.dtype == np.float32 and images.size and not (images.min() >= 0 and images.max() <= 1):
            raise ValueError(f"float images must lie in [0, 1], got {images.min():g}..{images.max():g}; divide by 255?")
        self.images = images
        self._pixels = on_host(images)
        self.labels = check_labels(labels, len(images), class_names)
        self.class_names = class_names
        self.channels = images.shape[-1]

    def render(self, indices, seeds, size, transform):
        """See `Source.render`."""
        images = tf.gather(self._pixels, indices)
        height, width = (tf.fill(tf.shape(seeds), float(side)) for side in self.images.shape[1:3])
        windows = transform.augmentation.windows(height, width, seeds)
        options = {"interpolation": transform.interpolation, "antialias": transform.antialias}
        return images_lib.render(images, windows, size, **options)


def on_host(values) -> tf.Tensor:
    """Return values as a tensor that graphs refer to; a constant inside them would be copied, and limited to 2 GiB."""
    with tf.device("CPU:0"):
        return tf.constant(values)
