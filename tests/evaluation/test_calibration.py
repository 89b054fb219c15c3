"""Calibration against NumPy means of batch statistics."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.evaluation.calibration import measure_statistics
from keras_mixsize.evaluation.statistics import batch_norm_layers, get_statistics, set_statistics


@pytest.fixture
def images():
    return np.random.default_rng(0).random((130, 12, 12, 1)).astype("float32")


def convolve(network, index, x):
    """Return the input of batch norm number `index`, in NumPy terms of what comes before it."""
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    return np.asarray(convolutions[index](x), np.float64)


def normalise(layer, x, mean, variance):
    gamma, beta = (np.asarray(weight, np.float64) for weight in (layer.gamma, layer.beta))
    return np.maximum((x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta, 0)


def expected_statistics(network, batches):
    """Return mean over batches of batch means and variances, layer by layer, with dropout off."""
    layers = batch_norm_layers(network)
    sums = [[0, 0], [0, 0]]
    for batch in batches:
        x = batch
        for index, layer in enumerate(layers):
            x = convolve(network, index, x)
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
            sums[index][0] += mean / len(batches)
            sums[index][1] += variance / len(batches)
            x = normalise(layer, x, mean, variance)
    return sums


def assert_statistics(network, expected):
    for (mean, variance), (expected_mean, expected_variance) in zip(get_statistics(network), expected):
        np.testing.assert_allclose(mean, expected_mean, atol=1e-5)
        np.testing.assert_allclose(variance, expected_variance, atol=1e-5)


def test_statistics_are_the_means_of_batch_statistics_with_dropout_off(images):
    network = tiny_network(dropout=0.9)
    kms.calibrate(network, images, 12)
    assert_statistics(network, expected_statistics(network, [images[:64], images[64:128], images[128:]]))


def test_only_the_asked_number_of_batches_is_read(network, images):
    kms.calibrate(network, images, 12, batches=2)
    assert_statistics(network, expected_statistics(network, [images[:64], images[64:128]]))


def test_images_are_resized(network, images):
    resized = tf.image.resize(images[:64], [20, 20], antialias=True).numpy()
    kms.calibrate(network, images, 20, batches=1)
    assert_statistics(network, expected_statistics(network, [resized]))


def test_a_mixed_size_dataset_is_drawn_anew_at_the_size(network, train):
    kms.calibrate(network, train, 12, batches=3)
    batches = [images.numpy() for images, _ in train.at_size(12).take(3)]
    assert {batch.shape[1] for batch in batches} == {12}
    assert_statistics(network, expected_statistics(network, batches))


def test_uint8_images_count_as_unit_range(network, images):
    pixels = (images * 255).round().astype(np.uint8)
    kms.calibrate(network, pixels, 12, batches=1)
    assert_statistics(network, expected_statistics(network, [pixels[:64] / np.float32(255)]))


def test_weights_and_behaviour_of_layers_come_back(network, images):
    weights = [weight.numpy() for weight in network.trainable_weights]
    momenta = [layer.momentum for layer in batch_norm_layers(network)]
    kms.calibrate(network, images, 12)
    for before, weight in zip(weights, network.trainable_weights):
        np.testing.assert_array_equal(before, weight)
    assert [layer.momentum for layer in batch_norm_layers(network)] == momenta
    after = get_statistics(network)
    network(images[:4])  # inference must not update the statistics any more
    for (mean, _), (mean_after, _) in zip(after, get_statistics(network)):
        np.testing.assert_array_equal(mean, mean_after)


def test_training_after_calibration_updates_statistics_as_before(network, images):
    kms.calibrate(network, images, 12)
    before = get_statistics(network)[0].mean
    layer = batch_norm_layers(network)[0]
    batch_mean = convolve(network, 0, images[:8]).mean((0, 1, 2))
    network(images[:8], training=True)
    expected = layer.momentum * before + (1 - layer.momentum) * batch_mean
    np.testing.assert_allclose(get_statistics(network)[0].mean, expected, atol=1e-5)


def test_old_statistics_come_back_on_request(network, images):
    before = get_statistics(network)
    previous = kms.calibrate(network, images, 12)
    assert not np.array_equal(get_statistics(network)[0].mean, before[0].mean)
    set_statistics(network, previous)
    assert_statistics(network, before)


def test_the_context_manager_restores_also_after_an_error(network, images):
    before = get_statistics(network)
    with pytest.raises(RuntimeError), kms.calibrated(network, images, 12) as same:
        assert same is network and not np.array_equal(get_statistics(network)[0].mean, before[0].mean)
        raise RuntimeError
    assert_statistics(network, before)


def test_statistics_come_back_if_the_data_fail(network, images):
    before = get_statistics(network)

    def broken():
        yield images[:8]
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        kms.calibrate(network, broken(), 12)
    assert_statistics(network, before)


def test_frozen_layers_are_left_alone(network, images):
    frozen, free = batch_norm_layers(network)
    frozen.trainable = False
    kms.calibrate(network, images, 12)
    np.testing.assert_array_equal(frozen.moving_mean, np.zeros(16))
    assert np.abs(free.moving_mean).max() > 0


def test_nested_models_are_calibrated(images):
    inner = tiny_network()
    inputs = keras.Input((None, None, 1))
    kms.calibrate(keras.Model(inputs, inner(inputs)), images, 12)
    assert np.abs(get_statistics(inner)[0].mean).max() > 0


def test_a_model_without_batch_norm_is_left_alone_with_a_message(images, caplog):
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs), name="plain")
    with caplog.at_level(logging.INFO):
        assert kms.calibrate(model, images, 12) == []
    assert "plain has no trainable BatchNormalization" in caplog.text


def test_no_batches_are_refused(network):
    with pytest.raises(ValueError, match="at least one batch to calibrate with"):
        kms.calibrate(network, [], 12)
    with pytest.raises(ValueError, match="batches must be an integer of at least 1, got 0"):
        kms.calibrate(network, [], 12, batches=0)


@pytest.mark.parametrize("tolerance", [-0.1, float("nan"), "small"])
def test_a_tolerance_that_is_none_is_refused(network, images, tolerance):
    with pytest.raises(ValueError, match="tolerance must be a number at or above 0, got"):
        kms.calibrate(network, images, 12, tolerance=tolerance)


def test_floats_of_0_to_255_are_refused_and_the_statistics_come_back(network, images):
    before = get_statistics(network)
    with pytest.raises(ValueError, match=r"images must be float32 in \[0, 1\] to calibrate with.*divide 0..255 by 255"):
        kms.calibrate(network, 255 * images, 12)
    assert_statistics(network, before)


# Several sizes, and when to stop


def test_several_sizes_have_the_statistics_of_each_and_the_model_is_left_alone(network, images):
    before = get_statistics(network)
    found = measure_statistics(network, images, [12, 16])
    assert_statistics(network, before)
    for size, calibration in found.items():
        with kms.calibrated(network, images, size):
            assert_statistics(network, calibration.statistics)


def test_the_network_is_traced_once_for_all_sizes(images):
    traced = []

    class Counting(keras.layers.Layer):
        def call(self, inputs):
            traced.append(inputs.shape)
            return inputs

    inputs = keras.Input((None, None, 1))
    x = keras.layers.BatchNormalization()(Counting()(inputs))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    traced.clear()
    measure_statistics(network, images, [8, 12, 16], batches=2)
    assert len(traced) == 1


def test_batches_are_taken_until_the_statistics_have_settled(network, images, caplog):
    endless = [images[low : low + 16] for low in range(0, 112, 8)] * 10
    loose, tight, never = (
        measure_statistics(network, endless, [12], batches=120, tolerance=tolerance)[12]
        for tolerance in (0.02, 0.01, 0.0)
    )
    assert 8 <= loose.batches < tight.batches < never.batches == 120
    assert loose.error <= 0.02 and tight.error <= 0.01
    with caplog.at_level(logging.INFO):
        kms.calibrate(network, endless, 12, tolerance=0.02)
    assert f"calibrated at 12 px with {loose.batches} batches" in caplog.text


def test_settled_statistics_are_within_their_tolerance_of_those_of_all_batches(network, images):
    endless = [images[low : low + 16] for low in range(0, 112, 8)] * 10
    settled, all_batches = (
        measure_statistics(network, endless, [12], tolerance=tolerance)[12].statistics for tolerance in (0.01, 0.0)
    )
    layers = batch_norm_layers(network)
    errors = [
        (one.mean - other.mean) / np.sqrt(other.variance + layer.epsilon)
        for one, other, layer in zip(settled, all_batches, layers)
    ]
    assert np.sqrt(np.mean(np.concatenate(errors) ** 2)) < 2 * 0.01


@pytest.mark.slow
def test_batches_for_the_step_calibrate_like_finished_ones(small_files, regime, network):
    train = kms.MixSizeDataset.from_source(small_files, regime=regime)
    found = []
    for images in (train, train.for_step(), train.at_size(16).for_step().take(3)):
        kms.calibrate(network, images, 16, batches=3)
        found.append(get_statistics(network))
    for other in found[1:]:
        np.testing.assert_array_equal(np.concatenate(other, axis=1), np.concatenate(found[0], axis=1))
