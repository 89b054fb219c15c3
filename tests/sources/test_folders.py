"""Folders: what is read of class folders, and what is refused."""

import os

import numpy as np
import pytest
import tensorflow as tf
from pictures import render, write_image

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.images.augmentations import RandomResizedCrop


@pytest.fixture
def picture_folder(tmp_path):
    for label, name in enumerate(["cat", "ant"]):
        for number in range(5):
            write_image(tmp_path / name / f"{number}.{'png' if number % 2 else 'jpg'}", 20 + number, 30, 10 * label)
    return tmp_path


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


def break_one(folder, how):
    """Make the file of index 3 one that cannot be opened, and return why."""
    file = folder / "ant" / "3.png"
    file.unlink()
    os.symlink("nowhere" if how == "broken link" else file.name, file)
    return "No such file or directory" if how == "broken link" else "Too many levels of symbolic links"


@pytest.mark.parametrize("how", ["broken link", "link to itself"])
def test_a_file_that_cannot_be_opened_is_damage_with_its_true_reason(picture_folder, how):
    reason = break_one(picture_folder, how)
    with pytest.raises(ValueError, match=rf"ant/3.png \(index 3\) cannot be used: it cannot be read: {reason}, and 0"):
        sources.folder(picture_folder)
    source = sources.folder(picture_folder, damage=sources.DamagePolicy("skip", max_share=0.2))
    train = kms.MixSizeDataset.from_source(source, regime=kms.Regime.fixed(8, 10), augmentation=kms.WholeImage())
    assert next(iter(train))[0].shape == (10, 8, 8, 3)
    (entry,) = source.damage_report()
    assert entry.index == 3 and entry.fault == f"it cannot be read: {reason}"


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", "Ünï·码.jpg".encode(), b"line\nbreak.jpg"])
def test_names_of_every_kind_are_read_and_named(picture_folder, name):
    file = picture_folder / "ant" / os.fsdecode(name)
    pixels = write_image(file, 16, 16)
    source = sources.folder(picture_folder)
    index = source.files.index(str(file))
    np.testing.assert_allclose(render(source, [index])[0] * 255, pixels, atol=12)
    file.write_bytes(file.read_bytes()[:-100])
    assert os.fsdecode(source.describe(index).numpy()) == str(file)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=rf"\(index {index}\) cannot be used: it cannot be decoded"
    ):
        render(source, [index])
