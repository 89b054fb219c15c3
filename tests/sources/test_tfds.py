"""Data sets of tensorflow-datasets: offline, with tfds's mock and with a data set made by the test."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from flowers import Flowers
from pictures import render

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.images.augmentations import RandomResizedCrop

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Folder with the data set, in several shards, and its images as tfds reads them."""
    folder = tmp_path_factory.mktemp("tfds")
    builder = Flowers(data_dir=str(folder))
    config = tfds.download.DownloadConfig(num_shards=3)
    builder.download_and_prepare(download_config=config)
    decoders = {"image": tfds.decode.SkipDecoding()}
    return folder, list(tfds.as_numpy(builder.as_dataset(split="train", decoders=decoders)))


@pytest.mark.parametrize("name, classes", [("cifar10", 10), ("cifar100", 100)])
def test_images_of_one_size_become_arrays(name, classes):
    with tfds.testing.mock_data(num_examples=12):
        source = sources.tfds_source(name, "train")
    assert isinstance(source, sources.ArraySource) and source.images.shape == (12, 32, 32, 3)
    assert source.num_classes == classes and source.labels.dtype == np.int64


def test_grey_images_stay_grey():
    with tfds.testing.mock_data(num_examples=3):
        assert sources.tfds_source("mnist", "train").images.shape == (3, 28, 28, 1)


@pytest.mark.parametrize("name, classes", [("oxford_flowers102", 102), ("imagenet2012", 1000)])
def test_images_of_many_sizes_stay_encoded_in_memory_if_they_fit(name, classes):
    with tfds.testing.mock_data(num_examples=6):
        source = sources.tfds_source(name, "train")
    assert isinstance(source, sources.BytesSource) and source.num_examples == 6 and source.num_classes == classes
    assert render(source, [0, 5], size=24, augmentation=RandomResizedCrop()).shape == (2, 24, 24, 3)


def test_what_does_not_fit_in_memory_is_read_from_the_shards(prepared):
    folder, examples = prepared
    whole = sources.tfds_source("flowers", "train", data_dir=str(folder))
    source = sources.tfds_source("flowers", "train", data_dir=str(folder), memory_limit=1000)
    assert isinstance(whole, sources.BytesSource) and isinstance(source, sources.RecordSource)
    assert len(source.index.files) > 1 and source.num_examples == 20 and source.num_classes == 5
    np.testing.assert_array_equal(source.labels, [example["label"] for example in examples])
    for index, example in enumerate(examples):
        assert source.read(tf.constant(index)).numpy() == example["image"]
    chosen = [3, 19, 0]
    np.testing.assert_array_equal(*(render(kind, chosen, augmentation=RandomResizedCrop()) for kind in (whole, source)))


@pytest.mark.parametrize("split", ["train[3:17]", "train[:4]", "train[15:]+train[:2]"])
def test_slices_of_splits_are_the_same_from_shards(prepared, split):
    folder, _ = prepared
    whole = sources.tfds_source("flowers", split, data_dir=str(folder))
    source = sources.tfds_source("flowers", split, data_dir=str(folder), memory_limit=0)
    np.testing.assert_array_equal(source.labels, whole.labels)
    for index in range(whole.num_examples):
        assert source.read(tf.constant(index)).numpy() == whole.read(tf.constant(index)).numpy()


def test_batches_from_shards_are_those_from_memory(prepared, regime):
    folder, _ = prepared
    batches = []
    for limit in (0, 2**30):
        source = sources.tfds_source("flowers", "train", data_dir=str(folder), memory_limit=limit)
        train = kms.MixSizeDataset.from_source(source, regime=regime, seed=3, parallel_calls=1 if limit else 8)
        batches.append([images.numpy() for images, _ in train.take(4)])
    for one, other in zip(*batches):
        np.testing.assert_array_equal(one, other)


# Bad input


@pytest.mark.parametrize("limit", [0, 2**30])
def test_a_split_without_labels_is_refused(prepared, limit):
    with pytest.raises(ValueError, match="must have labels, got none; use a split that has them"):
        sources.tfds_source("flowers", "test", data_dir=str(prepared[0]), memory_limit=limit)


@pytest.mark.parametrize("split", ["validation", "train+validation[:3]"])
def test_an_unknown_split_lists_the_splits(prepared, split):
    with pytest.raises(
        ValueError, match=r"split of 'flowers' must be one of \['test', 'train'\] or a slice, got '.*valid"
    ):
        sources.tfds_source("flowers", split, data_dir=str(prepared[0]))


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(ValueError, match="'imagnet2012' is unknown to tensorflow-datasets; near names: .*imagenet2012"):
        sources.tfds_source("imagnet2012")


def test_data_without_images_are_refused():
    with pytest.raises(ValueError, match="'imdb_reviews' must have the features image and label"):
        sources.tfds_source("imdb_reviews")


def test_a_manual_download_says_what_goes_where(tmp_path):
    message = f"data_dir .{tmp_path}/downloads/manual.*ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"
    with pytest.raises(FileNotFoundError, match=message):
        sources.tfds_source("imagenet2012", data_dir=str(tmp_path))
    (tmp_path / "downloads/manual").mkdir(parents=True)
    (tmp_path / "downloads/manual/notes.txt").write_text("the archives come later")
    with pytest.raises(FileNotFoundError, match=message):
        sources.tfds_source("imagenet2012", data_dir=str(tmp_path))


def test_large_data_without_shards_are_refused():
    with (
        tfds.testing.mock_data(num_examples=3),
        pytest.raises(ValueError, match="larger than memory_limit and has no TFR"),
    ):
        sources.tfds_source("imagenet2012", memory_limit=10)


@pytest.mark.parametrize("limit", [0, 2**30])
def test_a_shard_that_was_cut_is_refused(tmp_path, limit):
    builder = Flowers(data_dir=str(tmp_path))
    builder.download_and_prepare()
    (shard,) = builder.info.splits["train"].filepaths
    length = int.from_bytes(shard.read_bytes()[:8], "little")
    shard.write_bytes(shard.read_bytes()[: length + 16])  # the first record is whole
    with pytest.raises(ValueError, match="'flowers' is damaged: .*20 elements but contained only 1.*prepare it again"):
        sources.tfds_source("flowers", "train", data_dir=str(tmp_path), memory_limit=limit)
