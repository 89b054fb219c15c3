"""ArraySource: images of one size, in memory, or read from a larger array on disk by the plan's indices.

Neighbours: `source` (what all sources have in common), `fashion` and `tfds` (make such sources).

    source = ArraySource(images, labels)
    source.num_examples, source.num_classes, source.channels
"""

from __future__ import annotations

import functools
from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from keras_mixsize import images as images_lib
from keras_mixsize.sources.source import Source, check_class_names, check_labels

_ALIGNMENT = 64  # bytes; an operation of TensorFlow ends the process over an array that begins elsewhere


@runtime_checkable
class StoredArray(Protocol):
    """An array whose rows are read when they are asked for, as `np.memmap`, h5py and zarr have them."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, rows) -> np.ndarray:
        """Return some rows, given by increasing indices."""


class ArraySource(Source):
    """Images of one size.

    An array in memory is held once: the source shares it where it begins at a multiple of 64 bytes, as `aligned_empty`
    gives it, and otherwise keeps a copy in its place, so that the caller's may be freed. Do not change it afterwards.
    Of a `np.memmap`, or an array of h5py or zarr, only the rows that a step needs are read, in one Python call for
    each batch; so it cannot travel to servers of tf.data service.

    Args:
        images: uint8 (0..255) or float32 (in [0, 1]), `[N, H, W, C]` or `[N, H, W]`.
        labels: integers `[N]` at or above 0, or a column per class: floats, or integers of 0 and 1, `[N, classes]`.
        class_names: a name per class.
        label_offset: number of the first class, which is subtracted from integers `[N]`.

    Raises:
        ValueError: shapes, dtypes or label values that do not fit. Of a stored array the values of floats are checked
            when they are read.
    """

    def __init__(
        self,
        images: np.ndarray | StoredArray,
        labels: np.ndarray,
        class_names: tuple[str, ...] | None = None,
        *,
        label_offset: int = 0,
    ):
        images = images if _is_stored(images) else np.asarray(images)
        if images.dtype not in (np.uint8, np.float32):
            raise ValueError(f"images must be uint8 (0..255) or float32 (in [0, 1]), got {images.dtype}")
        if len(images.shape) not in (3, 4) or (len(images.shape) == 4 and images.shape[-1] not in (1, 3)):
            shape = tuple(images.shape)
            raise ValueError(f"images must be [N, H, W, C] with C 1 or 3, or [N, H, W], got the shape {shape}")
        self.class_names = check_class_names(class_names)
        self.labels = check_labels(labels, images.shape[0], self.class_names, label_offset)
        self.channels = images.shape[3] if len(images.shape) == 4 else 1
        self.images = images if _is_stored(images) else _aligned(_checked(images).reshape(*images.shape[:3], -1))

    def __repr__(self) -> str:
        count, height, width = self.images.shape[:3]
        return f"ArraySource({count:,} images {height}x{width}x{self.channels}, {self.describe_classes()})"

    def __setstate__(self, state: dict):
        super().__setstate__(state)
        self.images = self.images if _is_stored(self.images) else _aligned(self.images)

    def _take(self, rows):
        self.images = _SomeRows(self.images, rows) if _is_stored(self.images) else _aligned(self.images[rows])

    def render(self, indices, seeds, size, transform):
        """See `Source.render`."""
        height, width = (tf.fill(tf.shape(seeds), float(side)) for side in self.images.shape[1:3])
        windows = images_lib.draw_windows(transform.augmentation, height, width, seeds, size)
        options = {"interpolation": transform.interpolation, "antialias": transform.antialias}
        return images_lib.render(self._rows(indices), windows, size, **options)

    def _rows(self, indices: tf.Tensor) -> tf.Tensor:
        """Return some images: `[B, H, W, C]`."""
        if not _is_stored(self.images):
            return tf.gather(self._pixels, indices)
        rows = tf.numpy_function(self._read, [indices], self.images.dtype, stateful=False)
        return tf.ensure_shape(rows, [None, *self.images.shape[1:3], self.channels])

    @functools.cached_property
    def _pixels(self) -> tf.Tensor:
        """The images as a tensor of the same memory, which graphs refer to."""
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.experimental.dlpack.from_dlpack(self.images.__dlpack__())

    def _read(self, indices: np.ndarray) -> np.ndarray:
        """Return some images of a stored array, which may take increasing indices only."""
        rows, order = np.unique(indices, return_inverse=True)
        found = _checked(np.asarray(self.images[rows]))
        return found.reshape(*found.shape[:3], -1)[order]


class _SomeRows:
    """Some rows of a stored array, which stay where they are."""

    def __init__(self, images: StoredArray, rows: np.ndarray):
        self._images, self._numbers = images, rows
        self.shape, self.dtype = (len(rows), *images.shape[1:]), images.dtype

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows) -> np.ndarray:
        numbers, order = np.unique(self._numbers[rows], return_inverse=True)
        return np.asarray(self._images[numbers])[order]


def aligned_empty(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Return an array without values that an `ArraySource` shares: it begins at a multiple of 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _aligned(images: np.ndarray) -> np.ndarray:
    """Return the images, or a copy where TensorFlow could not share their memory."""
    if images.flags.c_contiguous and images.flags.writeable and images.ctypes.data % _ALIGNMENT == 0:
        return images
    copy = aligned_empty(images.shape, images.dtype)
    copy[:] = images
    return copy


def _is_stored(images) -> bool:
    """Return whether images are to be read by index: a memory map, or an array of another library."""
    if isinstance(images, np.ndarray):
        return isinstance(images, np.memmap)
    return isinstance(images, StoredArray) and isinstance(images.dtype, np.dtype)


def _checked(images: np.ndarray) -> np.ndarray:
    """Return images whose floats lie in [0, 1]."""
    if images.dtype == np.float32 and images.size and not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"float images must lie in [0, 1], got {images.min():g}..{images.max():g}; divide by 255?")
    return images
