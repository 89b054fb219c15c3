"""Decode, crop, flip and resize: pure, stateless functions on tensors.

An augmentation chooses a window and a flip for every output image; one renderer turns windows into pixels. Their
randomness is a hash of each image's seed, so it does not depend on the order of execution. The only module that may
import keras_cv. Used by `sources` (training), `calibration` and `evaluation`.

    windows = PadCropFlip(padding=4).windows(heights, widths, seeds)
    batch = render(images, windows, size=24)                 # [D*B, 24, 24, C] float32 in [0, 1]
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import keras
import tensorflow as tf

from keras_mixsize.hashing import WORD, fold

INTERPOLATION = ("bilinear", "bicubic", "nearest")
DTYPES = ("float32", "uint8")


class Windows(NamedTuple):
    """Where each output image is cut from its source image; all float32 `[N]` in pixels, except `mirrored`, bool `[N]`.

    A window may reach over the image's border; what lies outside is black.
    """

    top: tf.Tensor
    left: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    mirrored: tf.Tensor


def uniform(seeds: tf.Tensor, draw: int) -> tf.Tensor:
    """Return one random number per image.

    Args:
        seeds: uint32 `[N]`, one seed per image.
        draw: number of the draw; different draws of a seed are independent.

    Returns:
        float32 `[N]` in [0, 1).
    """
    return tf.cast(fold(seeds, draw) // 256, tf.float32) * (256.0 / WORD)  # 24 bits are what float32 holds


# Augmentations: a distribution over windows


@dataclasses.dataclass(frozen=True)
class WholeImage:
    """No augmentation: the window is the image."""

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a window per image; see `PadCropFlip.windows`."""
        del seeds
        zeros = tf.zeros_like(heights)
        return Windows(zeros, zeros, heights, widths, zeros > 0)


@dataclasses.dataclass(frozen=True)
class PadCropFlip:
    """Pad with black, crop at the original size at random, flip left-right at random: the usual CIFAR augmentation.

    Attributes:
        padding: pixels added on each side.
        flip: mirror half of the images.
    """

    padding: int = 4
    flip: bool = True

    def __post_init__(self):
        if self.padding < 0:
            raise ValueError(f"padding must not be negative, got {self.padding!r}")

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a random window for each output image.

        Args:
            heights, widths: float32 `[N]`, of the source images in pixels.
            seeds: uint32 `[N]`.
        """
        places = 2 * self.padding + 1
        top = tf.floor(uniform(seeds, 0) * places) - self.padding
        left = tf.floor(uniform(seeds, 1) * places) - self.padding
        return Windows(top, left, heights, widths, _mirrored(seeds, self.flip))


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop:
    """Crop a random share of the area at a random aspect ratio, flip at random: the usual ImageNet augmentation.

    A ratio that does not fit into the image is brought back to the nearest one that does, instead of being drawn again.

    Attributes:
        area: smallest and largest share of the image's area.
        ratio: smallest and largest width / height, drawn evenly in its logarithm.
        flip: mirror half of the images.

    Source: Szegedy et al., "Going deeper with convolutions", arXiv 1409.4842.
    """

    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True

    def __post_init__(self):
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area must be two shares with 0 < smallest <= largest <= 1, got {self.area!r}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be two numbers with 0 < smallest <= largest, got {self.ratio!r}")

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a random window for each output image; see `PadCropFlip.windows`."""
        area = heights * widths * _between(uniform(seeds, 0), *self.area)
        ratio = tf.exp(_between(uniform(seeds, 1), *map(math.log, self.ratio)))
        ratio = tf.clip_by_value(ratio, area / heights**2, widths**2 / area)
        height = tf.clip_by_value(tf.round(tf.sqrt(area / ratio)), 1.0, heights)
        width = tf.clip_by_value(tf.round(tf.sqrt(area * ratio)), 1.0, widths)
        top = tf.floor(uniform(seeds, 2) * (heights - height + 1))
        left = tf.floor(uniform(seeds, 3) * (widths - width + 1))
        return Windows(top, left, height, width, _mirrored(seeds, self.flip))


def _between(share: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + share * (high - low)


def _mirrored(seeds: tf.Tensor, flip: bool) -> tf.Tensor:
    return (uniform(seeds, 4) < 0.5) & flip


@runtime_checkable
class Augmentation(Protocol):
    """What an augmentation must offer, the user's own ones included."""

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a window for each output image; see `PadCropFlip.windows`."""


@dataclasses.dataclass(frozen=True)
class Transform:
    """How a source image becomes a training image.

    Attributes:
        augmentation: `WholeImage()`, `PadCropFlip()`, `RandomResizedCrop()` or an object with the same `windows`.
        interpolation: `"bilinear"`, `"bicubic"` or `"nearest"`.
        antialias: widen the filter when shrinking, so that no source pixel is skipped.
        dtype: `"float32"`, in [0, 1], or `"uint8"`, in 0..255: a quarter of the bytes to the device.
        image_map: function of (image `[S, S, C]` float32 in [0, 1], seed int32 `[2]` for `tf.image.stateless_*`)
            that returns the image, changed but of the same shape; or a Keras layer.
        batch_map: function of (images `[B*D, S, S, C]` float32 in [0, 1], labels, seed int32 `[2]`) that returns images
            and labels; or a Keras layer, which gets the images only.

    Keras and keras_cv layers keep their own random state: with them a resumed run is not bitwise equal, and parallel
    calls change what each image gets.

    Raises:
        ValueError: an unknown interpolation or dtype, or a map or augmentation that is none.
    """

    augmentation: Augmentation = WholeImage()
    interpolation: str = "bilinear"
    antialias: bool = True
    dtype: str = "float32"
    image_map: Callable | None = None
    batch_map: Callable | None = None

    def __post_init__(self):
        if self.interpolation not in INTERPOLATION:
            raise ValueError(f"interpolation must be one of {INTERPOLATION}, got {self.interpolation!r}")
        if not isinstance(self.augmentation, Augmentation):
            raise ValueError(
                "augmentation must be an object with the method windows, such as PadCropFlip(), got "
                f"{self.augmentation!r}"
            )
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {DTYPES}, got {self.dtype!r}")
        for name in ("image_map", "batch_map"):
            value = {"image_map": self.image_map, "batch_map": self.batch_map}[name]
            if value is not None and not callable(value):
                raise ValueError(f"{name} must be a function or a Keras layer, got {value!r}")

    def finish(self, images: tf.Tensor, labels: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the batch after the user's own maps, in the dtype asked for.

        Args:
            images: `[N, S, S, C]` float32 in [0, 1].
            labels: `[N]` or `[N, classes]`.
            seeds: uint32 `[N]`.
        """
        if self.image_map is not None:
            change, spec = _per_image(self.image_map), tf.TensorSpec(images.shape[1:], tf.float32)
            pairs = (images, _seed_pairs(seeds))
            images = _same_shape(tf.map_fn(lambda pair: change(*pair), pairs, fn_output_signature=spec), images)
        if self.batch_map is not None:
            changed, labels = _per_batch(self.batch_map)(images, labels, _seed_pairs(seeds[:1])[0])
            images = _same_shape(changed, images)
        return (_to_uint8(images) if self.dtype == "uint8" else images), labels


# The pipeline's own code is not converted by AutoGraph; tf.function converts the user's, whose `if` may be of tensors.


def _same_shape(changed: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Return the changed images, or fail if a user's map gave them a shape that is not the plan's."""
    message = "image_map and batch_map must keep the shape of the images"
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(changed), tf.shape(images), message)]):
        return tf.ensure_shape(changed, images.shape)


def _per_image(function):
    """Return a function of (image, seed); a Keras layer becomes one."""
    if isinstance(function, keras.layers.Layer):
        return tf.function(lambda image, seed: function(image[None], training=True)[0])
    return tf.function(function)


def _per_batch(function):
    """Return a function of (images, labels, seed) that returns images and labels; a Keras layer becomes one."""
    if isinstance(function, keras.layers.Layer):
        return tf.function(lambda images, labels, seed: (function(images, training=True), labels))
    return tf.function(function)


def _seed_pairs(seeds: tf.Tensor) -> tf.Tensor:
    """Return int32 `[N, 2]` seeds for `tf.random.stateless_*` from uint32 `[N]`."""
    return tf.bitcast(tf.stack([fold(seeds, 5), fold(seeds, 6)], axis=-1), tf.int32)


def _to_uint8(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255.0), tf.uint8)


def rand_augment(augmentations_per_image: int = 2, magnitude: float = 0.5) -> keras.layers.Layer:
    """Return keras_cv's RandAugment for `Transform(batch_map=...)` and colour images.

    It keeps random state of its own, so a resumed run is not bitwise equal.

    Source: Cubuk et al., "RandAugment", arXiv 1909.13719.
    """
    import keras_cv  # here, because importing it takes seconds and few programs need it

    return keras_cv.layers.RandAugment(
        value_range=(0, 1), augmentations_per_image=augmentations_per_image, magnitude=magnitude
    )


# Rendering: windows to pixels


def to_float(images: tf.Tensor) -> tf.Tensor:
    """Return images as float32 in [0, 1]: uint8 is divided by 255, float32 is taken to be in [0, 1] already."""
    return tf.image.convert_image_dtype(images, tf.float32)


def resize(images: tf.Tensor, size: int, *, interpolation: str = "bilinear", antialias: bool = True) -> tf.Tensor:
    """Return whole images at another size.

    Args:
        images: `[N, H, W, C]`, uint8 or float32 in [0, 1].
        size: side of the result in pixels.

    Returns:
        `[N, size, size, C]` float32 in [0, 1].
    """
    images = to_float(images)
    if images.shape[1:3] == (size, size):
        return images
    return tf.image.resize(images, [size, size], method=interpolation, antialias=antialias)


def render(
    images: tf.Tensor, windows: Windows, size, *, interpolation: str = "bilinear", antialias: bool = True
) -> tf.Tensor:
    """Return every window at `size`: crop, flip and resize as two matrix products per image.

    Output n is cut from image n mod B, so D windows per image come out with the duplicates one after the other
    ("duplicate-major"). The result is that of cutting the window out of the image, padded with black, and
    `tf.image.resize` of the cut; matrix products do it for a whole batch at once and compile in XLA, antialiased too.

    Args:
        images: `[B, H, W, C]`, uint8 or float32 in [0, 1].
        windows: `D*B` of them.
        size: side of the result in pixels, an integer or an int32 scalar tensor.

    Returns:
        `[D*B, size, size, C]` float32 in [0, 1].
    """
    height, width, channels = images.shape[1:]
    count = tf.shape(windows.top)[0]
    pixels = to_float(images)
    pixels = tf.tile(pixels, [count // tf.shape(images)[0], 1, 1, 1])
    rows = _weights(windows.top, windows.height, size, height, interpolation, antialias)
    columns = _weights(windows.left, windows.width, size, width, interpolation, antialias)
    columns = tf.where(windows.mirrored[:, None, None], columns[:, ::-1], columns)
    pixels = tf.matmul(rows, tf.reshape(pixels, [count, height, width * channels]))
    pixels = tf.einsum("ntw,nswc->nstc", columns, tf.reshape(pixels, [count, size, width, channels]))
    return tf.clip_by_value(pixels, 0.0, 1.0) if interpolation == "bicubic" else pixels


def _weights(start, length, size, extent: int, interpolation: str, antialias: bool) -> tf.Tensor:
    """Return how much each source pixel counts in each output pixel along one axis: float32 `[N, size, extent]`."""
    start, length = start[:, None, None], length[:, None, None]
    scale = length / tf.cast(size, tf.float32)
    center = start + (tf.range(tf.cast(size, tf.float32))[:, None] + 0.5) * scale - 0.5
    pixel = tf.range(extent, dtype=tf.float32)
    if interpolation == "nearest":
        return tf.cast(tf.equal(pixel, tf.floor(center + 0.5)), tf.float32)
    reach = tf.maximum(scale, 1.0) if antialias else tf.ones_like(scale)
    weights = _KERNELS[interpolation]((pixel - center) / reach)
    weights = tf.where((pixel >= start) & (pixel < start + length), weights, 0.0)
    # Pixels beyond the image are black but count in the mean, those beyond the window do not exist.
    black = _kernel_sum_outside(center, reach, start, length, extent, interpolation)
    return weights / (tf.reduce_sum(weights, axis=-1, keepdims=True) + black)


def _kernel_sum_outside(center, reach, start, length, extent: int, interpolation: str) -> tf.Tensor:
    """Return the kernel's sum over the window's pixels that lie outside the image: float32 `[N, size, 1]`."""
    overhang = tf.reduce_max(tf.maximum(-start, start + length - extent))
    beyond = tf.range(tf.maximum(overhang, 0.0))
    pixel = tf.concat([-1.0 - beyond, extent + beyond], axis=0)
    weights = _KERNELS[interpolation]((pixel - center) / reach)
    weights = tf.where((pixel >= start) & (pixel < start + length), weights, 0.0)
    return tf.reduce_sum(weights, axis=-1, keepdims=True)


def _triangle(distance: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(1.0 - tf.abs(distance))


def _keys_cubic(distance: tf.Tensor) -> tf.Tensor:
    """Keys' cubic with a = -1/2; R. Keys, IEEE Trans. ASSP 29 (1981)."""
    near = tf.abs(distance)
    inner = (1.5 * near - 2.5) * near**2 + 1.0
    outer = ((-0.5 * near + 2.5) * near - 4.0) * near + 2.0
    return tf.where(near < 1.0, inner, tf.where(near < 2.0, outer, 0.0))


_KERNELS = {"bilinear": _triangle, "bicubic": _keys_cubic}


def decode(data: tf.Tensor, channels: int) -> tf.Tensor:
    """Return the pixels of an encoded JPEG or PNG: uint8 `[H, W, channels]`.

    Args:
        data: string scalar.
        channels: 1 (grey) or 3 (RGB); the image is converted.
    """
    image = tf.io.decode_image(data, channels=channels, expand_animations=False)
    return tf.ensure_shape(image, [None, None, channels])


def render_windows(
    image: tf.Tensor, windows: Windows, size, *, interpolation: str = "bilinear", antialias: bool = True
) -> tf.Tensor:
    """Return every window of one image of any size at `size`; the counterpart of `render` for decoded files.

    Args:
        image: uint8 `[H, W, C]`.
        windows: D of them, all of this image.
        size: side of the result in pixels.

    Returns:
        `[D, size, size, C]` float32 in [0, 1].
    """
    overhang = tf.maximum(
        tf.reduce_max(tf.concat([-windows.top, -windows.left], axis=0)),
        tf.maximum(
            tf.reduce_max(windows.top + windows.height) - tf.cast(tf.shape(image)[0], tf.float32),
            tf.reduce_max(windows.left + windows.width) - tf.cast(tf.shape(image)[1], tf.float32),
        ),
    )
    margin = tf.cast(tf.maximum(overhang, 0.0), tf.int32)
    padded = tf.pad(image, [[margin, margin], [margin, margin], [0, 0]])
    boxes = tf.cast(tf.stack(windows[:4], axis=-1), tf.int32) + [margin, margin, 0, 0]

    def cut(item):
        (top, left, height, width), mirrored = tf.unstack(item[0]), item[1]
        window = to_float(padded[top : top + height, left : left + width])
        window = tf.image.resize(window, [size, size], method=interpolation, antialias=antialias)
        return tf.clip_by_value(tf.where(mirrored, window[:, ::-1], window), 0.0, 1.0)

    spec = tf.TensorSpec([None, None, image.shape[-1]], tf.float32)
    return tf.map_fn(cut, (boxes, windows.mirrored), fn_output_signature=spec)
