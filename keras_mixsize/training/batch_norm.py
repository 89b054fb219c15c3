"""Fused batch norm: TensorFlow's one kernel in a training step, in place of the moments and sums that Keras 3 makes.

`model` traces a bucket's step inside `fused_batch_norm`, so that any network has it, and files, calibration and exports
know Keras's own layer only. Neighbours: `internals` (how a layer's call is replaced), `dropout` (the same for rates).

    with fused_batch_norm(network):
        network(images, training=True)          # what is not trained, or of another form, is computed as Keras does

Source: Ioffe, Szegedy, "Batch normalization", arXiv 1502.03167.
"""

from __future__ import annotations

import contextlib

import keras
import tensorflow as tf

from keras_mixsize.internals import layers_of, replaced_calls

DTYPES = ("float32", "float16", "bfloat16")


def fused_batch_norm(network: keras.Model) -> contextlib.AbstractContextManager:
    """Compute a network's batch norms by the fused kernel where it can, within a `with` block.

    Outputs, gradients and moving statistics are those of Keras, up to rounding: the kernel gives the unbiased variance,
    of which Keras takes the biased one. Half precision is normalised in float32 inside the kernel.

    Args:
        network: its layers; those of other forms (another axis than the last, `synchronized`, `renorm`, other ranks
            than 4) and subclasses are left as they are.
    """
    return replaced_calls([layer for layer in layers_of(network) if _has_kernel(layer)], _fused)


def _has_kernel(layer: keras.layers.Layer) -> bool:
    if type(layer) is not keras.layers.BatchNormalization or layer.renorm or layer.synchronized:
        return False
    return layer.input_spec is not None and layer.input_spec.ndim == 4 and layer.axis in (-1, 3)


def _fused(layer: keras.layers.BatchNormalization, call):
    def call_fused(inputs, training=None, mask=None):
        fits = mask is None and keras.backend.standardize_dtype(inputs.dtype) in DTYPES
        if not (training and layer.trainable and fits):
            return call(inputs, training=training, mask=mask)
        return tf.cast(_normalised(layer, inputs), layer.compute_dtype)

    return call_fused


def _normalised(layer: keras.layers.BatchNormalization, inputs: tf.Tensor) -> tf.Tensor:
    """Return the normalised inputs `[N, H, W, C]`, and let the moving statistics follow those of the batch."""
    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.ones([channels]) if layer.gamma is None else tf.convert_to_tensor(layer.gamma),
        offset=tf.zeros([channels]) if layer.beta is None else tf.convert_to_tensor(layer.beta),
        mean=[],
        variance=[],
        epsilon=layer.epsilon,
        is_training=True,
    )
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    biased = variance * (tf.maximum(count - 1.0, 1.0) / count)
    for moving, found in ((layer.moving_mean, mean), (layer.moving_variance, biased)):
        moving.assign(moving * layer.momentum + found * (1.0 - layer.momentum))
    return outputs
