"""Encoded images: memory, files and shards are one and the same to whoever renders them."""

import numpy as np
import pytest
import tensorflow as tf
from pictures import render, write_shards

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.images.augmentations import RandomResizedCrop
from keras_mixsize.sources import tfrecords as records


@pytest.fixture
def kinds(tmp_path):
    """The same 20 images as bytes, as files and as records."""
    paths, images = write_shards(tmp_path, [12, 8])
    files = []
    for number, image in enumerate(images):
        files.append(tmp_path / f"{number:02}.png")
        files[-1].write_bytes(image)
    index = records.index_shards([str(path) for path in paths])
    labels = np.arange(20)
    return [sources.BytesSource(images, labels), sources.FileSource(files, labels), sources.RecordSource(index)]


def test_every_kind_renders_the_same(kinds):
    shown = [render(kind, [19, 3, 3], duplicates=2, augmentation=RandomResizedCrop()) for kind in kinds]
    np.testing.assert_array_equal(shown[0], shown[1])
    np.testing.assert_array_equal(shown[0], shown[2])
    assert [kind.labels.tolist() for kind in kinds] == [list(range(20))] * 3


@pytest.mark.parametrize("index", [13, tf.constant(13, tf.int64)], ids=["number", "tensor"])
def test_every_kind_says_where_an_image_lies(kinds, index):
    memory, file, record = (kind.describe(index).numpy().decode() for kind in kinds)
    assert memory == "13 in memory" and file.endswith("13.png") and record.endswith("00001-of-00002 record 1")
    assert record == kinds[2].index.describe(13)


def test_every_sample_comes_once_per_pass(kinds):
    train = kms.MixSizeDataset.from_source(kinds[2], regime=kms.Regime.fixed(16, 4), seed=2, parallel_calls=8)
    labels = np.concatenate([labels.numpy() for _, labels in train.take(10)])
    assert sorted(labels[:20]) == sorted(labels[20:]) == list(range(20)) and list(labels[:20]) != list(labels[20:])


def test_the_state_of_an_iterator_over_records_can_be_restored(kinds, tmp_path):
    train = kms.MixSizeDataset.from_source(kinds[2], regime=kms.Regime.fixed(16, 4))
    iterator = iter(train)
    next(iterator)
    checkpoint = tf.train.Checkpoint(iterator=iterator)
    path = checkpoint.write(str(tmp_path / "iterator"))
    expected = next(iterator)[0].numpy()
    next(iterator)
    checkpoint.read(path)
    np.testing.assert_array_equal(next(iterator)[0], expected)


def test_channels_must_be_1_or_3():
    with pytest.raises(ValueError, match="channels must be 1 or 3, got 4"):
        sources.BytesSource([b""], [0], channels=4)
