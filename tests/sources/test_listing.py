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


def test_a_file_that_can_be_read_again_has_its_sides(picture_folder):
    link, target = picture_folder / "ant" / "5.png", picture_folder / "later.png"
    link.symlink_to(target)
    for _ in range(2):
        found = listing.read_listing(picture_folder)
        assert found.sides.tolist()[3] == [0, 0] and found.stamps.tolist()[3] == [-1, -1]
    write_image(target, 12, 13)
    assert listing.read_listing(picture_folder).sides.tolist()[3] == [12, 13]


def test_a_file_whose_permission_comes_later_has_its_sides(picture_folder, monkeypatch):
    with monkeypatch.context() as forbidden:
        forbidden.setattr(listing, "read_header", lambda stream: (_ for _ in ()).throw(PermissionError()))
        assert not listing.read_listing(picture_folder).sides.any()
    assert listing.read_listing(picture_folder).sides.all()


def test_what_is_left_out_is_said_in_one_line(picture_folder, caplog):
    listing.read_listing(picture_folder)
    for name in ("cat/a.gif", "ant/deep/b.GIF", "cat/c.tif", "cat/.hidden.gif", "d.png", "cat/e"):
        (picture_folder / name).parent.mkdir(exist_ok=True)
        (picture_folder / name).write_bytes(b"GIF89a")
    del caplog.records[:]
    listing.read_listing(picture_folder)
    (record,) = caplog.records
    start, end = f"folder {picture_folder}: left out 5 files of other formats (", "), 1 images beside the class folders"
    assert record.message.startswith(start) and record.message.endswith(end)
    kinds = record.message.removeprefix(start).removesuffix(end).split(", ")
    assert kinds[0] == "2 .gif" and sorted(kinds[1:]) == ["1 .tif", "1 .txt", "1 without suffix"]


def test_composed_and_decomposed_names_are_one_class(tmp_path):
    for name in ("cafe\u0301", "ant"):  # as macOS writes it
        write_image(tmp_path / name / "1.png")
    assert listing.read_listing(tmp_path).class_names == ("ant", "caf\u00e9")
    for known in (("caf\u00e9", "bee", "ant"), ("cafe\u0301", "bee", "ant")):
        assert listing.read_listing(tmp_path, class_names=known).labels.tolist() == [2, 0]


@pytest.mark.parametrize("names", ["ant,cat", ("ant", 3), ["ant", "ant"], ()])
def test_class_names_that_are_none_are_refused(picture_folder, names):
    with pytest.raises(ValueError, match="class_names must"):
        listing.read_listing(picture_folder, class_names=names)


def test_an_address_of_a_bucket_is_refused():
    with pytest.raises(
        ValueError, match="path must be a path of this machine, got 'gs://bucket/photos'; mount the gs://"
    ):
        listing.read_listing("gs://bucket/photos")
