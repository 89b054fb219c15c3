"""The fused batch norm is Keras's own: outputs, gradients and moving statistics; what it cannot do is left to Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.training.batch_norm import fused_batch_norm

SHAPES = [(2, 4, 4, 3), (1, 1, 1, 2), (16, 7, 5, 8), (3, 1, 2, 1)]


def model_of(layer, shape):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((*shape[1:-1], shape[-1])), layer])
    for weight in layer.weights:
        weight.assign(np.random.default_rng(len(weight.path)).uniform(0.5, 1.5, weight.shape))
    return model


def step(model, images, fused):
    """Return outputs, gradients and new statistics of a training step, and the operations that it took."""
    layer = model.layers[-1]
    before = [weight.numpy() for weight in layer.weights]
    cotangent = np.random.default_rng(1).normal(size=images.shape).astype("float32")

    @tf.function
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            with fused_batch_norm(model) if fused else tf.name_scope("stock"):
                outputs = model(images, training=True)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * cotangent)
        return [outputs, *tape.gradient(loss, [images, *model.trainable_weights])]

    found = [np.array(tf.cast(value, tf.float32)) for value in run(tf.constant(images))]
    found += [weight.numpy() for weight in layer.weights]
    operations = [operation.type for operation in run.get_concrete_function(tf.constant(images)).graph.get_operations()]
    for weight, value in zip(layer.weights, before):
        weight.assign(value)
    return found, "FusedBatchNormV3" in operations


def images_of(shape, dtype="float32"):
    return tf.cast(np.random.default_rng(0).normal(2.0, 3.0, shape), dtype).numpy()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False, "momentum": 0.5}], ids=str)
def test_outputs_gradients_and_statistics_are_those_of_keras(shape, options):
    model = model_of(keras.layers.BatchNormalization(epsilon=1e-3, **options), shape)
    (own, fused), (stock, unfused) = (step(model, images_of(shape), fused) for fused in (True, False))
    assert fused and not unfused
    for one, other in zip(own, stock, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize("dtype, tolerance", [("mixed_bfloat16", 2**-7), ("mixed_float16", 2**-10)])
def test_half_precision_differs_by_a_rounding(dtype, tolerance):
    shape = (8, 6, 6, 16)
    model = model_of(keras.layers.BatchNormalization(dtype=dtype), shape)
    images = images_of(shape, dtype.removeprefix("mixed_"))
    (own, fused), (stock, _) = (step(model, images, fused) for fused in (True, False))
    assert fused
    for one, other in zip(own, stock, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize(
    "layer, shape",
    [
        (keras.layers.BatchNormalization(axis=1), (4, 3, 5, 2)),
        (keras.layers.BatchNormalization(), (4, 3)),
        (keras.layers.BatchNormalization(), (4, 5, 3)),
        (keras.layers.BatchNormalization(renorm=True), (4, 3, 5, 2)),
        (keras.layers.BatchNormalization(trainable=False), (4, 3, 5, 2)),
        (keras.layers.BatchNormalization(dtype="float64"), (4, 3, 5, 2)),
    ],
)
def test_what_the_kernel_cannot_do_is_left_to_keras(layer, shape):
    model = model_of(layer, shape)
    (own, fused), (stock, _) = (step(model, images_of(shape, layer.compute_dtype), fused) for fused in (True, False))
    assert not fused
    for one, other in zip(own, stock, strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_are_keras_own_again_after_the_block():
    network = tiny_network()
    with pytest.raises(KeyError), fused_batch_norm(network):
        raise KeyError
    assert not any("call" in vars(layer) for layer in network.layers)


def weights_after_training(data, **options):
    keras.utils.set_random_seed(1)
    model = kms.MixSizeModel.from_model(tiny_network(), **options)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    model.fit(data, steps_per_epoch=6, verbose=0)
    return model


def test_a_model_trains_with_it_as_without(train):
    fused, stock = (weights_after_training(train, fused_batch_norm=fused) for fused in (True, False))
    for one, other in zip(fused.network.weights, stock.network.weights):
        np.testing.assert_allclose(one, other, atol=1e-4, err_msg=one.path)
    again = kms.MixSizeModel.from_config(fused.get_config())
    assert again.fused_batch_norm and not kms.MixSizeModel.from_config(stock.get_config()).fused_batch_norm
