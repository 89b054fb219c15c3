"""Scaling: whether a network scales pixels of 0..255 itself, although it is given [0, 1].

Used by `checks`, which says so in the log: such a network trains, but on images that are nearly black.

    scaling_layer(network)          # the Rescaling of keras.applications' include_preprocessing=True, or None
"""

from __future__ import annotations

import itertools

import keras
import numpy as np

from keras_mixsize.internals import layers_of

_BY_BYTES = 0.1  # a scale below is for bytes: 1/255, 1/127.5
_MEAN_OF_BYTES = 2.0  # a mean above is one of bytes


def scaling_layer(network: keras.Model) -> keras.layers.Layer | None:
    """Return the layer that scales pixels of 0..255 down, before the first layer with trainable weights, if any.

    Args:
        network: any Keras model; one that is given 0..255 by a layer of its own, Rescaling(255), has none.
    """
    factor = 1.0
    for layer in itertools.takewhile(lambda layer: not layer.trainable_weights, _leaves(network)):
        if isinstance(layer, keras.layers.Rescaling):
            factor *= float(np.max(layer.scale))
            if factor < _BY_BYTES:
                return layer
        elif isinstance(layer, keras.layers.Normalization) and _mean(layer) > _MEAN_OF_BYTES * factor:
            return layer
    return None


def _mean(layer: keras.layers.Normalization) -> float:
    return 0.0 if layer.mean is None else float(np.max(keras.ops.convert_to_numpy(layer.mean)))


def _leaves(network: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in layers_of(network) if not isinstance(layer, keras.Model)]
