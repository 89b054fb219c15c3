"""AmoebaNet-A: published sizes, its two classifiers, its halving of maps, stochastic depth, clear errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from zoo import photos, trainable

from keras_mixsize import models
from keras_mixsize.models.amoebanet import _halve
from keras_mixsize.models.drop_path import DropPath


@pytest.mark.parametrize("filters, millions", [pytest.param(32, 2.6, marks=pytest.mark.slow), (36, 3.2)])
def test_amoebanet_has_the_published_parameters(filters, millions):
    # arXiv 1802.01548, table 1: AmoebaNet-A (N=6, F=32) 2.6 M and (N=6, F=36) 3.2 M
    model = models.amoebanet_a(classes=10, filters=filters, auxiliary=False)
    assert round(trainable(model) / 1e6, 1) == millions


def test_auxiliary_classifier_is_a_second_output_and_every_weight_gets_a_gradient():
    model = models.amoebanet_a(classes=3, cells=1, filters=8, drop_path=0.0)
    with tf.GradientTape() as tape:
        logits, auxiliary_logits = model(photos(16, 4), training=True)
        loss = tf.reduce_sum(logits**2) + tf.reduce_sum(auxiliary_logits**2)
    assert logits.shape == auxiliary_logits.shape == (4, 3)
    assert all(gradient is not None for gradient in tape.gradient(loss, model.trainable_weights))


def test_network_without_the_auxiliary_output_shares_its_weights():
    model = models.amoebanet_a(classes=3, cells=1, filters=4)
    single = keras.Model(model.input, model.outputs[0])
    np.testing.assert_array_equal(single(photos(16)), model(photos(16))[0])
    plain = models.amoebanet_a(classes=3, cells=1, filters=4, auxiliary=False)
    assert trainable(single) == trainable(plain) < trainable(model)


@pytest.mark.parametrize("size", [6, 7])
def test_older_maps_are_halved_by_even_and_by_odd_pixels(size):
    inputs = keras.Input((None, None, 4))
    model = keras.Model(inputs, _halve(inputs, 6))
    image = np.random.default_rng(0).normal(size=(1, size, size, 4)).astype("float32")
    even, odd = (layer.kernel.numpy()[0, 0] for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    positive = np.maximum(image, 0)
    shifted = np.pad(positive[:, 1:, 1:], [(0, 0), (0, 1), (0, 1), (0, 0)])
    expected = np.concatenate([positive[:, ::2, ::2] @ even, shifted[:, ::2, ::2] @ odd], axis=-1)
    np.testing.assert_allclose(model(image), expected, atol=1e-4)  # batch norm divides by sqrt(1 + 1e-5)


def test_a_network_with_stochastic_depth_that_grows_linearly_saves_and_loads(tmp_path):
    model = models.amoebanet_a(classes=3, cells=1, filters=4, drop_path=0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(photos(16))[0], model(photos(16))[0], atol=1e-6)
    for one in (model, loaded):
        rates = sorted({layer.rate for layer in one.layers if isinstance(layer, DropPath)})
        assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cells": 0}, "cells must be at least 1 .*got 0"),
        ({"filters": 34}, "filters must be a multiple of 4, got 34; .*36"),
        ({"drop_path": 2}, "drop_path must be .* got 2"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.amoebanet_a(classes=2, **options)
