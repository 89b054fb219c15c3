"""Test images against plain resizing, whatever they come in; the classes of two data sets."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import keras_mixsize as kms
from keras_mixsize.evaluation.examples import View, batches_of, check_class_names
from keras_mixsize.images import WholeImage

IMAGES = np.random.default_rng(0).integers(0, 256, (70, 20, 32, 1)).astype(np.uint8)
LABELS = np.arange(70) % 10
WHOLE = View(WholeImage())


def drawn(data, size, view=WHOLE, batch=32):
    images, labels = zip(*batches_of(data, batch, view)(size))
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize("size", [12, 40])
def test_arrays_sources_and_pipelines_are_resized_whole(size):
    arrays = (IMAGES, LABELS)
    expected = tf.image.resize(IMAGES, [size, size], antialias=True) / 255
    for data in (arrays, kms.sources.ArraySource(*arrays), tf.data.Dataset.from_tensor_slices(arrays)):
        images, labels = drawn(data, size)
        np.testing.assert_allclose(images, expected, atol=1e-5)
        np.testing.assert_array_equal(labels, LABELS)


def test_a_window_is_cut_before_the_resize():
    expected = tf.image.resize(IMAGES[:, :, 6:26], [10, 10], antialias=True) / 255
    for data in ((IMAGES, LABELS), tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))):
        np.testing.assert_allclose(drawn(data, 10, View(kms.CenterCrop(1.0)))[0], expected, atol=1e-5)


def test_pipelines_may_hold_images_of_many_sizes():
    def images():
        for number in range(5):
            yield np.full((20 + number, 30, 1), 40 * number, np.uint8), number

    spec = (tf.TensorSpec((None, None, 1), tf.uint8), tf.TensorSpec((), tf.int64))
    pipeline = tf.data.Dataset.from_generator(images, output_signature=spec)
    found, _ = drawn(pipeline, 16)
    np.testing.assert_allclose(found[:, 0, 0, 0], np.arange(5) * 40 / 255, atol=1e-6)


@pytest.mark.parametrize(
    "data, message",
    [
        (None, "data must be .images, labels., a Source or a tf.data.Dataset"),
        (tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4), "single examples .*unbatch"),
        (tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).repeat(), "finite tf.data.Dataset"),
    ],
    ids=["nothing", "batched", "endless"],
)
def test_other_data_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        drawn(data, 16)


def test_an_unknown_interpolation_is_refused():
    with pytest.raises(ValueError, match="interpolation must be one of .*'lanczos'"):
        dataclasses.replace(WHOLE, interpolation="lanczos")


# Classes


def source(names):
    labels = np.arange(70) % len(names)
    return kms.sources.ArraySource(IMAGES, labels, names)


@pytest.fixture(scope="module")
def train():
    return kms.MixSizeDataset.from_source(source(("apple", "blue", "corn")), regime=kms.Regime.fixed(16, 8))


@pytest.mark.parametrize(
    ("tested", "message"),
    [
        (
            ("apple", "corn"),
            "got 2 and 3 classes: 'blue' only in the other; give sources.folder.test, class_names=train",
        ),
        (("apple", "corn", "blue"), "got 3 and 3 classes: they stand in another order; give"),
        (("apple", "blue", "cherry"), "'cherry' is only in the one, 'corn' only in the other"),
    ],
)
def test_other_classes_than_the_training_datas_are_refused(train, tested, message):
    with pytest.raises(ValueError, match=message):
        check_class_names(source(tested), train)


def test_the_same_classes_and_unknown_ones_are_accepted(train):
    names = ("apple", "blue", "corn")
    check_class_names(source(names), train)
    check_class_names((IMAGES, LABELS), train)
    check_class_names(source(names), IMAGES)
    check_class_names(kms.sources.ArraySource(IMAGES, LABELS % 3), train)
