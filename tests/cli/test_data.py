"""The user's own folder is used as it is: train/ and val/ or test/, or class folders that are split."""

import numpy as np
import pytest
from pictures import write_image

from keras_mixsize import sources
from keras_mixsize.cli.config import RunConfig
from keras_mixsize.cli.data import describe, facts, load_source, parts
from keras_mixsize.recipes import find
from keras_mixsize.sources.splits import split_folder


def write_classes(folder, classes=("cat", "dog"), count=10, side=20):
    for name in classes:
        for number in range(count):
            write_image(folder / name / f"{number}.jpg", side + number, 40, number)
    return folder


def files_of(root, split, **options):
    return load_source(f"folder:{root}", split, **options).files


@pytest.mark.parametrize("train", ["train", "training"])
@pytest.mark.parametrize("test", ["test", "val", "valid", "validation"])
def test_the_parts_of_a_data_set_are_used_as_such(tmp_path, train, test):
    write_classes(tmp_path / train)
    write_classes(tmp_path / test, count=3)
    assert all(f"/{train}/" in file for file in files_of(tmp_path, "train"))
    assert len(files_of(tmp_path, "test")) == 6 and all(f"/{test}/" in file for file in files_of(tmp_path, "test"))


def test_of_test_and_val_the_first_is_tested_on(tmp_path):
    for name in ("train", "val", "test"):
        write_classes(tmp_path / name)
    assert parts(tmp_path) == (tmp_path / "train", tmp_path / "test")


def test_class_folders_are_split_as_split_folder_does(tmp_path):
    write_classes(tmp_path, count=20)
    train, test = split_folder(tmp_path, 0.3)
    assert files_of(tmp_path, "train", validation=0.3) == train.files
    assert files_of(tmp_path, "test", validation=0.3) == test.files


def test_a_train_folder_alone_is_split(tmp_path):
    write_classes(tmp_path / "train", count=20)
    train, test = files_of(tmp_path, "train"), files_of(tmp_path, "test")
    assert len({*train, *test}) == 40 and not {*train} & {*test}


def test_a_class_may_be_called_train(tmp_path):
    write_classes(tmp_path, ("train", "bus"), 20)
    assert parts(tmp_path) == (tmp_path, None)
    assert load_source(f"folder:{tmp_path}", "train").class_names == ("bus", "train")


def test_the_test_folder_is_numbered_as_the_training_folder(tmp_path):
    write_classes(tmp_path / "train", ("ant", "bee", "cow"))
    write_classes(tmp_path / "val", ("bee", "cow"), 3)
    names = load_source(f"folder:{tmp_path}", "train").class_names
    test = load_source(f"folder:{tmp_path}", "test", class_names=names)
    assert test.class_names == ("ant", "bee", "cow") and test.labels.tolist() == [1] * 3 + [2] * 3


def test_classes_that_are_not_trained_are_an_error(tmp_path):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "val", ("cat", "eel"), 3)
    with pytest.raises(ValueError, match="val/eel is none of the classes"):
        load_source(f"folder:{tmp_path}", "test", class_names=("cat", "dog"))


def test_a_test_folder_alone_is_an_error(tmp_path):
    write_classes(tmp_path / "val")
    with pytest.raises(FileNotFoundError, match="has val/ but no train/ beside it"):
        load_source(f"folder:{tmp_path}", "train")


def test_a_folder_that_is_gone_is_named():
    with pytest.raises(FileNotFoundError, match="folder /nowhere does not exist"):
        load_source("folder:/nowhere", "train")


def test_the_log_says_data_set_classes_and_counts(tmp_path):
    write_classes(tmp_path / "photos/train", count=10)
    write_classes(tmp_path / "photos/val", count=3)
    config = RunConfig(find("embedded/resnet8/b+"), "runs/x", dataset=f"folder:{tmp_path}/photos")
    sources = [load_source(config.dataset, split) for split in ("train", "test")]
    lines = describe(config, *sources).splitlines()
    assert lines[0] == "data: photos, 20 images to train on, 6 images to test on (train/ and val/)"
    assert lines[1] == "2 classes (train + test): cat 10 + 3, dog 10 + 3"


def test_the_log_says_how_images_were_held_out(tmp_path):
    write_classes(tmp_path / "photos", count=20)
    config = RunConfig(find("embedded/resnet8/b+"), "runs/x", dataset=f"folder:{tmp_path}/photos", validation=0.3)
    line = describe(config, *split_folder(tmp_path / "photos", 0.3))
    assert "(held out by a hash of the name: --validation=0.3)" in line


def test_many_classes_are_not_all_listed(fashion):
    config = RunConfig(find("embedded/resnet8/b+"), "runs/x")
    assert describe(config, fashion, fashion).endswith("Ankle boot 1000 + 1000")
    fashion = type("Source", (), vars(fashion) | {"num_examples": 10_000, "class_names": tuple(map(str, range(100)))})
    assert describe(config, fashion, fashion).endswith(", and 88 more")


def test_the_default_recipe_is_told_what_is_trained_on(tmp_path):
    write_classes(tmp_path / "photos", count=20, side=20)
    examples, classes, side = facts(f"folder:{tmp_path}/photos", validation=0.3)
    train = split_folder(tmp_path / "photos", 0.3)[0]
    assert (examples, classes) == (train.num_examples, 2)
    assert side == int(np.median([min(20 + number, 40) for number in range(20)]))


def test_shards_and_arrays_tell_the_same_facts(tmp_path):
    write_classes(tmp_path / "photos", count=20, side=20)
    sources.convert(sources.folder(tmp_path / "photos"), tmp_path / "shards" / "train")
    assert facts(f"records:{tmp_path}/shards") == (40, 2, facts(f"folder:{tmp_path}/photos", validation=0.3)[2])
    assert facts("embedded") == (10_000, 10, 32)


def test_clipart_needs_its_folder():
    with pytest.raises(ValueError, match="data_dir must be given for clipart"):
        load_source("clipart", "train")


def test_our_own_data_sets_have_names():
    assert load_source("embedded", "test").num_examples == 2000
