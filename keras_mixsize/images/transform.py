"""Transform: how a source image becomes a training image, as one value, and the user's own maps at its end.

Imports `augmentations`, `rendering` and `step_images`. Sources read its fields while they render; `input` calls
`finish` on every batch.

    transform = Transform(RandomResizedCrop(), dtype="uint8")
    images, labels = transform.finish(images, labels, seeds)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_mixsize.arguments import check_choice
from keras_mixsize.images.augmentations import Augmentation, WholeImage
from keras_mixsize.images.rendering import to_float
from keras_mixsize.images.step_images import StepImages, is_finished
from keras_mixsize.regimes.hashing import fold

INTERPOLATION = ("bilinear", "bicubic", "nearest")
DTYPES = ("float32", "uint8")
DECODING = ("fast", "exact")


@dataclasses.dataclass(frozen=True)
class Transform:
    """How a source image becomes a training image.

    Attributes:
        augmentation: `WholeImage()`, `PadCropFlip()`, `RandomResizedCrop()` or an object with the same `windows`.
        interpolation: `"bilinear"`, `"bicubic"` or `"nearest"`.
        antialias: widen the filter when shrinking, so that no source pixel is skipped.
        decode: `"fast"` decodes a file only as far as the windows and the size need, `"exact"` in full; see `decoding`.
            Images in memory are always rendered exactly.
        exif: turn JPEG files as their Exif orientation says, as image viewers do; False takes them as they are stored.
        dtype: `"float32"`, in [0, 1], or `"uint8"`, in 0..255: a quarter of the bytes to the device.
        in_step: sources may leave mirroring to the training step, see `StepImages`; `MixSizeDataset.for_step` sets it.
        image_map: function of (image `[S, S, C]` float32 in [0, 1], seed int32 `[2]` for `tf.image.stateless_*`)
            that returns the image, changed but of the same shape; or a Keras layer.
        batch_map: function of (images `[B*D, S, S, C]` float32 in [0, 1], labels, seed int32 `[2]`) that returns images
            and labels; or a Keras layer, which gets the images only.

    Keras and keras_cv layers keep their own random state: with them a resumed run is not bitwise equal, and parallel
    calls change what each image gets.

    Raises:
        ValueError: an unknown interpolation, dtype or way to decode, a map or augmentation that is none, or `in_step`
            where images are floats before they are mirrored, with a map or exact decoding; or an `exif` that is none.
    """

    augmentation: Augmentation = WholeImage()
    interpolation: str = "bilinear"
    antialias: bool = True
    decode: str = "fast"
    dtype: str = "float32"
    in_step: bool = False
    image_map: Callable | None = None
    batch_map: Callable | None = None
    exif: bool = True

    def __post_init__(self):
        check_choice("interpolation", self.interpolation, INTERPOLATION)
        check_choice("decode", self.decode, DECODING)
        check_choice("dtype", self.dtype, DTYPES)
        if not isinstance(self.augmentation, Augmentation):
            raise ValueError(
                "augmentation must be an object with the method windows, such as PadCropFlip(), got "
                f"{self.augmentation!r}"
            )
        for name in ("image_map", "batch_map"):
            value = {"image_map": self.image_map, "batch_map": self.batch_map}[name]
            if value is not None and not callable(value):
                raise ValueError(f"{name} must be a function or a Keras layer, got {value!r}")
        if self.exif not in (False, True):
            raise ValueError(f"exif must be False or True, got {self.exif!r}")
        if self.in_step not in (False, True) or (self.in_step and not self.can_be_in_step):
            raise ValueError(
                "in_step must be False or True, and False with image_map, batch_map or decode='exact', got "
                f"{self.in_step!r}"
            )

    @property
    def can_be_in_step(self) -> bool:
        """Whether nothing here needs finished images before the training step has them."""
        return self.decode == "fast" and self.image_map is None and self.batch_map is None

    def finish(
        self, images: tf.Tensor | StepImages, labels: tf.Tensor, seeds: tf.Tensor
    ) -> tuple[tf.Tensor | StepImages, tf.Tensor]:
        """Return the batch after the user's own maps, in the dtype asked for; what is left to the step as it is.

        Args:
            images: `[N, S, S, C]`, uint8 or float32 in [0, 1]; or StepImages.
            labels: `[N]` or `[N, classes]`.
            seeds: uint32 `[N]`.
        """
        if not is_finished(images):
            return images, labels
        if self.image_map is not None:
            images = to_float(images)
            change, spec = _per_image(self.image_map), tf.TensorSpec(images.shape[1:], tf.float32)
            pairs = (images, _seed_pairs(seeds))
            images = _same_shape(tf.map_fn(lambda pair: change(*pair), pairs, fn_output_signature=spec), images)
        if self.batch_map is not None:
            images = to_float(images)
            changed, labels = _per_batch(self.batch_map)(images, labels, _seed_pairs(seeds[:1])[0])
            images = _same_shape(changed, images)
        return (_to_uint8(images) if self.dtype == "uint8" else to_float(images)), labels


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
    if images.dtype == tf.uint8:
        return images
    return tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255.0), tf.uint8)
