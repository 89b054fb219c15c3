"""EfficientNet-B0, for images of any size.

Neighbours: `drop_path` (stochastic depth).

    network = efficientnet_b0(classes=1000)        # 5.3 M parameters, logits
"""

from __future__ import annotations

from typing import NamedTuple

import keras
from keras import layers

from keras_mixsize.models.drop_path import DropPath, check_rates


class Stage(NamedTuple):
    """Blocks of one kind; only the first of them is strided.

    Attributes:
        expansion: filters inside a block, in multiples of its input channels.
        kernel: side of the depthwise convolution in pixels.
        filters: channels of the output.
        blocks: how many.
        strides: of the first block.
    """

    expansion: int
    kernel: int
    filters: int
    blocks: int
    strides: int


STAGES = (
    Stage(1, 3, 16, 1, 1),
    Stage(6, 3, 24, 2, 2),
    Stage(6, 5, 40, 2, 2),
    Stage(6, 3, 80, 3, 2),
    Stage(6, 5, 112, 3, 1),
    Stage(6, 5, 192, 4, 2),
    Stage(6, 3, 320, 1, 1),
)
_NORMAL = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def efficientnet_b0(*, classes: int, channels: int = 3, drop_path: float = 0.2, dropout: float = 0.2) -> keras.Model:
    """Return EfficientNet-B0: 16 inverted bottlenecks with squeeze-and-excitation and stochastic depth.

    Args:
        classes: number of logits.
        channels: of the images.
        drop_path: rate at which residual branches would be dropped after the last block; it grows linearly from 0 at
            the first.
        dropout: rate before the logits.

    Returns:
        A Keras model from images `[N, H, W, channels]`, float32 in [0, 1], to logits `[N, classes]`. Its stride is 32.

    Raises:
        ValueError: a rate out of range.

    Source: Tan, Le, "EfficientNet", arXiv 1905.11946, table 1; initialisation (normal by fan-out, logits uniform by
    fan-out), batch norm (epsilon 1e-3, momentum 0.99), "same" padding and the growth of the rate as in the authors'
    published code.
    """
    check_rates(drop_path=drop_path, dropout=dropout)
    inputs = keras.Input((None, None, channels), name="image")
    x = _swish(_batch_norm(_conv(inputs, 32, 3, strides=2)))
    blocks = [(stage, 1 if block else stage.strides) for stage in STAGES for block in range(stage.blocks)]
    for index, (stage, strides) in enumerate(blocks):
        x = _inverted_bottleneck(x, stage, strides=strides, drop_path=drop_path * index / len(blocks))
    x = layers.GlobalAveragePooling2D()(_swish(_batch_norm(_conv(x, 1280, 1))))
    if dropout:
        x = layers.Dropout(dropout)(x)
    uniform = keras.initializers.VarianceScaling(1 / 3, mode="fan_out", distribution="uniform")
    logits = layers.Dense(classes, kernel_initializer=uniform, dtype="float32")(x)
    return keras.Model(inputs, logits, name="efficientnet_b0")


def _inverted_bottleneck(x, stage: Stage, *, strides: int, drop_path: float):
    filters_in, y = x.shape[-1], x
    if stage.expansion > 1:
        y = _swish(_batch_norm(_conv(y, stage.expansion * filters_in, 1)))
    options = {"padding": "same", "use_bias": False, "depthwise_initializer": _NORMAL.clone()}
    y = _swish(_batch_norm(layers.DepthwiseConv2D(stage.kernel, strides, **options)(y)))
    y = _squeeze_and_excite(y, filters_in // 4)
    y = _batch_norm(_conv(y, stage.filters, 1))
    if strides > 1 or filters_in != stage.filters:
        return y
    if drop_path:
        y = DropPath(drop_path)(y)
    return layers.Add()([y, x])


def _squeeze_and_excite(x, filters: int):
    scale = layers.GlobalAveragePooling2D(keepdims=True)(x)
    scale = _conv(scale, filters, 1, activation="silu", use_bias=True)
    scale = _conv(scale, x.shape[-1], 1, activation="sigmoid", use_bias=True)
    return layers.Multiply()([x, scale])


def _conv(x, filters: int, kernel: int, **options):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": _NORMAL.clone()} | options
    return layers.Conv2D(filters, kernel, **options)(x)


def _batch_norm(x):
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x)


def _swish(x):
    return layers.Activation("silu")(x)
