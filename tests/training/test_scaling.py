"""Networks of Keras that scale inside, and those that do not."""

import logging

import keras
import numpy as np
import pytest
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.training.scaling import scaling_layer

layers = keras.layers


def behind(*leading):
    return keras.Sequential([keras.Input((None, None, 1)), *leading, tiny_network()])


def of_keras(name, **options):
    options |= {"weights": None, "include_top": False, "input_shape": (None, None, 3), "pooling": "avg"}
    return getattr(keras.applications, name)(**options)


@pytest.mark.parametrize(
    "network, kind",
    [
        (lambda: of_keras("MobileNetV3Small", include_preprocessing=True), layers.Rescaling),
        (lambda: of_keras("MobileNetV3Small", include_preprocessing=False), None),
        (lambda: behind(layers.Rescaling(1 / 255)), layers.Rescaling),
        (lambda: behind(layers.Normalization(mean=130.0, variance=4900.0)), layers.Normalization),
        (lambda: behind(layers.Normalization(mean=0.5, variance=0.1)), None),
        (lambda: behind(layers.Rescaling(2.0, offset=-1.0)), None),
        (lambda: behind(layers.Rescaling(255), layers.Rescaling(1 / 255)), None),
        (tiny_network, None),
    ],
)
def test_layers_that_scale_bytes_are_found(network, kind):
    found = scaling_layer(network())
    assert found is None if kind is None else isinstance(found, kind)


def test_a_network_that_scales_inside_gets_a_hint_whose_remedy_works(small_arrays, caplog):
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(8, 16))
    inside = behind(layers.Rescaling(1 / 255))
    with caplog.at_level(logging.WARNING):
        compiled(inside).check(train)
        assert "scales 0..255 itself" in caplog.text and "keras.layers.Rescaling(255)" in caplog.text
        caplog.clear()
        remedied = keras.Sequential([keras.Input((None, None, 1)), layers.Rescaling(255), inside])
        compiled(remedied).check(train)
        assert not caplog.text
    images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    np.testing.assert_allclose(remedied(images), inside.layers[-1](images), atol=1e-5)
