"""ArrayRecord files, which tfds writes here: the same examples as tfds itself reads."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from flowers import Flowers

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.input import service

pytestmark = pytest.mark.filterwarnings("default")


def prepare(folder, shards=3):
    """Write the data set into a folder as ArrayRecord files, and return its builder."""
    builder = Flowers(data_dir=str(folder), file_format="array_record")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=shards))
    return builder


@pytest.fixture(scope="module")
def random_access(tmp_path_factory):
    """Folder with the same data set in ArrayRecord files."""
    folder = tmp_path_factory.mktemp("array_record")
    prepare(folder)
    return folder


def examples_of(folder, split, **options):
    """Return labels and encoded images of a split."""
    source = sources.tfds_source("flowers", split, data_dir=str(folder), **options)
    return source.labels.tolist(), [source.read(tf.constant(index)).numpy() for index in range(source.num_examples)]


@pytest.mark.parametrize("split", ["train", "train[3:17]", "train[15:]+train[:2]"])
@pytest.mark.parametrize("limit", [0, 2**30])
def test_array_records_are_read_by_index(random_access, split, limit, tmp_path):
    found = examples_of(random_access, split, memory_limit=limit)
    data = Flowers(data_dir=str(random_access), file_format="array_record").as_data_source(
        split=split, decoders={"image": tfds.decode.SkipDecoding()}
    )
    assert found[0] == [data[index]["label"] for index in range(len(data))]
    assert found[1] == [data[index]["image"] for index in range(len(data))]
    if split == "train":
        Flowers(data_dir=str(tmp_path)).download_and_prepare()
        assert found == examples_of(tmp_path, split)  # as TFRecord


@pytest.mark.slow
def test_array_records_give_the_same_batches_with_one_and_with_eight_calls_and_from_memory(random_access, regime):
    batches = []
    for limit, calls in ((0, 1), (0, 8), (2**30, 8)):
        source = sources.tfds_source("flowers", "train", data_dir=str(random_access), memory_limit=limit)
        assert isinstance(source, sources.BytesSource if limit else sources.ArrayRecordSource)
        train = kms.MixSizeDataset.from_source(source, regime=regime, seed=3, parallel_calls=calls)
        batches.append([images.numpy() for images, _ in train.take(4)])
    for one, eight, memory in zip(*batches):
        np.testing.assert_array_equal(one, eight)
        np.testing.assert_array_equal(one, memory)


def test_the_labels_of_array_records_are_kept(random_access, monkeypatch):
    options = {"data_dir": str(random_access), "memory_limit": 0}
    labels = sources.tfds_source("flowers", "train", **options).labels
    monkeypatch.setattr("keras_mixsize.sources.array_records.in_parallel", None)  # the records are not read again
    np.testing.assert_array_equal(sources.tfds_source("flowers", "train", **options).labels, labels)


def damage(builder, keep=1.0, flip=None):
    """Keep a share of the file of 20 records, or flip bits at a place in it."""
    (shard,) = builder.info.splits["train"].filepaths
    content = bytearray(shard.read_bytes())
    if flip is not None:
        content[int(flip * len(content))] ^= 255
    with open(shard, "r+b") as stream:  # the same file, which may be open
        stream.write(content)
        stream.truncate(int(keep * len(content)))


@pytest.mark.parametrize("how", [{"keep": 0.5}, {"flip": 0.5}])
def test_a_damaged_file_is_refused(tmp_path, how):
    damage(prepare(tmp_path, shards=1), **how)
    with pytest.raises(ValueError, match="flowers-train.array_record-00000-of-00001.* cannot be read"):
        sources.tfds_source("flowers", "train", data_dir=str(tmp_path), memory_limit=0)


def test_damage_while_training_names_file_and_record(tmp_path):
    builder = prepare(tmp_path, shards=1)
    source = sources.tfds_source("flowers", "train", data_dir=str(tmp_path), memory_limit=0)
    damage(builder, flip=0.5)
    source._records.__setstate__(source._records.__getstate__())  # opens the file anew, as another process would
    train = kms.MixSizeDataset.from_source(source, regime=kms.Regime.fixed(16, 20))
    message = r"array_record-00000-of-00001 record \d+ \(index \d+\) cannot be used: it cannot be read"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(train))


def test_a_split_without_labels_is_refused(random_access):
    with pytest.raises(ValueError, match="must have labels, got none; use a split that has them"):
        sources.tfds_source("flowers", "test", data_dir=str(random_access))


def test_a_service_is_refused(random_access):
    source = sources.tfds_source("flowers", "train", data_dir=str(random_access), memory_limit=0)
    train = kms.MixSizeDataset.from_source(source, regime=kms.Regime.fixed(16, 4))
    with pytest.raises(ValueError, match="source must be no ArrayRecordSource with a service"):
        service.from_service(train, ["localhost:1"])


def test_some_records_can_be_taken(random_access):
    whole = sources.tfds_source("flowers", "train", data_dir=str(random_access), memory_limit=0)
    part = whole.take(np.array([7, 2]))
    for index, row in enumerate((7, 2)):
        assert part.read(tf.constant(index)).numpy() == whole.read(tf.constant(row)).numpy()
        assert part.describe(tf.constant(index)).numpy() == whole.describe(tf.constant(row)).numpy()
