"""RandAugment: some random operations on each image, all of one strength, for `Transform(image_map=...)`.

It runs on the rendered image, so at the batch's size and not at the source's. Its draws are stateless, keyed by the
seed of each copy, so batches do not depend on the order of execution (keras_cv's ignores its seed).

    train = MixSizeDataset.from_folder("photos/train", regime=regime, image_map=RandAugment(layers=2, magnitude=9))

Source: Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space", arXiv
1909.13719; the ranges are those of AutoAugment, arXiv 1805.09501, table 6.
"""

from __future__ import annotations

import dataclasses
import math

import keras
import tensorflow as tf

from keras_mixsize.images.size_values import value_at
from keras_mixsize.regimes.by_size import BySize, literals


@dataclasses.dataclass(frozen=True)
class RandAugment:
    """Apply `layers` operations one after the other, each drawn from the paper's 14.

    Attributes:
        layers: operations per image.
        magnitude: their strength, 0 to 10, or a `BySize` of it; where an operation has a sign, it is random.

    Raises:
        ValueError: a negative number of layers, or a magnitude outside 0 to 10.
    """

    layers: int = 2
    magnitude: float | BySize = 9.0

    def __post_init__(self):
        if self.layers < 0:
            raise ValueError(f"layers must not be negative, got {self.layers!r}")
        if not all(0 <= magnitude <= 10 for magnitude in literals(self.magnitude)):
            raise ValueError(f"magnitude must lie in 0 to 10, got {self.magnitude!r}")

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the changed image.

        Args:
            image: float32 `[S, S, C]` in [0, 1], C 1 or 3.
            seed: int32 `[2]`.
        """
        choices = tf.random.stateless_uniform([self.layers], seed, 0, len(OPERATIONS), tf.int32)
        signs = tf.random.stateless_uniform([self.layers], tf.random.experimental.stateless_fold_in(seed, 1))
        magnitude = value_at(self.magnitude, tf.shape(image)[0])
        for layer in range(self.layers):
            strength = magnitude / 10 * tf.where(signs[layer] < 0.5, -1.0, 1.0)
            image = apply_operation(image, choices[layer], strength)
        return image


def apply_operation(image: tf.Tensor, choice: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Return the image after operation number `choice` of `OPERATIONS`.

    Args:
        image: float32 `[S, S, C]` in [0, 1].
        choice: int32 scalar.
        strength: float32 scalar in [-1, 1].
    """
    operations = [lambda change=change: change(image, strength) for change in OPERATIONS.values()]
    return tf.ensure_shape(tf.clip_by_value(tf.switch_case(choice, operations), 0.0, 1.0), image.shape)


# Colour


def _identity(image, strength):
    return image


def _brightness(image, strength):
    return _blend(tf.zeros_like(image), image, strength)


def _color(image, strength):
    return _blend(_grey(image), image, strength)


def _contrast(image, strength):
    return _blend(tf.reduce_mean(_grey(image)) * tf.ones_like(image), image, strength)


def _sharpness(image, strength):
    """The border keeps its pixels, as in Pillow."""
    kernel = tf.constant([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]])[:, :, None, None] / 13
    kernel = tf.tile(kernel, [1, 1, image.shape[-1], 1])
    smooth = tf.nn.depthwise_conv2d(image[None], kernel, [1, 1, 1, 1], "VALID")[0]
    inside = tf.pad(tf.ones_like(smooth), [[1, 1], [1, 1], [0, 0]]) > 0
    return _blend(tf.where(inside, tf.pad(smooth, [[1, 1], [1, 1], [0, 0]]), image), image, strength)


def _autocontrast(image, strength):
    low, high = (reduce(image, axis=[0, 1]) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, (image - low) / tf.where(high > low, high - low, 1.0), image)


def _equalize(image, strength):
    levels = tf.cast(tf.round(image * 255), tf.int32)
    return tf.stack([_equalize_channel(channel) for channel in tf.unstack(levels, axis=-1)], axis=-1)


def _equalize_channel(levels):
    """Return levels 0..255 with an even histogram, over 255; the rounding is Pillow's."""
    counts = tf.math.bincount(tf.reshape(levels, [-1]), minlength=256, maxlength=256)
    step = (tf.size(levels) - counts[tf.reduce_max(levels)]) // 255
    table = (step // 2 + tf.cumsum(counts, exclusive=True)) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(table, 255), tf.range(256))
    return tf.cast(tf.gather(table, levels), tf.float32) / 255


def _posterize(image, strength):
    """Keep 8 to 4 bits."""
    unit = 2 ** tf.cast(tf.round(4 * tf.abs(strength)), tf.int32)
    return tf.cast(tf.cast(tf.round(image * 255), tf.int32) // unit * unit, tf.float32) / 255


def _solarize(image, strength):
    """Invert what is brighter than a threshold: 1 to 0."""
    return tf.where(image >= 1 - tf.abs(strength), 1 - image, image)


def _blend(other, image, strength):
    """Return `other` at a factor of 0, the image at 1 and beyond it at up to 1.9."""
    return other + (1 + 0.9 * strength) * (image - other)


def _grey(image):
    """Return the image without colour, `[S, S, C]`."""
    if image.shape[-1] == 1:
        return image
    luma = tf.tensordot(image, tf.constant([0.299, 0.587, 0.114]), 1)[..., None]
    return tf.tile(luma, [1, 1, 3])


# Geometry; what comes from outside is black


def _rotate(image, strength):
    """Up to 30 degrees around the centre."""
    angle = strength * math.radians(30)
    return _transform(image, tf.cos(angle), -tf.sin(angle), 0.0, tf.sin(angle), tf.cos(angle), 0.0)


def _shear_x(image, strength):
    return _transform(image, 1.0, 0.3 * strength, 0.0, 0.0, 1.0, 0.0)


def _shear_y(image, strength):
    return _transform(image, 1.0, 0.0, 0.0, 0.3 * strength, 1.0, 0.0)


def _translate_x(image, strength):
    return _transform(image, 1.0, 0.0, _distance(image, strength), 0.0, 1.0, 0.0)


def _translate_y(image, strength):
    return _transform(image, 1.0, 0.0, 0.0, 0.0, 1.0, _distance(image, strength))


def _distance(image, strength):
    """Up to 150 of 331 pixels, which the paper trained at."""
    return strength * tf.cast(tf.shape(image)[0], tf.float32) * (150 / 331)


def _transform(image, a, b, c, d, e, f):
    """Return the image whose pixel at (x, y) from the centre comes from (a x + b y + c, d x + e y + f)."""
    sides = tf.shape(image)[:2]
    y, x = tf.unstack((tf.cast(sides, tf.float32) - 1) / 2)
    matrix = tf.stack([a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y, 0.0, 0.0])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None], transforms=matrix[None], output_shape=sides, fill_value=0.0, interpolation="BILINEAR"
    )[0]


OPERATIONS = {
    "identity": _identity,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "rotate": _rotate,
    "solarize": _solarize,
    "color": _color,
    "posterize": _posterize,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}


def rand_augment(augmentations_per_image: int = 2, magnitude: float = 0.5) -> keras.layers.Layer:
    """Return keras_cv's RandAugment for `Transform(batch_map=...)` and colour images.

    It keeps random state of its own, so a resumed run is not bitwise equal.

    Source: Cubuk et al., "RandAugment", arXiv 1909.13719.
    """
    import keras_cv  # here, because importing it takes seconds and few programs need it

    return keras_cv.layers.RandAugment(
        value_range=(0, 1), augmentations_per_image=augmentations_per_image, magnitude=magnitude
    )
