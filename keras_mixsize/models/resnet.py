"""ResNet-50, for images of any size, and the convolution and batch norm of residual networks.

Neighbours: `wide_resnet` uses the same convolution and batch norm, `cifar_resnet` the latter.

    network = resnet50(classes=1000)        # 25.6 M parameters, logits
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

STRIDES_IN = ("3x3", "1x1")
_HE_NORMAL = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def resnet50(*, classes: int, channels: int = 3, zero_gamma: bool = True, stride_in: str = "3x3") -> keras.Model:
    """Return the residual network of 50 layers with four stages of 3, 4, 6 and 3 bottleneck blocks.

    Strided convolutions and the pooling pad the same number of pixels on every side, so that a block's branch and its
    shortcut look at the same places, whatever the size.

    Args:
        classes: number of logits.
        channels: of the images.
        zero_gamma: whether the last batch norm of every block starts at zero: each block then starts as the identity.
        stride_in: the convolution of a block that shrinks the maps: `"3x3"` (4.1 G multiply-adds at 224 px), or
            `"1x1"`, the first one, as in the original network (3.9 G).

    Returns:
        A Keras model from images `[N, H, W, channels]`, float32 in [0, 1], to logits `[N, classes]`. Its stride is 32.

    Raises:
        ValueError: an unknown `stride_in`.

    Source: He, Zhang, Ren, Sun, "Deep residual learning", arXiv 1512.03385, table 1; initialisation (He normal by
    fan-out, zero gamma, logits from N(0, 0.01^2)), batch norm (epsilon 1e-5, momentum 0.9) and the stride in the 3x3
    convolution as in Goyal et al., "Accurate, large minibatch SGD", arXiv 1706.02677, section 5.1.
    """
    if stride_in not in STRIDES_IN:
        raise ValueError(f"stride_in must be one of {STRIDES_IN}, got {stride_in!r}")
    inputs = keras.Input((None, None, channels), name="image")
    x = layers.ReLU()(batch_norm(conv(inputs, 64, 7, 2)))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))  # a zero is never above the output of a ReLU
    options = {"gamma": "zeros" if zero_gamma else "ones", "stride_in": stride_in}
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            x = _bottleneck(x, 64 * 2**stage, strides=2 if stage and not block else 1, **options)
    x = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), dtype="float32")(x)
    return keras.Model(inputs, logits, name="resnet50")


def _bottleneck(x, filters: int, *, strides: int, gamma: str, stride_in: str):
    first, second = (strides, 1) if stride_in == "1x1" else (1, strides)
    shortcut = x if x.shape[-1] == 4 * filters else batch_norm(conv(x, 4 * filters, 1, strides))
    y = layers.ReLU()(batch_norm(conv(x, filters, 1, first)))
    y = layers.ReLU()(batch_norm(conv(y, filters, 3, second)))
    y = batch_norm(conv(y, 4 * filters, 1), gamma)
    return layers.ReLU()(layers.Add()([shortcut, y]))


def conv(x: Any, filters: int, kernel: int, strides: int = 1) -> Any:
    """Return a convolution without bias, initialised He normal by fan-out, that pads `kernel // 2` pixels a side."""
    padding = "same"
    if strides > 1 and kernel > 1:  # where "same" would pad one side more than the other
        x, padding = layers.ZeroPadding2D(kernel // 2)(x), "valid"
    options = {"padding": padding, "use_bias": False, "kernel_initializer": _HE_NORMAL.clone()}
    return layers.Conv2D(filters, kernel, strides, **options)(x)


def batch_norm(x: Any, gamma: str = "ones") -> Any:
    """Return batch norm with epsilon 1e-5 and momentum 0.9."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)(x)
