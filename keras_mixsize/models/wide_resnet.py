"""The wide residual network of depth 6n + 4, for images of any size.

Neighbours: `resnet` (convolution and batch norm).

    network = wide_resnet(28, 10, classes=10)        # 36.5 M parameters, logits
"""

from __future__ import annotations

import keras
from keras import layers

from keras_mixsize.models.drop_path import check_rates
from keras_mixsize.models.resnet import batch_norm, conv


def wide_resnet(
    depth: int = 28, widen: int = 10, *, classes: int, channels: int = 3, dropout: float = 0.0
) -> keras.Model:
    """Return a residual network with three stages of n wide blocks, batch norm first in each, depth = 6n + 4.

    Args:
        depth: 10, 16, 22, 28, ... layers with weights.
        widen: how many times wider than 16, 32 and 64 filters the stages are.
        classes: number of logits.
        channels: of the images.
        dropout: rate between the two convolutions of each block.

    Returns:
        A Keras model from images `[N, H, W, channels]`, float32 in [0, 1], to logits `[N, classes]`. Its stride is 4.

    Raises:
        ValueError: a depth that is not 6n + 4, a factor below 1, or a rate out of range.

    Source: Zagoruyko, Komodakis, "Wide residual networks", arXiv 1605.07146, table 1; initialisation (He normal by
    fan-out; logits uniform by fan-in), batch norm (epsilon 1e-5, momentum 0.9) and the projection of the activated maps
    as in the authors' published code.
    """
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise ValueError(f"depth must be 6n + 4 (10, 16, 22, 28, ...), got {depth}")
    if widen < 1:
        raise ValueError(f"widen must be at least 1, got {widen}")
    check_rates(dropout=dropout)
    inputs = keras.Input((None, None, channels), name="image")
    x = conv(inputs, 16, 3)
    for stage in range(3):
        for block in range(blocks):
            x = _wide_block(x, 16 * widen * 2**stage, strides=2 if stage and not block else 1, dropout=dropout)
    x = layers.GlobalAveragePooling2D()(_activate(x))
    uniform = keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")
    logits = layers.Dense(classes, kernel_initializer=uniform, dtype="float32")(x)
    return keras.Model(inputs, logits, name=f"wrn{depth}_{widen}")


def _wide_block(x, filters: int, *, strides: int, dropout: float):
    shortcut, y = x, _activate(x)
    if x.shape[-1] != filters:
        shortcut = conv(y, filters, 1, strides)
    y = _activate(conv(y, filters, 3, strides))
    if dropout:
        y = layers.Dropout(dropout)(y)
    return layers.Add()([shortcut, conv(y, filters, 3)])


def _activate(x):
    return layers.ReLU()(batch_norm(x))
