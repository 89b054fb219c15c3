"""Which weights the L2 weight decay acts on.

Used by `training`, which adds the decay to their gradients.

    decayed = decayed_weights(network, "kernels")
    [weight.path for weight in network.trainable_weights if id(weight) in decayed]
"""

from __future__ import annotations

import keras

L2_FILTERS = ("kernels", "no_depthwise", "all")


def decayed_weights(network: keras.Model, l2_filter: str) -> set[int]:
    """Return the `id` of each trainable weight that decays.

    Args:
        network: any Keras model.
        l2_filter: `"kernels"`: weights of two or more dimensions, so neither biases nor batch norm; `"no_depthwise"`:
            kernels but those of depthwise convolutions; `"all"`.

    Source: the filters of the training code published with arXiv 1908.08986.
    """
    weights = network.trainable_weights
    if l2_filter == "all":
        return {id(weight) for weight in weights}
    kernels = {id(weight) for weight in weights if len(weight.shape) >= 2}
    return kernels - _depthwise_kernels(network) if l2_filter == "no_depthwise" else kernels


def _depthwise_kernels(network: keras.Model) -> set[int]:
    layers = network._flatten_layers(include_self=False)
    depthwise = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
    return {id(layer.kernel) for layer in layers if isinstance(layer, depthwise)}
