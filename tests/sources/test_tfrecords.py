"""Records: an index that finds damage, and reads that give what was written."""

import os

import numpy as np
import pytest
import tensorflow as tf
from pictures import example, write_shards

from keras_mixsize.sources import tfrecords as records


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path, [3, 0, 4])


def index(paths, **options):
    return records.index_shards([str(path) for path in paths], **options)


def test_the_index_describes_every_record(shards):
    paths, images = shards
    found = index(paths)
    assert found.num_examples == 7 and found.files == tuple(map(str, paths))
    assert found.labels.tolist() == list(range(7)) and found.labels.dtype == np.int64
    assert found.heights.tolist() == list(range(10, 17)) and set(found.widths) == {30}
    assert found.shards.tolist() == [0] * 3 + [2] * 4 and found.positions.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert found.describe(4) == f"{paths[2]} record 1"


def test_records_are_read_by_index_in_any_order_inside_a_graph(shards):
    paths, images = shards
    found = index(paths)
    order = [6, 0, 3, 3, 2]

    def read(record):
        file = tf.gather(list(found.files), tf.gather(found.shards, record))
        return records.read_image(file, tf.gather(found.offsets, record), tf.gather(found.lengths, record), "image")

    dataset = tf.data.Dataset.from_tensor_slices(order).map(read, num_parallel_calls=4)
    assert list(dataset.as_numpy_iterator()) == [images[record] for record in order]


def test_other_feature_names_and_soft_labels(tmp_path):
    keys = {"image_key": "picture", "label_key": "shares"}
    paths, images = write_shards(tmp_path, [2], label=lambda number: [float(number), 0.5], **keys)
    np.testing.assert_array_equal(index(paths, **keys).labels, [[0, 0.5], [1, 0.5]])
    with pytest.raises(
        ValueError, match="record 0 has no feature 'image', only .'name', 'picture', 'shares'.; name it with image_key"
    ):
        index(paths)


def test_some_records_can_be_taken(shards):
    found = index(shards[0]).take(np.array([5, 1]))
    assert found.labels.tolist() == [5, 1] and found.num_examples == 2 and "record 2" in found.describe(0)


# The cache


def test_the_cache_is_used_until_a_shard_changes(shards, monkeypatch):
    paths, _ = shards
    scans = []
    scan = records._scan
    monkeypatch.setattr(records, "_scan", lambda *file, **keys: scans.append(file) or scan(*file, **keys))
    first = index(paths)
    assert len(scans) == 3
    again = index(paths)
    assert len(scans) == 3
    for column in records._COLUMNS:
        np.testing.assert_array_equal(getattr(first, column), getattr(again, column))
    os.utime(paths[0], ns=(0, 0))
    index(paths)
    assert len(scans) == 6


def test_a_broken_cache_is_made_anew(shards, tmp_path, caplog):
    cache = tmp_path / "index"
    cache.write_bytes(b"PK no archive")
    assert index(shards[0], cache=cache).num_examples == 7 and caplog.text.count("made anew") == 1
    assert index(shards[0], cache=cache).num_examples == 7 and caplog.text.count("made anew") == 1


def test_a_folder_that_cannot_be_written_only_costs_the_cache(shards, tmp_path, caplog):
    assert index(shards[0], cache=tmp_path / "nowhere" / "index.npz").num_examples == 7
    assert "cannot be kept" in caplog.text


# Damage


@pytest.mark.parametrize("where", ["length", "data"])
def test_a_flipped_bit_is_found_and_its_byte_named(shards, where):
    paths, _ = shards
    start = int(index(paths).offsets[5])  # record 2 of the last shard
    data = bytearray(paths[2].read_bytes())
    data[start + (1 if where == "length" else 40)] ^= 4
    paths[2].write_bytes(data)
    with pytest.raises(ValueError, match=rf"{paths[2].name} is damaged at record 2 \(byte {start}\)"):
        index(paths)


def test_a_missing_tail_is_found(shards):
    paths, _ = shards
    paths[0].write_bytes(paths[0].read_bytes()[:-5])
    with pytest.raises(ValueError, match="00000-of-00003 is damaged at record 2"):
        index(paths)


def test_a_tail_cut_off_at_a_record_is_found_by_its_count(shards):
    paths, _ = shards
    offset = index(paths).offsets[2]
    paths[0].write_bytes(paths[0].read_bytes()[:offset])
    assert index(paths).num_examples == 6
    with pytest.raises(ValueError, match="00000-of-00003 has 2 records, but 3 are expected"):
        index(paths, counts=[3, 0, 4])


def test_a_shard_that_changed_after_indexing_is_refused_when_it_is_read(shards):
    paths, _ = shards
    found = index(paths)
    data = bytearray(paths[0].read_bytes())
    data[found.offsets[1] + 40] ^= 1
    paths[0].write_bytes(data)
    read = tf.function(lambda: records.read_image(found.files[0], found.offsets[1], found.lengths[1], "image"))
    with pytest.raises(tf.errors.DataLossError):
        read()


def test_missing_shards_are_named(shards):
    paths, _ = shards
    with pytest.raises(FileNotFoundError, match=r"shards \[1\] of .*train.tfrecord, 1 of 3, are missing"):
        records.check_series([str(paths[0]), str(paths[2])])
    paths[1].unlink()
    with pytest.raises(FileNotFoundError, match="00001-of-00003 does not exist"):
        index(paths)
    with pytest.raises(ValueError, match="at least one TFRecord shard"):
        index([])
    (paths[2].parent / "empty").touch()
    with pytest.raises(ValueError, match="must hold records, got none"):
        index([paths[2].parent / "empty"])


def test_records_without_a_label_feature_are_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "shard")) as writer:
        writer.write(example(b"", 1, label_key="class"))
    with pytest.raises(ValueError, match="record 0 has no feature 'image'|no feature 'label'"):
        index([tmp_path / "shard"])


def write(folder, *examples):
    """Write a shard of records and return its path in a list."""
    with tf.io.TFRecordWriter(str(folder / "shard")) as writer:
        for record in examples:
            writer.write(record)
    return [folder / "shard"]


def test_a_column_per_class_of_zeros_and_ones_is_kept(tmp_path):
    found = index(write(tmp_path, example(b"", [0, 1, 1]), example(b"", [1, 0, 0])))
    assert found.labels.dtype == np.float32 and found.labels.tolist() == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    "record, message",
    [
        (example(b"", [2, 5, 9]), r"record 1 has the integers \[2, 5, 9\] as its label; it must be one, or 0 and 1"),
        (
            example(b"", [1, 0]),
            r"record 1 has the label \[1, 0\], but the first record has \[0, 1, 1\]; .* of one length",
        ),
        (example(b"", 3), r"record 1 has the label 3, but the first record has \[0, 1, 1\]"),
        (example(b"", []), r"record 1 has the label -1, but the first record has \[0, 1, 1\]"),
        (
            example(b"", [b"cat"]),
            r"record 1 has the text b'cat' in 'label' instead of a number; name another with label_key",
        ),
        (example([b"a", b"b"], 1), "record 1 has 2 images in 'image' instead of one encoded image"),
        (
            example([1, 2], 1),
            "record 1 has 2 numbers in 'image' instead of one encoded image; name another one with image_key",
        ),
        (example([], 1), "record 1 has 0 numbers in 'image' instead of one"),
        (example(b"", 1, label_key="class"), "record 1 has no feature 'label', only .*; name it with label_key"),
        (b"no example", "record 1 is no tf.train.Example"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,  # a map in bytes has another order in each process
)
def test_a_record_that_does_not_fit_is_named(tmp_path, record, message):
    with pytest.raises(ValueError, match=f"shard .*, {message}"):
        index(write(tmp_path, example(b"", [0, 1, 1]), record))


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
def test_a_compressed_shard_is_called_compressed(tmp_path, compression):
    with tf.io.TFRecordWriter(str(tmp_path / "shard"), compression) as writer:
        writer.write(example(b"", 1))
    with pytest.raises(ValueError, match="shard is compressed; records are read by index, so decompress it"):
        index([tmp_path / "shard"])


@pytest.mark.parametrize("label", [lambda number: number % 3, lambda number: [number / 2, 1.0], lambda number: [0, 1]])
def test_records_in_batches_are_those_looked_at_one_by_one(tmp_path, monkeypatch, label):
    paths, _ = write_shards(tmp_path, [7, 0, 5], label=label)
    caches = (tmp_path / "one", tmp_path / "other")
    monkeypatch.setattr(records, "_BATCH", 3)
    found = index(paths, cache=caches[0])
    monkeypatch.setattr(records, "_describe_alike", lambda *_: None)
    expected = index(paths, cache=caches[1])
    for column in records._COLUMNS:
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))
        assert getattr(found, column).dtype == getattr(expected, column).dtype


def test_a_wrong_record_behind_whole_batches_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_BATCH", 2)
    path = write(tmp_path, *[example(b"", number) for number in range(5)], example(b"", 1, label_key="class"))
    with pytest.raises(ValueError, match="shard .*, record 5 has no feature 'label'"):
        index(path)
