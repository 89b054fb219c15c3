"""Listing: what a folder holds, read once and kept as long as it is true."""

import os

import numpy as np
import pytest
from pictures import write_image

from keras_mixsize.sources import listing


@pytest.fixture
def picture_folder(tmp_path):
    for label, name in enumerate(["cat", "ant"]):
        for number in range(3):
            write_image(tmp_path / name / f"{number}.{'png' if number % 2 else 'jpg'}", 20 + number, 30 + label)
    write_image(tmp_path / "cat" / "deeper" / "4.PNG".lower(), 9, 8)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    return tmp_path


@pytest.fixture
def reads(monkeypatch):
    """Names of the files whose headers are read."""
    names, read = [], listing._read
    monkeypatch.setattr(listing, "_read", lambda file: names.append(file.name) or read(file))
    return names


def test_files_labels_and_sides(picture_folder):
    found = listing.read_listing(picture_folder)
    assert found.class_names == ("ant", "cat")
    assert found.names == (
        "ant/0.jpg",
        "ant/1.png",
        "ant/2.jpg",
        "cat/0.jpg",
        "cat/1.png",
        "cat/2.jpg",
        "cat/deeper/4.png",
    )
    assert found.labels.tolist() == [0] * 3 + [1] * 4
    assert found.sides.tolist() == [[20, 31], [21, 31], [22, 31], [20, 30], [21, 30], [22, 30], [9, 8]]
    assert found.files[0] == os.path.join(picture_folder, "ant/0.jpg")
    assert found.stamps[:, 0].tolist() == [os.path.getsize(file) for file in found.files]


def test_headers_are_read_once_and_then_only_where_something_changed(picture_folder, reads):
    listing.read_listing(picture_folder)
    assert len(reads) == 7
    listing.read_listing(picture_folder)
    assert len(reads) == 7
    write_image(picture_folder / "ant" / "1.png", 50, 60)
    write_image(picture_folder / "bee" / "0.png", 5, 6)
    (picture_folder / "cat" / "2.jpg").unlink()
    os.utime(picture_folder / "cat" / "0.jpg", ns=(0, 0))
    del reads[:]
    found = listing.read_listing(picture_folder)
    assert sorted(reads) == ["0.jpg", "0.png", "1.png"]
    assert found.class_names == ("ant", "bee", "cat")
    assert found.sides.tolist() == [[20, 31], [50, 60], [22, 31], [5, 6], [20, 30], [21, 30], [9, 8]]


def test_the_cache_can_lie_elsewhere_or_nowhere(picture_folder, tmp_path, caplog, reads):
    cache = tmp_path / "cache.npz"
    listing.read_listing(picture_folder, cache=cache)
    assert cache.exists() and not (picture_folder / listing.CACHE).exists()
    listing.read_listing(picture_folder, cache=tmp_path / "no" / "where")
    assert "cannot be kept" in caplog.text


def test_a_broken_cache_is_made_anew(picture_folder, caplog):
    (picture_folder / listing.CACHE).write_bytes(b"PK")
    assert len(listing.read_listing(picture_folder).names) == 7 and "made anew" in caplog.text


def test_names_that_are_no_utf_8_survive(picture_folder, reads):
    write_image(picture_folder / "ant" / os.fsdecode(b"\xff\n.png"))
    first = listing.read_listing(picture_folder)
    again = listing.read_listing(picture_folder)
    assert first.names == again.names and len(reads) == 8
    np.testing.assert_array_equal(first.sides, again.sides)
