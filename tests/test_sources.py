"""Sources: what they read, and what they refuse."""

import gzip

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mixsize import sources
from keras_mixsize.images import RandomResizedCrop, Transform, WholeImage


def write_image(path, height=20, width=30, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    gradient = np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None] * 3 + value, (height, width, 3))
    encode = tf.io.encode_png if path.suffix == ".png" else tf.io.encode_jpeg
    path.write_bytes(encode(tf.constant(gradient)).numpy())
    return gradient


@pytest.fixture
def picture_folder(tmp_path):
    for label, name in enumerate(["cat", "ant"]):
        for number in range(5):
            write_image(tmp_path / name / f"{number}.{'png' if number % 2 else 'jpg'}", 20 + number, 30, 10 * label)
    return tmp_path


def render(source, indices, size=16, duplicates=1, augmentation=None):
    seeds = tf.range(len(indices) * duplicates, dtype=tf.int64)
    transform = Transform(augmentation=augmentation or WholeImage())
    return source.render(
        tf.constant(indices, tf.int64), tf.cast(seeds, tf.uint32), tf.constant(size), transform
    ).numpy()


def test_embedded_images_are_balanced_and_padded_to_32():
    for split, count in [("train", 1000), ("test", 200)]:
        source = sources.fashion_mnist(split)
        assert source.images.shape == (10 * count, 32, 32, 1) and source.images.dtype == np.uint8
        np.testing.assert_array_equal(np.bincount(source.labels), [count] * 10)
        border = source.images.copy()
        border[:, 2:-2, 2:-2] = 0
        assert not border.any() and source.images[:, 2:-2, 2:-2].any(axis=(1, 2, 3)).all()
        assert source.num_classes == 10 and source.channels == 1


def test_full_fashion_mnist_is_read_from_idx_files(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes([3, 1, 4])))
    source = sources.fashion_mnist("test", path=tmp_path)
    np.testing.assert_array_equal(source.images[:, 2:-2, 2:-2, 0], images)
    np.testing.assert_array_equal(source.labels, [3, 1, 4])
    with pytest.raises(FileNotFoundError, match="train-images.*dataset-fashion-mnist"):
        sources.fashion_mnist("train", path=tmp_path)


def test_folder_numbers_classes_in_sorted_order(picture_folder):
    source = sources.folder(picture_folder)
    assert source.class_names == ("ant", "cat") and source.num_examples == 10 and source.channels == 3
    np.testing.assert_array_equal(source.labels, [0] * 5 + [1] * 5)


def test_folder_renders_png_files_exactly(picture_folder):
    source = sources.folder(picture_folder)
    pixels = write_image(picture_folder / "ant" / "1.png", 16, 16, 7)
    np.testing.assert_allclose(render(source, [1])[0], pixels / np.float32(255), atol=1e-6)


def test_copies_of_a_file_are_a_batch_apart(picture_folder):
    source = sources.folder(picture_folder)
    together = render(source, [1, 8], duplicates=2, augmentation=RandomResizedCrop())
    assert together.shape == (4, 16, 16, 3)
    np.testing.assert_array_equal(render(source, [1, 8], duplicates=1, augmentation=RandomResizedCrop()), together[:2])
    assert np.abs(together[0] - together[2]).max() > 0.01


def test_a_test_folder_is_numbered_like_the_training_folder(picture_folder, tmp_path):
    names = sources.folder(picture_folder).class_names
    write_image(tmp_path / "elsewhere" / "cat" / "1.png")
    assert sources.folder(tmp_path / "elsewhere", class_names=names).labels.tolist() == [1]
    write_image(tmp_path / "elsewhere" / "dog" / "1.png")
    with pytest.raises(ValueError, match=r"dog is none of the classes \('ant', 'cat'\)"):
        sources.folder(tmp_path / "elsewhere", class_names=names)


def test_grey_channels_are_converted(picture_folder):
    assert render(sources.folder(picture_folder, channels=1), [0, 9]).shape == (2, 16, 16, 1)


def test_array_images_may_lack_channels_or_be_floats():
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 12)).astype(np.uint8)
    grey = sources.ArraySource(images, np.arange(4))
    floats = sources.ArraySource(images / np.float32(255), np.arange(4))
    assert grey.channels == 1
    np.testing.assert_allclose(render(grey, [2, 0]), render(floats, [2, 0]), atol=1e-6)


def test_labels_may_be_a_column_or_one_hot():
    images = np.zeros((3, 8, 8, 1), np.uint8)
    assert sources.ArraySource(images, np.array([[1], [0], [2]])).labels.shape == (3,)
    one_hot = sources.ArraySource(images, np.eye(3, 5, dtype=np.float32))
    assert one_hot.num_classes == 5 and one_hot.labels.dtype == np.float32


# tfds, offline


@pytest.mark.filterwarnings("default")
def test_tfds_images_of_one_size_become_arrays():
    with tfds.testing.mock_data(num_examples=12):
        source = sources.tfds_source("cifar10", "train")
    assert isinstance(source, sources.ArraySource) and source.images.shape == (12, 32, 32, 3)
    assert source.num_classes == 10 and source.labels.dtype == np.int64


@pytest.mark.filterwarnings("default")
def test_tfds_images_of_many_sizes_stay_encoded():
    with tfds.testing.mock_data(num_examples=6):
        source = sources.tfds_source("oxford_flowers102", "train")
    assert isinstance(source, sources.EncodedSource) and source.num_examples == 6 and source.num_classes == 102
    assert render(source, [0, 5], size=24, augmentation=RandomResizedCrop()).shape == (2, 24, 24, 3)


@pytest.mark.filterwarnings("default")
def test_tfds_without_images_is_refused():
    with pytest.raises(ValueError, match="'imdb_reviews' must have the features image and label"):
        sources.tfds_source("imdb_reviews")


# Bad input


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        sources.folder(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file is no directory"):
        sources.folder(tmp_path / "file")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path.name} has no sub-folders; make one per class"):
        sources.folder(tmp_path)


def test_an_empty_class_folder_is_named(picture_folder):
    (picture_folder / "bee").mkdir()
    with pytest.raises(ValueError, match="class folder .*bee has no .jpg"):
        sources.folder(picture_folder)


def test_a_file_that_is_no_image_is_named_with_its_index(picture_folder):
    (picture_folder / "ant" / "3.png").write_text("no image")
    with pytest.raises(ValueError, match=r"ant/3.png \(index 3\) is neither a JPEG nor a PNG"):
        sources.folder(picture_folder)


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.zeros((3, 8, 8, 2), np.uint8), [0, 1, 2], r"\[N, H, W, C\] with C 1 or 3.*\(3, 8, 8, 2\)"),
        (np.zeros((3, 8, 8, 3), np.int64), [0, 1, 2], "uint8 .* or float32.*int64"),
        (np.full((3, 8, 8, 3), 255, np.float32), [0, 1, 2], r"lie in \[0, 1\], got 255..255; divide by 255"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0, 1], "one per image, got 2 labels for 3 images"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0, -1, 2], "at or above 0, got -1 at index 1"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0.5, 1.5, 2.5], "integers .* or floats .*float64"),
        (np.zeros((0, 8, 8, 3), np.uint8), [], "one per image, got 0 labels for 0 images"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        sources.ArraySource(images, np.array(labels))


def test_labels_beyond_the_named_classes_are_refused():
    with pytest.raises(ValueError, match=r"lie in \[0, 2\), got 2 at index 2"):
        sources.ArraySource(np.zeros((3, 8, 8, 1), np.uint8), np.arange(3), ("a", "b"))
