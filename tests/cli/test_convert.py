"""`mixsize convert` writes shards of a folder, and says what it left out."""

import pytest
from finished_run import write_photos

import keras_mixsize as kms
from keras_mixsize.cli import command, convert


def mixsize_convert(*arguments):
    return command.run(convert, ["mixsize convert", *map(str, arguments)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.mark.parametrize("name", ["{}", "folder:{}"])
def test_a_folder_becomes_shards(photos, tmp_path, capsys, name):
    source = name.format(photos / "train")
    assert mixsize_convert(source, f"--output={tmp_path}", "--max_side=24", "--examples_per_shard=10") == 0
    assert f"16 examples, 0.0 MiB, in {tmp_path}/manifest.json" in capsys.readouterr().out
    shards = kms.sources.records(tmp_path)
    assert shards.num_examples == 16 and shards.class_names == ("cat", "dog") and len(shards.index.files) == 2


def test_what_is_left_out_is_listed(photos, tmp_path, capsys):
    (photos / "train/cat/broken.jpg").write_bytes(b"no image")
    try:
        arguments = [f"--dataset={photos / 'train'}", f"--output={tmp_path}"]
        assert mixsize_convert(*arguments) == 2
        assert "broken.jpg" in capsys.readouterr().err
        assert mixsize_convert(*arguments, "--damage=skip") == 2  # one of 17 is more than one in a hundred
        assert "1 of 17 images are damaged, more than max_share=0.01 allows" in capsys.readouterr().err
    finally:
        (photos / "train/cat/broken.jpg").unlink()
    entry = {"index": 3, "name": "train/cat/a.jpg", "fault": "it is empty"}
    manifest = {"examples": 5, "shards": {"data": {"bytes": 2**20, "left_out": [entry]}}}
    lines = convert.summary(manifest, "shards").splitlines()
    assert lines == ["4 examples, 1.0 MiB, in shards/manifest.json", "left out: train/cat/a.jpg (index 3): it is empty"]


def test_the_embedded_images_become_shards(tmp_path):
    assert mixsize_convert("embedded", "--split=test", f"--output={tmp_path}", "--nocheck") == 0
    assert kms.sources.records(tmp_path).num_examples == 2000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos"], "name one data set and an --output"),
        (["--output=shards"], "name one data set and an --output"),
        (["folder:nowhere", "--output=shards"], "/nowhere does not exist"),
        (["photos", "--output=shards", "--quality=101"], "--quality"),
    ],
)
def test_mistakes_are_answered_in_a_line(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert mixsize_convert(*arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1] and not list(tmp_path.iterdir())
