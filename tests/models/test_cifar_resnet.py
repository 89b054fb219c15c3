"""The CIFAR residual networks: published sizes, shortcuts, clear errors."""

import keras
import numpy as np
import pytest
from zoo import trainable

from keras_mixsize import models
from keras_mixsize.models.cifar_resnet import _subsample
from keras_mixsize.training import complexity


def test_resnet44_has_the_published_parameters_and_multiply_adds():
    # arXiv 1512.03385, table 6: 0.66 M parameters; 97 M multiply-adds at 32 px by its layer table
    model = models.cifar_resnet(44, classes=10, shortcut="identity")
    assert round(model.count_params() / 1e6, 2) == 0.66
    assert round(complexity.multiply_adds(model, 32) / 1e6) == 97


@pytest.mark.parametrize("depth, millions", [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_parameters_of_every_published_depth(depth, millions):
    model = models.cifar_resnet(depth, classes=10, shortcut="identity")
    assert trainable(model) / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("shortcut", ["projection", "identity"])
@pytest.mark.parametrize("size", [8, 16, 24, 31, 48, 64])
def test_logits_come_out_at_every_size(shortcut, size):
    model = models.cifar_resnet(8, classes=7, channels=1, shortcut=shortcut)
    logits = model(np.random.default_rng(0).random((2, size, size, 1)).astype("float32"))
    assert logits.shape == (2, 7) and np.isfinite(logits).all()


def test_identity_shortcut_takes_every_second_pixel_and_adds_zero_channels():
    inputs = keras.Input((None, None, 4))
    model = keras.Model(inputs, _subsample(inputs, 8, 2))
    image = np.random.default_rng(0).random((1, 6, 6, 4)).astype("float32")
    expected = np.pad(image[:, ::2, ::2], [(0, 0)] * 3 + [(2, 2)])
    np.testing.assert_array_equal(model(image), expected)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"6n \+ 2 .*got 45"):
        models.cifar_resnet(45, classes=10)
    with pytest.raises(ValueError, match="shortcut must be one of .*'conv'"):
        models.cifar_resnet(8, classes=10, shortcut="conv")
