"""Costs against published numbers and arithmetic."""

import keras
import pytest

from keras_mixsize import models
from keras_mixsize.training import complexity


def backbone(name):
    return getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(None, None, 3), pooling="avg"
    )


def test_multiply_adds_of_one_convolution_are_arithmetic():
    inputs = keras.Input((None, None, 3))
    convolution = keras.layers.Conv2D(8, 5, strides=2, padding="same", groups=1)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.DepthwiseConv2D(3, padding="same")(convolution(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(7)(pooled))
    assert complexity.multiply_adds(model, 20) == 10 * 10 * 8 * 5 * 5 * 3 + 10 * 10 * 8 * 3 * 3 + 8 * 7


@pytest.mark.parametrize(
    "name, size, published",
    [("EfficientNetB0", 224, 0.39e9), ("ResNet50", 224, 3.86e9), ("MobileNetV2", 224, 0.30e9)],
)
def test_multiply_adds_agree_with_the_published_ones(name, size, published):
    # arXiv 1905.11946 table 2; Keras's ResNet50 strides in the first 1x1 convolution, as arXiv 1512.03385 (3.8e9) does;
    # arXiv 1801.04381 table 4
    assert complexity.multiply_adds(backbone(name), size) == pytest.approx(published, rel=0.03)


@pytest.mark.parametrize("name, stride", [("EfficientNetB0", 32), ("ResNet50", 32)])
def test_stride_of_known_backbones(name, stride):
    assert complexity.model_stride(backbone(name)) == stride


def test_stride_of_a_network_without_padding_is_how_its_maps_grow():
    layers = keras.layers
    inputs, trunk = keras.Input((None, None, 3)), []
    for stride in (2, 1, 1, 2, 1, 2, 2, 2):  # as the trunk of InceptionV3
        trunk += [layers.Conv2D(2, 3, strides=stride), layers.ReLU()]
    network = keras.Sequential([inputs, *trunk, layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(2, 1)])
    assert network(keras.ops.zeros((1, 299, 299, 3))).shape[1] == 1
    assert complexity.model_stride(network) == 32
    thirds = keras.Sequential([inputs, layers.Conv2D(2, 5, strides=3), layers.MaxPooling2D(3, strides=2)])
    assert complexity.model_stride(thirds) == 6


@pytest.mark.slow
def test_stride_of_inception_is_that_of_its_five_halvings():
    assert complexity.model_stride(backbone("InceptionV3")) == 32


def test_stride_is_found_inside_nested_models():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, models.build("resnet8", classes=3, channels=1)(inputs))
    assert complexity.model_stride(model) == 4


def test_latency_is_positive_and_grows_with_the_size():
    model = models.build("resnet8", classes=10)
    assert 0 < complexity.latency_ms(model, 8, repeats=3) < complexity.latency_ms(model, 64, repeats=3)


def test_peak_memory_sees_an_allocation():
    import numpy as np

    with complexity.peak_memory() as peak_bytes:
        before = peak_bytes()
        block = np.ones(2**25)
        assert peak_bytes() - before > 0.9 * block.nbytes
