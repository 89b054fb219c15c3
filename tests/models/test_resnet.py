"""ResNet-50: published size, equality with keras.applications, clear errors."""

import functools

import keras
import numpy as np
import pytest
from zoo import assert_same, features, layer_pairs, photos, randomise, trainable

from keras_mixsize import models
from keras_mixsize.training import complexity


@functools.cache
def network():
    return models.resnet50(classes=1000)


def test_resnet50_has_the_published_size():
    # parameters and 4.1 G: torchvision's table for its ResNet-50, which has the stride in the 3x3 convolution, too;
    # 3.8 G: arXiv 1512.03385, table 1, where it is in the 1x1; 3.86 before they cut it
    model = network()
    assert trainable(model) == 25_557_032
    assert round(complexity.multiply_adds(model, 224) / 1e9, 1) == 4.1
    assert complexity.multiply_adds(models.resnet50(classes=1000, stride_in="1x1"), 224) / 1e9 == pytest.approx(
        3.8, rel=0.02
    )


def test_resnet50_equals_keras_applications():
    # theirs differs in three ways: strides in the first 1x1 convolution of a block (our option), biases in front
    # of batch norm (which only shift its mean) and epsilon 1.001e-5 (which adds to its variance)
    keras.utils.set_random_seed(0)
    theirs = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3), pooling="avg")
    randomise(theirs)
    ours = models.resnet50(classes=2, stride_in="1x1")
    biases = []
    for mine, other in layer_pairs(ours, theirs, keras.layers.Conv2D):
        kernel, *bias = other.get_weights()
        mine.set_weights([kernel])
        biases.append(bias[0] if bias else 0.0)
    for (mine, other), bias in zip(layer_pairs(ours, theirs, keras.layers.BatchNormalization), biases, strict=True):
        gamma, beta, mean, variance = other.get_weights()
        mine.set_weights([gamma, beta, mean - bias, variance + (other.epsilon - mine.epsilon)])
    for size in (64, 75):
        assert_same(features(ours)(photos(size, 2)), theirs(photos(size, 2)))


def test_zero_gamma_makes_every_bottleneck_start_as_the_identity():
    zeros = [np.all(layer.gamma == 0) for layer in network().layers if hasattr(layer, "gamma")]
    assert sum(zeros) == 16
    plain = models.resnet50(classes=2, zero_gamma=False)
    assert not any(np.any(layer.gamma == 0) for layer in plain.layers if hasattr(layer, "gamma"))


def test_an_unknown_place_of_the_stride_is_refused():
    with pytest.raises(ValueError, match="stride_in must be one of .*3x3.*1x1.*got '7x7'"):
        models.resnet50(classes=2, stride_in="7x7")
