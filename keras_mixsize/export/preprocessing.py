"""Preprocessing: what an export does to an image before the network sees it, as a value and as TensorFlow operations.

The graph of an export holds it, so a client sends what it has: arrays of any size or encoded files. Neighbours:
`signatures` (who calls it); the checks of a header are those of the room `sources`.

    preprocessing = Preprocessing(center_crop=7 / 8)
    preprocessing.prepare(images, size=32)                  # [N, H, W, C] uint8 or float32 -> [N, 32, 32, C] float32
    preprocessing.decode(data[None], size=32, channels=3, max_pixels=40_000_000)        # [N] string -> the same
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import tensorflow as tf

from keras_mixsize.arguments import check_choice
from keras_mixsize.images.augmentations import CenterCrop
from keras_mixsize.images.batch_headers import JPEG, PNG
from keras_mixsize.images.formats import header_of
from keras_mixsize.images.orientation import turned, turns
from keras_mixsize.images.transform import INTERPOLATION
from keras_mixsize.sources.damage import FAULTS, FORMAT, GOOD, data_fault

DCT_SCALES = (1, 2, 4, 8)  # by how much libjpeg can shrink while it decodes
_DECODED_AT_ONCE = 4  # images of one batch; more would only add to the peak of memory


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input.

    Attributes:
        center_crop: side of the central square that is looked at, as a share of the shorter side; None for the whole
            image, whatever its shape.
        interpolation: `"bilinear"`, `"bicubic"` or `"nearest"`.
        antialias: widen the filter when shrinking.
        mean, std: per channel, of values in [0, 1]; the network gets (value - mean) / std. None for networks that
            normalise by themselves, as those of `models` do.

    Raises:
        ValueError: a share out of (0, 1], an unknown interpolation, only one of mean and std, or a std that is not
            positive.
    """

    center_crop: float | None = None
    interpolation: str = "bilinear"
    antialias: bool = True
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self):
        check_choice("interpolation", self.interpolation, INTERPOLATION)
        if self.center_crop is not None and not 0 < self.center_crop <= 1:
            raise ValueError(f"center_crop must be in (0, 1] or None, got {self.center_crop!r}")
        if (self.mean is None) != (self.std is None):
            raise ValueError(f"mean and std must be given together, got mean={self.mean!r} and std={self.std!r}")
        if self.std is not None and (len(self.std) != len(self.mean) or min(self.std) <= 0):
            raise ValueError(f"std must be a positive number for each of mean's {len(self.mean)}, got {self.std!r}")

    @classmethod
    def of_report(cls, about: dict) -> Preprocessing:
        """Return what `evaluate_sizes` did, from its report's `about`, so that the export has the accuracy reported.

        Raises:
            ValueError: the report's window is none that an export knows.
        """
        window = str(about.get("window", "WholeImage()"))
        share = re.fullmatch(r"CenterCrop\(share=([\d.e-]+)\)", window)
        if share is None and window != "WholeImage()":
            raise ValueError(f"preprocessing must be given for a report measured with the window {window}")
        options = {name: about[name] for name in ("interpolation", "antialias") if name in about}
        return cls(center_crop=float(share[1]) if share else None, **options)

    def check_channels(self, channels: int) -> None:
        """Raise a ValueError if mean and std are for another number of channels."""
        if self.mean is not None and len(self.mean) != channels:
            raise ValueError(f"mean and std must have the model's {channels} channels, got {len(self.mean)}")

    def prepare(self, images: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
        """Return images as the network's input.

        Args:
            images: `[N, H, W, C]`, uint8 or float32 in [0, 1].
            size: side of the result in pixels, an integer or an int32 scalar.

        Returns:
            `[N, size, size, C]` float32.
        """
        sides = tf.shape(images)[1:3]
        is_there = tf.reduce_all(sides == size) & (self.center_crop is None)
        resized = tf.cond(is_there, lambda: _unit_range(images, images.dtype), lambda: self._resized(images, size))
        resized = tf.ensure_shape(resized, [None, None, None, images.shape[-1]])
        return self.normalise(resized)

    def normalise(self, images: tf.Tensor) -> tf.Tensor:
        """Return float32 images in [0, 1] with mean and std applied."""
        return (
            images
            if self.mean is None
            else (images - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        )

    def decode(self, data: tf.Tensor, size: int | tf.Tensor, channels: int, max_pixels: int) -> tf.Tensor:
        """Return encoded images as the network's input; a JPEG is decoded at the DCT scale that fits.

        Args:
            data: string `[N]`, JPEG or PNG.
            size: side of the result in pixels, an integer or an int32 scalar.
            channels: 1 (grey) or 3 (RGB); images are converted.
            max_pixels: the most that an image may claim in its header.

        Returns:
            `[N, size, size, channels]` float32.

        Raises:
            tf.errors.InvalidArgumentError: when the graph runs, if an image is empty, no JPEG or PNG, too large by its
                header (which is read before anything is decoded), or broken.
        """

        def one(item):
            index, data = item
            with tf.control_dependencies([_check_header(index, data, max_pixels)]):
                pixels = _decode_scaled(tf.identity(data), size, self.center_crop or 1.0, channels)
            return self.prepare(pixels[None], size)[0]

        spec = tf.TensorSpec([None, None, channels], tf.float32)
        numbered = (tf.range(tf.shape(data)[0]), data)
        return tf.map_fn(one, numbered, fn_output_signature=spec, parallel_iterations=_DECODED_AT_ONCE)

    def _resized(self, images: tf.Tensor, size) -> tf.Tensor:
        images = images if self.center_crop is None else central_square(images, self.center_crop)
        # Resized first and divided after: a large image is never held as floats
        resized = _unit_range(_resize(images, size, self.interpolation, self.antialias), images.dtype)
        return tf.clip_by_value(resized, 0.0, 1.0) if self.interpolation == "bicubic" else resized


def _resize(images: tf.Tensor, size, interpolation: str, antialias: bool) -> tf.Tensor:
    """Return what `tf.image.resize` gives for each image, several times faster for a batch of grey ones.

    Its kernel goes through the channels in the innermost loop, so the images are laid side by side as the channels of
    one.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    channels = images.shape[-1]
    together = tf.reshape(tf.transpose(images, [1, 2, 0, 3]), [1, height, width, count * channels])
    resized = tf.image.resize(together, [size, size], method=interpolation, antialias=antialias)
    return tf.transpose(tf.reshape(resized, [size, size, count, channels]), [2, 0, 1, 3])


def _unit_range(values: tf.Tensor, source: tf.DType) -> tf.Tensor:
    """Return float32 in [0, 1] of values that came from images of dtype `source`."""
    values = tf.cast(values, tf.float32)
    return values / 255.0 if source == tf.uint8 else values


def central_square(images: tf.Tensor, share: float) -> tf.Tensor:
    """Return the central square of each image, `share` of the shorter side long.

    Args:
        images: `[N, H, W, C]`.
        share: in (0, 1].
    """
    height, width = tf.unstack(tf.cast(tf.shape(images)[1:3], tf.float32)[:, None])
    window = CenterCrop(share).windows(height, width, tf.zeros([1], tf.uint32))
    top, left, side = (tf.cast(edge[0], tf.int32) for edge in window[:3])
    return images[:, top : top + side, left : left + side]


def _check_header(index: tf.Tensor, data: tf.Tensor, max_pixels: int) -> tf.Operation:
    """Return an operation that fails if an image's first bytes show that it must not be decoded."""
    fault = data_fault(data, max_pixels)
    other = (header_of(data).formats[0] > PNG) & (fault == GOOD)  # that servers of older TensorFlow cannot decode
    fault = tf.where(other, FORMAT, fault)
    texts = [*FAULTS[:FORMAT], "it is neither JPEG nor PNG", *FAULTS[FORMAT + 1 :]]
    text = tf.strings.join(["image ", tf.strings.as_string(index), " cannot be used: ", tf.gather(texts, fault)])
    remedy = f"; send JPEG or PNG files of at most {_in_words(max_pixels)} (max_pixels)"
    return tf.debugging.Assert(fault == GOOD, [text, remedy])


def _in_words(pixels: int) -> str:
    return f"{pixels // 10**6} megapixels" if pixels % 10**6 == 0 else f"{pixels} pixels"


def _decode_scaled(data: tf.Tensor, size, share: float, channels: int) -> tf.Tensor:
    """Return the pixels as they are shown, uint8 `[H, W, channels]`, at the smallest DCT scale that covers `size`."""
    header = header_of(data)

    def scale():
        window = share * tf.cast(tf.reduce_min(header.sides), tf.float32)
        fits = window / tf.constant(DCT_SCALES, tf.float32) >= tf.cast(size, tf.float32)
        return tf.maximum(tf.reduce_sum(tf.cast(fits, tf.int32)) - 1, 0)

    scales = [lambda ratio=ratio: tf.image.decode_jpeg(data, channels, ratio=ratio) for ratio in DCT_SCALES]
    branches = [*scales, lambda: tf.image.decode_png(data, channels)]
    pixels = tf.switch_case(tf.cond(header.formats[0] == JPEG, scale, lambda: len(DCT_SCALES)), branches)
    return turned(tf.ensure_shape(pixels, [None, None, channels]), turns(header.orientations, [False])[0])
