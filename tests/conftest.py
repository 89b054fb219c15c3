"""Shared test data: small, real images of the embedded set."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest
import tensorflow as tf

import keras_mixsize as kms


@pytest.fixture(scope="session")
def fashion():
    """The embedded training images, as a source."""
    return kms.sources.fashion_mnist("train")


@pytest.fixture(scope="session")
def small_arrays(fashion):
    """300 images `[300, 32, 32, 1]` and their labels."""
    return fashion.images[:300], fashion.labels[:300]


@pytest.fixture(scope="session")
def small_files(small_arrays):
    """100 of them as PNG files in memory, a source."""
    images, labels = (array[:100] for array in small_arrays)
    return kms.sources.BytesSource([tf.io.encode_png(image).numpy() for image in images], labels, channels=1)


@pytest.fixture
def regime():
    """Three small buckets with all of batch, duplicates and size varying."""
    return kms.Regime.parse("16x16x2:0.5,24x12x1:0.25,32x8x1:0.25")


@pytest.fixture
def train(small_arrays, regime):
    """300 images under the small regime."""
    return kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, seed=7)


def tiny_network(channels: int = 1, classes: int = 10, dropout: float = 0.0) -> keras.Model:
    """Return a network of two convolutions with batch norm; its stride is 2."""
    layers = keras.layers
    inputs = keras.Input((None, None, channels))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(dropout)(x)
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)), name="tiny")


def compiled(network: keras.Model, **options) -> kms.MixSizeModel:
    """Return the network as a MixSizeModel, compiled with SGD."""
    model = kms.MixSizeModel.from_model(network, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, ["accuracy"])
    return model


@pytest.fixture
def network():
    """A fresh tiny network of one channel and ten classes, from a fixed seed."""
    keras.utils.set_random_seed(1)
    return tiny_network()


@pytest.fixture
def model(network):
    """The tiny network, compiled as a MixSizeModel."""
    return compiled(network)
