"""Images: bytes to pixels, pure functions inside the graph.

`headers` and `formats` read what kind of file it is, `augmentations` draws which window each copy shows, `rendering`,
`regions` and `decoding` make its pixels, `step_images` leave the flip to the training step, `transform` is all of it
as one value. `mixing` and `randaugment` change finished images.

    transform = Transform(PadCropFlip(padding=4), batch_map=MixUp(classes=10))
    pixels = render_encoded(data, seeds, size, transform, channels=3)     # [D, size, size, 3] uint8
"""

from keras_mixsize.images.augmentations import (
    Augmentation,
    CenterCrop,
    PadCropFlip,
    RandomResizedCrop,
    SizedAugmentation,
    WholeImage,
    Windows,
    draw_windows,
    uniform,
)
from keras_mixsize.images.decoding import render_batch, render_encoded
from keras_mixsize.images.formats import decode
from keras_mixsize.images.headers import PIXEL_LIMIT
from keras_mixsize.images.mixing import CutMix, MixUp, OneOf, SmoothLabels
from keras_mixsize.images.randaugment import RandAugment, rand_augment
from keras_mixsize.images.rendering import render, render_windows, resize, resize_on_device, to_float
from keras_mixsize.images.step_images import StepImages, images_of, mirror_inputs
from keras_mixsize.images.transform import INTERPOLATION, Transform

__all__ = [
    "CutMix",
    "MixUp",
    "OneOf",
    "RandAugment",
    "SizedAugmentation",
    "SmoothLabels",
    "resize_on_device",
    "INTERPOLATION",
    "Augmentation",
    "CenterCrop",
    "PIXEL_LIMIT",
    "PadCropFlip",
    "RandomResizedCrop",
    "StepImages",
    "Transform",
    "WholeImage",
    "Windows",
    "decode",
    "draw_windows",
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
