"""Shared test data: small, real images of the embedded set."""

import gc
import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms

# Two devices, of which tests use the first one unless they ask for both; TensorFlow cannot be asked later.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

COLLECTIVE_KEYS = itertools.count(0, 1000)

# The many objects of the imports stay to the end: a collection that looks at each of them again costs a tenth of a run.
gc.freeze()
gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def two_devices(monkeypatch):
    """The names of two devices of this process, for strategies whose collectives have keys of their own.

    TensorFlow numbers the collectives of each strategy from 100 and forgets none of a process (its issue 62790): the
    first of another test's, of another shape, would be taken for a member of this one's.
    """
    monkeypatch.setattr(tf.distribute.MirroredStrategy, "_collective_key_base", next(COLLECTIVE_KEYS))
    return ["CPU:0", "CPU:1"]


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


@pytest.fixture(scope="session")
def regime():
    """Three small buckets with all of batch, duplicates and size varying."""
    return kms.Regime.parse("16x16x2:0.5,24x12x1:0.25,32x8x1:0.25")


@pytest.fixture(scope="session")
def one_bucket(small_arrays):
    """300 images in one small bucket: 19 steps an epoch, one trace."""
    return kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(8, 16), seed=7)


@pytest.fixture(scope="session")
def train(small_arrays, regime):
    """300 images under the small regime."""
    return kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, seed=7)


@pytest.fixture
def network():
    """A fresh tiny network of one channel and ten classes, from a fixed seed."""
    keras.utils.set_random_seed(1)
    return tiny_network()


@pytest.fixture
def model(network):
    """The tiny network, compiled as a MixSizeModel."""
    return compiled(network)
