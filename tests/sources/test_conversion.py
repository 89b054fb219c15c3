"""Conversion: the same examples from shards, and the same shards however often the converter is killed."""

import hashlib
import json
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, render, write_image

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.sources.damage import DamagePolicy

ROOT = pathlib.Path(kms.__file__).parents[1]


@pytest.fixture
def picture_folder(tmp_path):
    for number in range(40):
        suffix = "png" if number % 2 else "jpg"
        write_image(tmp_path / "photos" / f"class{number % 3}" / f"{number:02}.{suffix}", 20 + number % 7, 30, number)
    return tmp_path / "photos"


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("data*"))}


def test_shards_hold_the_files_byte_for_byte(picture_folder, tmp_path):
    source = sources.folder(picture_folder)
    manifest = sources.convert(source, tmp_path / "shards", examples_per_shard=16)
    assert manifest == json.loads((tmp_path / "shards/manifest.json").read_text()) and manifest["complete"]
    assert [entry["count"] for entry in manifest["shards"].values()] == [16, 16, 8]
    assert {name: entry["sha256"] for name, entry in manifest["shards"].items()} == digests(tmp_path / "shards")
    found = sources.records(tmp_path / "shards")
    assert found.class_names == source.class_names and found.channels == 3
    np.testing.assert_array_equal(found.labels, source.labels)
    for index, file in enumerate(source.files):
        assert found.read(tf.constant(index)).numpy() == pathlib.Path(file).read_bytes()


def test_batches_from_shards_are_bitwise_those_from_the_folder_with_1_and_8_parallel_calls(picture_folder, tmp_path):
    sources.convert(sources.folder(picture_folder), tmp_path / "shards", examples_per_shard=16)
    options = {"regime": kms.Regime.parse("16x16x2:0.5,24x12x1:0.5"), "seed": 4}
    folder = kms.MixSizeDataset.from_folder(picture_folder, parallel_calls=1, **options)
    shards = kms.MixSizeDataset.from_records(tmp_path / "shards", parallel_calls=8, **options)
    for (images, labels), (other_images, other_labels) in zip(folder.take(6), shards.take(6)):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def test_arrays_are_stored_without_loss(tmp_path, small_arrays):
    images, labels = small_arrays[0][:10], np.eye(10, dtype=np.float32)[small_arrays[1][:10]]
    sources.convert(sources.ArraySource(images, labels), tmp_path)
    found = sources.records(tmp_path)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(render(found, range(10), size=32) * 255, images, atol=1e-3)


def test_large_images_are_shrunk_to_the_side_and_small_ones_are_copied(tmp_path):
    write_image(tmp_path / "photos/a/0.png", 100, 60)
    write_image(tmp_path / "photos/a/1.png", 40, 20)
    manifest = sources.convert(sources.folder(tmp_path / "photos"), tmp_path / "shards", max_side=50, quality=90)
    found = sources.records(tmp_path / "shards")
    assert manifest["settings"]["max_side"] == 50
    assert np.stack([found.index.heights, found.index.widths], axis=1).tolist() == [[50, 30], [40, 20]]
    assert found.read(tf.constant(0)).numpy().startswith(b"\xff\xd8\xff")
    assert found.read(tf.constant(1)).numpy() == (tmp_path / "photos/a/1.png").read_bytes()
    whole = sources.folder(tmp_path / "photos")
    np.testing.assert_allclose(render(found, [0], size=25), render(whole, [0], size=25), atol=0.05)


def test_a_source_of_shards_can_be_converted_again(picture_folder, tmp_path):
    sources.convert(sources.folder(picture_folder), tmp_path / "first", examples_per_shard=16)
    sources.convert(sources.records(tmp_path / "first"), tmp_path / "second", examples_per_shard=7)
    first, second = sources.records(tmp_path / "first"), sources.records(tmp_path / "second")
    np.testing.assert_array_equal(first.labels, second.labels)
    assert [first.read(tf.constant(i)).numpy() for i in (0, 17, 39)] == [
        second.read(tf.constant(i)).numpy() for i in (0, 17, 39)
    ]


# Interrupted


# Converts as the script does, but kills itself when three shards are noted; other threads are writing at that time
KILLED = """
import os, signal, sys
from keras_mixsize.cli import command, convert
from keras_mixsize.sources import conversion

def save_and_die(folder, manifest, save=conversion._save):
    save(folder, manifest)
    if len(manifest["shards"]) >= 3:
        os.kill(os.getpid(), signal.SIGKILL)

conversion._save = save_and_die
command.run(convert, sys.argv)
"""


def run_convert(folder, output, script=("experiments/convert.py",)):
    flags = [f"--dataset=folder:{folder}", f"--output={output}", "--examples_per_shard=1", "--max_side=24"]
    return subprocess.run([sys.executable, *script, *flags], cwd=ROOT, capture_output=True, text=True, timeout=3000)


def test_killed_and_resumed_it_gives_the_same_shards(picture_folder, tmp_path):
    sources.convert(sources.folder(picture_folder), tmp_path / "whole", examples_per_shard=1, max_side=24)
    assert len(digests(tmp_path / "whole")) == 40
    assert run_convert(picture_folder, tmp_path / "killed", ("-c", KILLED)).returncode == -signal.SIGKILL
    finished = digests(tmp_path / "killed")
    assert len(finished) < 40 and not json.loads((tmp_path / "killed/manifest.json").read_text())["complete"]
    with pytest.raises(ValueError, match="did not end; run it again to go on"):
        sources.records(tmp_path / "killed")
    resumed = run_convert(picture_folder, tmp_path / "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert "40 examples" in resumed.stdout + resumed.stderr
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    read = [(tmp_path / name / "manifest.json").read_bytes() for name in ("killed", "whole")]
    assert read[0] == read[1] and not list((tmp_path / "killed").glob(".*.tmp"))


def test_a_shard_that_was_changed_is_written_anew(picture_folder, tmp_path):
    source = sources.folder(picture_folder)
    sources.convert(source, tmp_path / "shards", examples_per_shard=16)
    before = digests(tmp_path / "shards")
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shards").glob("data*")}
    broken = tmp_path / "shards" / list(before)[1]
    data = bytearray(broken.read_bytes())
    data[100] ^= 1
    broken.write_bytes(data)
    sources.convert(source, tmp_path / "shards", examples_per_shard=16)
    assert digests(tmp_path / "shards") == before
    untouched = tmp_path / "shards" / list(before)[0]
    assert untouched.stat().st_mtime_ns == times[untouched.name]


def test_other_settings_need_another_folder(picture_folder, tmp_path):
    source = sources.folder(picture_folder)
    options = {"examples_per_shard": 16}
    sources.convert(source, tmp_path / "shards", **options)
    for change in ({"quality": 50}, {"examples_per_shard": 8}, {"max_side": 20}):
        with pytest.raises(ValueError, match="holds another conversion .settings .*; use another folder, or delete it"):
            sources.convert(source, tmp_path / "shards", **(options | change))


# Damage


def test_damaged_images_are_refused_by_name_or_left_out_and_listed(picture_folder, tmp_path):
    bad = picture_folder / "class0" / "06.jpg"
    bad.write_bytes(encoded(np.zeros((200, 200, 3), np.uint8))[:300])
    with pytest.raises(ValueError, match=r"class0/06.jpg \(index 2\) cannot be used: it cannot be decoded"):
        sources.convert(sources.folder(picture_folder), tmp_path / "raise")
    with pytest.raises(ValueError, match="1 of 40 images are damaged, more than max_share=0.01 allows"):
        sources.convert(sources.folder(picture_folder, damage="skip"), tmp_path / "few")
    source = sources.folder(picture_folder, damage=DamagePolicy("skip", max_share=0.1))
    manifest = sources.convert(source, tmp_path / "skip")
    (entry,) = manifest["shards"].values()
    assert entry["count"] == 39 and entry["left_out"] == [
        {"index": 2, "name": str(bad), "fault": "it cannot be decoded"}
    ]
    np.testing.assert_array_equal(sources.records(tmp_path / "skip").labels, np.delete(source.labels, 2))


def test_a_shard_cut_at_a_record_is_found_by_the_manifest(picture_folder, tmp_path):
    sources.convert(sources.folder(picture_folder), tmp_path / "shards", examples_per_shard=16)
    path = sorted((tmp_path / "shards").glob("data*"))[2]
    offsets = sources.records(tmp_path / "shards").index.offsets
    path.write_bytes(path.read_bytes()[: offsets[-1]])
    with pytest.raises(ValueError, match="00002-of-00003 has 7 records, but 8 are expected"):
        sources.records(tmp_path / "shards")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"max_side": 0}, "max_side must be at least 1 pixel, got 0"),
        ({"quality": 101}, r"quality must lie in \[1, 100\], got 101"),
        ({"examples_per_shard": 0}, "examples_per_shard must be at least 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        sources.convert(sources.fashion_mnist("test"), tmp_path, **options)


def test_sources_that_cannot_be_stored_are_refused(tmp_path):
    floats = sources.ArraySource(np.zeros((2, 8, 8, 1), np.float32), np.arange(2))
    with pytest.raises(ValueError, match="source must have uint8 images to be stored without loss, got float32"):
        sources.convert(floats, tmp_path)
    with pytest.raises(ValueError, match="must be an ArraySource or an EncodedSource"):
        sources.convert([1, 2], tmp_path)


def test_a_folder_without_a_manifest_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no manifest.json; give a pattern"):
        sources.records(tmp_path)
