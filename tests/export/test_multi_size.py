"""One network with statistics per size, against the model calibrated at that size."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.evaluation.statistics import batch_norm_layers, get_statistics
from keras_mixsize.export.multi_size import MultiSizeNetwork, statistics_of_sizes

SIZES = (8, 12)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((40, 12, 12, 1)).astype("float32")


@pytest.mark.parametrize("size", SIZES)
def test_logits_are_those_of_the_model_calibrated_at_the_size(network, images, size):
    multi = MultiSizeNetwork(network, statistics_of_sizes(network, images, SIZES, batches=200))
    resized = kms.images.resize(images[:4], size)
    with kms.calibrated(network, images, size):
        expected = network(resized, training=False)
    np.testing.assert_allclose(multi.logits(resized, multi.index(size)), expected, atol=1e-6)


def test_measuring_leaves_the_model_as_it_was(network, images):
    before = get_statistics(network)
    statistics_of_sizes(network, images, SIZES, batches=200)
    np.testing.assert_array_equal(get_statistics(network)[0].mean, before[0].mean)


def test_without_images_every_size_has_the_models_own_statistics(network):
    found = statistics_of_sizes(network, None, SIZES, batches=200)
    for size in SIZES:
        np.testing.assert_array_equal(found[size][1].variance, get_statistics(network)[1].variance)


def test_weights_are_there_once_and_statistics_once_per_size(network, images):
    multi = MultiSizeNetwork(network, statistics_of_sizes(network, images, SIZES, batches=200))
    weights = sum(weight.numpy().size for weight in network.trainable_weights)
    statistics = sum(2 * layer.moving_mean.shape[0] for layer in batch_norm_layers(network))
    assert sum(variable.shape.num_elements() for variable in multi.variables) == weights + len(SIZES) * statistics


def test_frozen_layers_keep_their_own_statistics(network, images):
    frozen, _ = batch_norm_layers(network)
    frozen.trainable = False
    frozen.moving_mean.assign(np.full(16, 0.25, "float32"))
    multi = MultiSizeNetwork(network, statistics_of_sizes(network, images, SIZES, batches=200))
    with kms.calibrated(network, images, 12):
        expected = network(images[:4], training=False)
    np.testing.assert_allclose(multi.logits(tf.constant(images[:4]), multi.index(12)), expected, atol=1e-6)


def test_a_network_of_probabilities_gives_their_logarithms(network, images):
    softmax = keras.Model(network.input, keras.layers.Softmax()(network.output))
    multi = MultiSizeNetwork(softmax, statistics_of_sizes(softmax, None, SIZES, batches=200))
    logits = multi.logits(tf.constant(images[:4]), multi.index(12))
    np.testing.assert_allclose(tf.nn.softmax(logits), softmax(images[:4], training=False), atol=1e-6)


def test_a_network_without_batch_norm_is_the_same_at_every_size(images):
    inputs = keras.Input((None, None, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    multi = MultiSizeNetwork(keras.Model(inputs, pooled), {8: [], 12: []})
    np.testing.assert_array_equal(*(multi.logits(tf.constant(images), multi.index(size)) for size in SIZES))


def test_statistics_of_another_network_are_refused(network):
    with pytest.raises(ValueError, match="2 BatchNormalization layers, got"):
        MultiSizeNetwork(network, {8: []})


def test_outputs_that_are_no_classes_are_refused():
    network = tiny_network()
    features = keras.Model(network.input, network.layers[-3].output)
    with pytest.raises(ValueError, match="at least 2 classes"):
        MultiSizeNetwork(features, statistics_of_sizes(features, None, [8], batches=200))
