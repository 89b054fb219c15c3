"""Dropout by size: each bucket's step drops as a network built with that rate does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.models.drop_path import DropPath
from keras_mixsize.training.dropout import dropout_rates, scaled_dropout


class Probe(keras.layers.Layer):
    """Ones, whatever comes in, so that what follows shows a dropout layer's mask."""

    def call(self, inputs):
        return tf.ones_like(inputs)


def dropping(rate, kind=keras.layers.Dropout):
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, kind(rate)(Probe()(inputs)))


@pytest.mark.parametrize("kind", [keras.layers.Dropout, keras.layers.SpatialDropout2D, DropPath])
def test_a_share_of_rate_times_scale_is_dropped_at_each_size(kind):
    network, scale = dropping(0.4, kind), kms.BySize({8: 0.0, 16: 0.5, 24: 1.5})
    for size, expected in ((8, 0.0), (16, 0.2), (24, 0.6)):
        with scaled_dropout(network, scale, size):
            outputs = network(tf.zeros([3000, size // 4, size // 4, 1]), training=True)
        assert abs(float(tf.reduce_mean(tf.cast(outputs == 0, tf.float32))) - expected) < 0.03
    assert list(dropout_rates(network).values()) == [0.4]


def test_layers_of_nested_networks_are_scaled():
    inner = tiny_network(dropout=0.3)
    inputs = keras.Input((None, None, 1))
    outer = keras.Model(inputs, inner(inputs))
    with scaled_dropout(outer, 2.0, 16):
        assert list(dropout_rates(inner).values()) == [0.6]


def fitted(dropout, **options):
    """Return the weights after four steps at 8 and 16 px."""
    keras.utils.set_random_seed(3)
    network = tiny_network(dropout=dropout)
    model = compiled(network, **options)
    images, labels = np.random.default_rng(0).integers(0, 255, (64, 16, 16, 1), np.uint8), np.arange(64) % 10
    regime = kms.Regime.solve({8: 0.5, 16: 0.5}, base_size=16, base_batch=16, grow="batch")
    train = kms.MixSizeDataset.from_arrays(images, labels, regime=regime)
    model.fit(train, steps_per_epoch=4, verbose=0)
    assert model.trace_count == 2
    return [weight.numpy() for weight in network.trainable_weights]


def test_a_scaled_rate_trains_as_that_rate_does():
    for mine, theirs in zip(fitted(0.2, dropout_scale=2.0), fitted(0.4)):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(fitted(0.2, dropout_scale=kms.BySize({8: 2.0, 16: 2.0})), fitted(0.4)):
        np.testing.assert_array_equal(mine, theirs)


def test_rates_that_differ_by_size_train_otherwise():
    by_size = fitted(0.4, dropout_scale=kms.BySize({8: 0.0, 16: 1.0}))
    assert all(not np.array_equal(by_size[0], fitted(rate)[0]) for rate in (0.0, 0.4))


def test_the_scale_is_saved_with_the_model(tmp_path):
    model = compiled(tiny_network(dropout=0.2), dropout_scale=kms.BySize({8: 0.5, 16: 1.5}))
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").dropout_scale == model.dropout_scale


@pytest.mark.parametrize(
    "dropout, scale, message",
    [
        (0.2, -1.0, "dropout_scale must not be negative, got -1.0"),
        (0.5, kms.BySize({8: 0.5, 16: 2.0}), "must leave every rate below 1, got .* for a rate of 0.5"),
        (None, 2.0, "must be 1 for a network without dropout"),
    ],
)
def test_scales_that_make_no_sense_are_refused(dropout, scale, message):
    plain = keras.Sequential([keras.Input((None, None, 1)), keras.layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match=message):
        kms.MixSizeModel(plain if dropout is None else tiny_network(dropout=dropout), dropout_scale=scale)
