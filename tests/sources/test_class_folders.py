"""Class folders: which files belong to a class, in folders as people have them."""

import os

import pytest

from keras_mixsize.sources import class_folders


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def names_below(root, name="cat"):
    own = {
        class_folders.identity(root),
        *(class_folders.identity(root / each) for each in class_folders.class_folders(root)),
    }
    return [path for path, _ in class_folders.files_below(root, name, own).images]


def test_suffixes_of_any_case_are_read_and_others_are_counted(tmp_path):
    touch(
        tmp_path,
        *(
            f"cat/{name}"
            for name in ("a.JPG", "b.jfif", "c.jpe", "d.Jpeg", "e.png", "e.WebP", "e2.bmp", "f.gif", "g.avif", "h")
        ),
    )
    found = class_folders.files_below(tmp_path, "cat", set())
    assert [name for name, _ in found.images] == [
        "cat/a.JPG",
        "cat/b.jfif",
        "cat/c.jpe",
        "cat/d.Jpeg",
        "cat/e.WebP",
        "cat/e.png",
        "cat/e2.bmp",
    ]
    assert found.others == {".gif": 1, ".avif": 1, "without suffix": 1}


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", ".ipynb_checkpoints", ".hidden", "$RECYCLE.BIN", "lost+found"])
def test_folders_of_the_system_are_neither_classes_nor_read_at_any_depth(tmp_path, name):
    touch(tmp_path, "cat/deep/1.png", f"{name}/2.png", f"cat/{name}/3.png", f"cat/deep/{name}/4.png")
    assert class_folders.class_folders(tmp_path) == ["cat"]
    assert names_below(tmp_path) == ["cat/deep/1.png"]


@pytest.mark.parametrize("name", ["._1.jpg", ".DS_Store", "Thumbs.db", ".png"])
def test_hidden_files_are_no_images_and_not_counted(tmp_path, name):
    touch(tmp_path, "cat/1.jpg", f"cat/{name}")
    found = class_folders.files_below(tmp_path, "cat", set())
    assert [path for path, _ in found.images] == ["cat/1.jpg"] and not found.others


@pytest.mark.parametrize("target", [".", "..", "../cat", "../dog", "deep", "deep/deeper"])
def test_every_directory_is_visited_once_whatever_links_lead_to_it(tmp_path, target):
    touch(tmp_path, "cat/1.png", "cat/2.png", "cat/deep/3.png", "cat/deep/deeper/4.png", "dog/1.png")
    expected = names_below(tmp_path)
    assert len(expected) == 4
    os.symlink(target, tmp_path / "cat" / "link")
    assert names_below(tmp_path) == expected


def test_a_link_to_a_directory_elsewhere_is_followed(tmp_path):
    touch(tmp_path, "elsewhere/1.png", "photos/dog/1.png")
    touch(tmp_path, "other/2.png")
    os.symlink(tmp_path / "elsewhere", tmp_path / "photos" / "cat")
    os.symlink(tmp_path / "other", tmp_path / "photos" / "dog" / "more")
    assert names_below(tmp_path / "photos", "dog") == ["dog/1.png", "dog/more/2.png"]
    assert names_below(tmp_path / "photos", "cat") == ["cat/1.png"]


def test_links_that_lead_nowhere_are_files_without_stamp(tmp_path):
    (tmp_path / "cat").mkdir()
    os.symlink("nowhere", tmp_path / "cat" / "1.png")
    os.symlink("2.png", tmp_path / "cat" / "2.png")
    os.symlink("nowhere", tmp_path / "cat" / "folder")
    found = class_folders.files_below(tmp_path, "cat", set())
    assert found.images == [("cat/1.png", (-1, -1)), ("cat/2.png", (-1, -1))]


def test_a_class_that_links_to_the_folder_itself_is_none(tmp_path):
    touch(tmp_path, "cat/1.png", "0.png")
    os.symlink(".", tmp_path / "all")
    assert class_folders.class_folders(tmp_path) == ["cat"]


def test_folders_that_cannot_be_listed_are_named_with_the_reason(tmp_path, monkeypatch):
    touch(tmp_path, "cat/1.png", "cat/secret/2.png")
    scan = os.scandir

    def denied(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    found = class_folders.files_below(tmp_path, "cat", set())
    assert class_folders.left_out([found]) == "1 folders that cannot be read (cat/secret: Permission denied)"


def test_nothing_left_out_is_no_word():
    assert class_folders.left_out([class_folders.FilesBelow()]) == ""


# Bad input


@pytest.mark.parametrize("parts", [("train", "test"), ("Train", "val"), ("train", "validation", "test"), ("train",)])
def test_the_parts_of_a_data_set_are_no_classes(tmp_path, parts):
    touch(tmp_path, *(f"{part}/{name}/1.png" for part in parts for name in ("cat", "dog")))
    first = min(parts)
    with pytest.raises(ValueError, match=f"holds the parts of a data set, .*; name one of them: {tmp_path / first}"):
        class_folders.class_folders(tmp_path)


def test_classes_may_have_the_names_of_parts(tmp_path):
    touch(tmp_path, "train/1.png", "test/2.png")
    assert class_folders.class_folders(tmp_path) == ["test", "train"]
    touch(tmp_path, "bus/deep/1.png")
    (tmp_path / "train/1.png").unlink()
    assert class_folders.class_folders(tmp_path) == ["bus", "test", "train"]


def test_two_classes_that_are_one_are_refused(tmp_path):
    touch(tmp_path, "cat/1.png")
    os.symlink("cat", tmp_path / "kitten")
    with pytest.raises(ValueError, match="class folders 'cat' and 'kitten' of .* have the same directory; remove one"):
        class_folders.class_folders(tmp_path)
    (tmp_path / "kitten").unlink()
    touch(tmp_path, "caf\u00e9/1.png", "cafe\u0301/2.png")
    with pytest.raises(ValueError, match="have the same name; remove one"):
        class_folders.class_folders(tmp_path)
