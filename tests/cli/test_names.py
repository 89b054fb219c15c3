"""A user's word means a folder, shards, or a data set that is known."""

import pytest

from keras_mixsize.cli.names import meaning, short_name


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("photos/cat", "mnist/one", "shards/train", "deep/er/cat"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "shards/train/manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("word", ["photos", "photos/", "./photos", "folder:photos", "{here}/photos", "deep/../photos"])
def test_a_folder_is_meant_in_full(here, word):
    assert meaning(word.format(here=here)) == f"folder:{here}/photos"


def test_shards_are_told_from_images(here):
    assert meaning("shards") == f"records:{here}/shards" == meaning("records:shards")
    assert meaning("shards/train") == f"records:{here}/shards/train"


def test_the_home_folder_can_be_written_short(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert meaning("folder:~/photos") == f"folder:{here}/photos" == meaning("~/photos")


@pytest.mark.parametrize(
    "word", ["embedded", "clipart", "cifar10", "imagenet2012", "cifar10_corrupted/fog_1", "mnist:3.*.*"]
)
def test_known_names_stay_as_they_are(here, word):
    assert meaning(word) == word


def test_a_known_name_goes_before_a_folder_with_a_word(here):
    said = []
    assert meaning("mnist", said.append) == "mnist" and "for the folder, write ./mnist" in said[0]
    assert meaning("./mnist", said.append) == f"folder:{here}/mnist" and len(said) == 1


@pytest.mark.parametrize("word, near", [("fotos", "photos"), ("cifar_10", "cifar10"), ("embeded", "embedded")])
def test_an_unknown_name_is_answered_with_the_nearest(here, word, near):
    with pytest.raises(ValueError, match=rf"no folder and no data set '{word}'; did you mean {near}\?"):
        meaning(word)


@pytest.mark.parametrize("word", ["./nowhere", "folder:nowhere", "records:nowhere", "/nowhere", "nowhere/"])
def test_a_path_that_leads_nowhere_is_named(here, word):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        meaning(word)


def test_short_names():
    names = ["folder:/data/photos", "folder:photos/", "records:shards", "cifar10", "mnist:3.0.1"]
    assert [short_name(name) for name in names] == ["photos", "photos", "shards", "cifar10", "mnist:3.0.1"]
