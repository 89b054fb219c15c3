"""Images: the public names of `augmentations`, `transform`, `rendering`, `decoding`, `mixing` and `randaugment`.

The only module that may import keras_cv. Used by the sources, `calibration` and `evaluation`.

    transform = Transform(PadCropFlip(padding=4), batch_map=MixUp(classes=10))
    pixels = render_encoded(data, seeds, size, transform, channels=3)     # [D, size, size, 3] uint8
"""

from __future__ import annotations

import keras

from keras_mixsize.augmentations import (
    Augmentation,
    CenterCrop,
    PadCropFlip,
    RandomResizedCrop,
    WholeImage,
    Windows,
    uniform,
)
from keras_mixsize.decoding import PIXEL_LIMIT, decode, render_batch, render_encoded
from keras_mixsize.mixing import CutMix, MixUp, OneOf
from keras_mixsize.randaugment import RandAugment
from keras_mixsize.rendering import render, render_windows, resize, resize_on_device, to_float
from keras_mixsize.transform import INTERPOLATION, Transform, images_of, mirror_inputs

__all__ = [
    "CutMix",
    "MixUp",
    "OneOf",
    "RandAugment",
    "resize_on_device",
    "INTERPOLATION",
    "Augmentation",
    "CenterCrop",
    "PIXEL_LIMIT",
    "PadCropFlip",
    "RandomResizedCrop",
    "Transform",
    "WholeImage",
    "Windows",
    "decode",
    "images_of",
    "mirror_inputs",
    "rand_augment",
    "render",
    "render_batch",
    "render_encoded",
    "render_windows",
    "resize",
    "to_float",
    "uniform",
]


def rand_augment(augmentations_per_image: int = 2, magnitude: float = 0.5) -> keras.layers.Layer:
    """Return keras_cv's RandAugment for `Transform(batch_map=...)` and colour images.

    It keeps random state of its own, so a resumed run is not bitwise equal.

    Source: Cubuk et al., "RandAugment", arXiv 1909.13719.
    """
    import keras_cv  # here, because importing it takes seconds and few programs need it

    return keras_cv.layers.RandAugment(
        value_range=(0, 1), augmentations_per_image=augmentations_per_image, magnitude=magnitude
    )
