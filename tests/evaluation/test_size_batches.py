"""Batches at several sizes from one trace, against the dataset at each size and plain resizing."""

import numpy as np
import pytest
import tensorflow as tf

import keras_mixsize as kms
from keras_mixsize.evaluation import size_batches
from keras_mixsize.evaluation.size_batches import SizeBatches

SIZES = (12, 24)


def first(batches, count=2):
    return [batch.numpy() for _, batch in zip(range(count), batches)]


def test_a_datasets_batches_are_those_of_the_dataset_at_each_size(train):
    batches = SizeBatches(train, SIZES)
    for size in SIZES:
        for found, (expected, _) in zip(first(batches.at(size)), train.at_size(size)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_files_give_the_batches_of_the_dataset_at_each_size(small_files, regime):
    train = kms.MixSizeDataset.from_source(small_files, regime=regime)
    batches = SizeBatches(train.for_step(), SIZES)
    for size in SIZES:
        for found, (expected, _) in zip(first(batches.at(size)), train.at_size(size)):
            np.testing.assert_array_equal(found, expected)


def test_the_input_is_traced_once_for_all_sizes(train, monkeypatch):
    traced = []

    def loader(*arguments):
        load = original(*arguments)
        return lambda *step: (traced.append(step), load(*step))[1]

    original = size_batches.loader
    monkeypatch.setattr(size_batches, "loader", loader)
    batches = SizeBatches(train, (8, 12, 16))
    assert {first(batches.at(size))[1].shape[1] for size in (8, 12, 16)} == {8, 12, 16}
    assert len(traced) == 1


@pytest.mark.parametrize("kind", ["array", "list", "pairs", "dataset"])
def test_arrays_and_iterables_are_resized(kind):
    images = np.random.default_rng(0).integers(0, 256, (100, 10, 14, 3)).astype(np.uint8)
    parts = [images[:64], images[64:]]
    data = {
        "array": images,
        "list": parts,
        "pairs": [(part, np.zeros(len(part))) for part in parts],
        "dataset": tf.data.Dataset.from_tensor_slices(images).batch(64),
    }
    found = first(SizeBatches(data[kind], SIZES).at(12), count=3)
    assert [len(batch) for batch in found] == [64, 36]
    np.testing.assert_allclose(
        np.concatenate(found), tf.image.resize(images / 255, [12, 12], antialias=True), atol=1e-5
    )


@pytest.mark.parametrize("wrong", [255.0, -1.0])
def test_floats_beyond_the_unit_range_are_refused(wrong):
    images = np.full((4, 8, 8, 1), wrong, np.float32)
    with pytest.raises(ValueError, match=r"images must be float32 in \[0, 1\] to calibrate with, got values"):
        next(SizeBatches([images], SIZES).at(12))
