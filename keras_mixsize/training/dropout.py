"""Dropout by size: the rates of a network's dropout layers, scaled for the size of a step's images.

`model` traces a bucket's step inside `scaled_dropout`; a trace belongs to one size, so the rate is a constant in it.
Neighbour: `regimes.by_size`.

    with scaled_dropout(network, BySize({16: 0.5, 32: 1.0}), size=16):
        network(images, training=True)          # drops half as often
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from keras_mixsize.internals import layers_of
from keras_mixsize.regimes.by_size import BySize, literals


def dropout_rates(network: keras.Model) -> dict[keras.layers.Layer, float]:
    """Return the network's layers of dropout and stochastic depth, nested ones too, with their rates."""
    kinds = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)
    return {layer: layer.rate for layer in layers_of(network) if isinstance(layer, kinds)}


def check_dropout_scale(scale: float | BySize, network: keras.Model) -> None:
    """Raise a ValueError unless every rate stays in [0, 1) at every size.

    Args:
        scale: by what all rates are multiplied.
        network: its layers.
    """
    if min(literals(scale)) < 0:
        raise ValueError(f"dropout_scale must not be negative, got {scale!r}")
    rates = dropout_rates(network)
    if scale != 1.0 and not rates:
        raise ValueError(
            f"dropout_scale must be 1 for a network without dropout or stochastic depth, got {scale!r}; build the "
            "network with such layers"
        )
    largest = max(rates.values(), default=0.0)
    if largest * max(literals(scale)) >= 1:
        raise ValueError(f"dropout_scale must leave every rate below 1, got {scale!r} for a rate of {largest:g}")


@contextlib.contextmanager
def scaled_dropout(network: keras.Model, scale: float | BySize, size: int) -> Iterator[None]:
    """Multiply the rates of a network's dropout layers within a `with` block.

    Args:
        network: its layers.
        scale: by what, see `MixSizeModel`.
        size: of the images in pixels.
    """
    factor = scale(size) if isinstance(scale, BySize) else scale
    rates = {} if factor == 1.0 else dropout_rates(network)
    try:
        for layer, rate in rates.items():
            layer.rate = factor * rate
        yield
    finally:
        for layer, rate in rates.items():
            layer.rate = rate
