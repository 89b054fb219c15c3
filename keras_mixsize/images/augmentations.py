"""Augmentations: distributions over the window and the flip of every output image; they make no pixels.

Their randomness is a hash of each image's seed, so it does not depend on the order of execution. `rendering` and
`decoding` turn windows into pixels.

    windows = PadCropFlip(padding=4).windows(heights, widths, seeds)      # a window for each seed
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple, Protocol, runtime_checkable

import tensorflow as tf

from keras_mixsize.images.size_values import value_at
from keras_mixsize.regimes.by_size import BySize, literals
from keras_mixsize.regimes.hashing import WORD, fold

_FLIP = 4  # the draw that decides the flip, the same in every augmentation


class Windows(NamedTuple):
    """Where each output image is cut from its source image; all float32 `[N]` in pixels, except `mirrored`, bool `[N]`.

    A window may reach over the image's border; what lies outside is black.
    """

    top: tf.Tensor
    left: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    mirrored: tf.Tensor


def uniform(seeds: tf.Tensor, draw: int | tf.Tensor) -> tf.Tensor:
    """Return one random number per image.

    Args:
        seeds: uint32 `[N]`, one seed per image.
        draw: number of the draw, or uint32 `[K, 1]` for K draws at once; different draws of a seed are independent.

    Returns:
        float32 `[N]`, or `[K, N]`, in [0, 1).
    """
    return tf.cast(fold(seeds, draw) // 256, tf.float32) * (256.0 / WORD)  # 24 bits are what float32 holds


@dataclasses.dataclass(frozen=True)
class WholeImage:
    """No augmentation: the window is the image."""

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a window per image; see `PadCropFlip.windows`."""
        del seeds
        zeros = tf.zeros_like(heights)
        return Windows(zeros, zeros, heights, widths, zeros > 0)


@dataclasses.dataclass(frozen=True)
class CenterCrop:
    """The central square of an image, as the usual ImageNet test: resize the shorter side to S * 8/7, crop S.

    Attributes:
        share: side of the square, as a share of the image's shorter side.

    Raises:
        ValueError: a share out of (0, 1].
    """

    share: float = 7 / 8

    def __post_init__(self):
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share!r}")

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a window per image, the same for every seed; see `PadCropFlip.windows`."""
        del seeds
        side = tf.maximum(tf.round(self.share * tf.minimum(heights, widths)), 1.0)
        return Windows(tf.floor((heights - side) / 2), tf.floor((widths - side) / 2), side, side, side < 0)


@dataclasses.dataclass(frozen=True)
class PadCropFlip:
    """Pad with black, crop at the original size at random, flip left-right at random: the usual CIFAR augmentation.

    Attributes:
        padding: pixels of the source image added on each side; or a `BySize` of them, rounded.
        flip: mirror half of the images.
    """

    padding: int | BySize = 4
    flip: bool = True

    def __post_init__(self):
        if min(literals(self.padding)) < 0:
            raise ValueError(f"padding must not be negative, got {self.padding!r}")

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a random window for each output image.

        Args:
            heights, widths: float32 `[N]`, of the source images in pixels.
            seeds: uint32 `[N]`.

        Raises:
            ValueError: a padding that depends on the size, which `windows_at_size` is told.
        """
        _check_fixed("padding", self.padding)
        return self.windows_at_size(heights, widths, seeds, 1)

    def windows_at_size(
        self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor, size: tf.Tensor | int
    ) -> Windows:
        """Return a random window for each output image; see `windows`.

        Args:
            heights, widths: float32 `[N]`, of the source images in pixels.
            seeds: uint32 `[N]`.
            size: side of the output images in pixels, int32 scalar or integer.
        """
        padding = tf.round(tf.cast(value_at(self.padding, size), tf.float32))
        top, left, mirror = _draw(seeds, 0, 1, _FLIP)
        top = tf.floor(top * (2 * padding + 1)) - padding
        left = tf.floor(left * (2 * padding + 1)) - padding
        return Windows(top, left, heights, widths, (mirror < 0.5) & self.flip)


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop:
    """Crop a random share of the area at a random aspect ratio, flip at random: the usual ImageNet augmentation.

    A ratio that does not fit into the image is brought back to the nearest one that does, instead of being drawn again.

    Attributes:
        area: smallest and largest share of the image's area; each may be a `BySize`.
        ratio: smallest and largest width / height, drawn evenly in its logarithm.
        flip: mirror half of the images.

    Source: Szegedy et al., "Going deeper with convolutions", arXiv 1409.4842.
    """

    area: tuple[float | BySize, float | BySize] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True

    def __post_init__(self):
        if not all(0 < least <= most <= 1 for least, most in _pairs(*self.area)):
            raise ValueError(f"area must be two shares with 0 < smallest <= largest <= 1, got {self.area!r}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be two numbers with 0 < smallest <= largest, got {self.ratio!r}")

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a random window for each output image; see `PadCropFlip.windows`."""
        for share in self.area:
            _check_fixed("area", share)
        return self.windows_at_size(heights, widths, seeds, 1)

    def windows_at_size(
        self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor, size: tf.Tensor | int
    ) -> Windows:
        """Return a random window for each output image; see `PadCropFlip.windows_at_size`."""
        area, ratio, top, left, mirror = _draw(seeds, 0, 1, 2, 3, _FLIP)
        area = heights * widths * _between(area, *(value_at(share, size) for share in self.area))
        ratio = tf.exp(_between(ratio, *map(math.log, self.ratio)))
        ratio = tf.clip_by_value(ratio, area / heights**2, widths**2 / area)
        height = tf.clip_by_value(tf.round(tf.sqrt(area / ratio)), 1.0, heights)
        width = tf.clip_by_value(tf.round(tf.sqrt(area * ratio)), 1.0, widths)
        top = tf.floor(top * (heights - height + 1))
        left = tf.floor(left * (widths - width + 1))
        return Windows(top, left, height, width, (mirror < 0.5) & self.flip)


def _between(share: tf.Tensor, low: float | tf.Tensor, high: float | tf.Tensor) -> tf.Tensor:
    return low + share * (high - low)


def _pairs(*options: float | BySize) -> list[tuple[float, ...]]:
    """Return the options together at every size at which one of them is given."""
    sizes = sorted({size for option in options if isinstance(option, BySize) for size in option.sizes}) or [1]
    return [tuple(option(size) if isinstance(option, BySize) else option for option in options) for size in sizes]


def _check_fixed(name: str, value: float | BySize) -> None:
    if isinstance(value, BySize):
        raise ValueError(f"{name} must be a number where no size is given, got {value!r}; use windows_at_size")


def _draw(seeds: tf.Tensor, *draws: int) -> list[tf.Tensor]:
    """Return `uniform` of several draws, hashed together: per image, the number of operations is what costs time."""
    return tf.unstack(uniform(seeds, tf.constant(draws, tf.uint32)[:, None]))


@runtime_checkable
class Augmentation(Protocol):
    """What an augmentation must offer, the user's own ones included."""

    def windows(self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor) -> Windows:
        """Return a window for each output image; see `PadCropFlip.windows`."""


@runtime_checkable
class SizedAugmentation(Protocol):
    """What an augmentation offers, instead of `windows` alone, if its windows depend on the size of the output."""

    def windows_at_size(
        self, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor, size: tf.Tensor | int
    ) -> Windows:
        """Return a window for each output image; see `PadCropFlip.windows_at_size`."""


def draw_windows(
    augmentation: Augmentation, heights: tf.Tensor, widths: tf.Tensor, seeds: tf.Tensor, size: tf.Tensor | int
) -> Windows:
    """Return an augmentation's windows for images of a size; see `PadCropFlip.windows_at_size`."""
    if isinstance(augmentation, SizedAugmentation):
        return augmentation.windows_at_size(heights, widths, seeds, size)
    return augmentation.windows(heights, widths, seeds)
