"""Sources: what they read, and what they refuse."""

import gzip

import numpy as np
import pytest
from pictures import render, write_image

from keras_mixsize import sources
from keras_mixsize.images.augmentations import RandomResizedCrop


@pytest.fixture
def picture_folder(tmp_path):
    for label, name in enumerate(["cat", "ant"]):
        for number in range(5):
            write_image(tmp_path / name / f"{number}.{'png' if number % 2 else 'jpg'}", 20 + number, 30, 10 * label)
    return tmp_path


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
    with pytest.raises(ValueError, match=r"ant/3.png \(index 3\) cannot be used: it does not begin"):
        sources.folder(picture_folder)
