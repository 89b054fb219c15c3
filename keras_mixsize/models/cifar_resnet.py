"""The CIFAR-style residual network of depth 6n + 2, for images of any size.

Neighbours: `resnet` (batch norm).

    model = cifar_resnet(44, classes=10)        # 0.66 M parameters, logits
"""

from __future__ import annotations

import keras
from keras import layers

from keras_mixsize.models.resnet import batch_norm

SHORTCUTS = ("projection", "identity")
_HE_NORMAL = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def cifar_resnet(
    depth: int, *, classes: int, channels: int = 3, width: int = 16, shortcut: str = "projection"
) -> keras.Model:
    """Return a residual network with three stages of n basic blocks, depth = 6n + 2.

    The last batch norm of every block starts at zero, so that each block starts as the identity.

    Args:
        depth: 8, 14, 20, ... layers with weights.
        classes: number of logits.
        channels: of the images.
        width: filters of the first stage; doubled in each later one.
        shortcut: where a block changes the shape, a strided 1x1 convolution with batch norm (`"projection"`, as in the
            paper's code) or every second pixel with zero channels added (`"identity"`, as in the original network).

    Returns:
        A Keras model from images `[N, H, W, channels]`, float32 in [0, 1], to logits `[N, classes]`. Its stride is 4.

    Source: He, Zhang, Ren, Sun, "Deep residual learning", arXiv 1512.03385, section 4.2; initialisation (He normal by
    fan-out, batch norm with epsilon 1e-5 and momentum 0.9, zero gamma) as in the authors' code of arXiv 1908.08986.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, ...), got {depth}")
    if shortcut not in SHORTCUTS:
        raise ValueError(f"shortcut must be one of {SHORTCUTS}, got {shortcut!r}")
    inputs = keras.Input((None, None, channels), name="image")
    x = layers.ReLU()(batch_norm(_conv(inputs, width, 3)))
    for stage in range(3):
        for block in range(blocks):
            x = _basic_block(x, width * 2**stage, strides=2 if stage and not block else 1, shortcut=shortcut)
    x = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), dtype="float32")(x)
    return keras.Model(inputs, logits, name=f"resnet{depth}")


def _basic_block(x, filters: int, *, strides: int, shortcut: str):
    y = layers.ReLU()(batch_norm(_conv(x, filters, 3, strides)))
    y = batch_norm(_conv(y, filters, 3), gamma="zeros")
    if strides > 1 or x.shape[-1] != filters:
        x = _SHORTCUTS[shortcut](x, filters, strides)
    return layers.ReLU()(layers.Add()([x, y]))


def _project(x, filters: int, strides: int):
    return batch_norm(_conv(x, filters, 1, strides))


def _subsample(x, filters: int, strides: int):
    added = filters - x.shape[-1]
    x = layers.MaxPooling2D(1, strides)(x)
    x = layers.Permute((1, 3, 2))(x)  # ZeroPadding2D pads axes 1 and 2, so channels take the place of columns
    x = layers.ZeroPadding2D(((0, 0), (added // 2, added - added // 2)))(x)
    return layers.Permute((1, 3, 2))(x)


_SHORTCUTS = {"projection": _project, "identity": _subsample}


def _conv(x, filters: int, kernel: int, strides: int = 1):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": _HE_NORMAL.clone()}
    return layers.Conv2D(filters, kernel, strides, **options)(x)
