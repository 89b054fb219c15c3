"""Class folders: the names of the classes, the image files below each, and what is left out.

Neighbour: `listing`, which reads the files' headers.

    names = class_folders(pathlib.Path("photos/train"))           # ["cat", "dog"]
    found = files_below("photos/train", "cat", seen=set())        # its images, and what else lies there
    left_out([found])                                             # "2 files of other formats (2 .gif)"
"""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import unicodedata
from collections.abc import Iterable

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp")
PARTS = {
    "train",
    "training",
    "val",
    "valid",
    "validation",
    "dev",
    "test",
    "testing",
    "eval",
}  # of a data set, no classes
BROKEN = (-1, -1)  # the stamp of a file of which the system knows nothing, such as a link that leads nowhere
_SYSTEM = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "thumbs.db"}
_NAMED = 3  # unreadable folders that are named

Stamp = tuple[int, int]


@dataclasses.dataclass
class FilesBelow:
    """What lies below a class folder.

    Attributes:
        images: (path relative to the root with "/" between its parts, (size in bytes, time in nanoseconds)), sorted.
        others: how many other files there are, by suffix.
        unreadable: folders that cannot be listed, each with the reason.
    """

    images: list[tuple[str, Stamp]] = dataclasses.field(default_factory=list)
    others: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    unreadable: list[str] = dataclasses.field(default_factory=list)


def class_folders(root: pathlib.Path) -> list[str]:
    """Return the names of the sub-folders that are classes, sorted; hidden ones and those of the system are none.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no sub-folder; two that are one, by links or by how their names are composed; or sub-folders that
            are the parts of a data set, such as train and test, and hold classes.
    """
    if not root.exists():
        raise FileNotFoundError(f"folder {root} does not exist")
    if not root.is_dir():
        raise NotADirectoryError(f"folder {root} is no directory")
    folders = (entry for entry in os.scandir(root) if not is_system(entry.name) and _is_folder(entry))
    names = sorted(entry.name for entry in folders if identity(entry) != identity(root))
    if not names:
        raise ValueError(f"folder {root} has no sub-folders; make one per class, with its images in it")
    if {name.lower() for name in names} <= PARTS and not any(_has_images(root / name) for name in names):
        parts = " and ".join(names)
        raise ValueError(f"folder {root} holds the parts of a data set, {parts}; name one of them: {root / names[0]}")
    _check_distinct(root, names)
    return names


def files_below(root: str | os.PathLike, name: str, seen: set[tuple[int, int]]) -> FilesBelow:
    """Return what lies below a class folder, at any depth; each directory is visited once, whatever links lead to it.

    Args:
        root: the folder of class folders.
        name: the class folder's.
        seen: identities, as `identity` gives them, of directories that belong to no or to another class.
    """
    found, seen, folders, links = FilesBelow(), set(seen), [name], []
    while folders or links:  # what only links lead to comes last, so that a file's path has as few of them as can be
        below = folders.pop() if folders else links.pop(0)
        directory = identity(os.path.join(root, below))
        if below != name and directory in seen:
            continue
        seen.add(directory)
        try:
            entries = sorted(os.scandir(os.path.join(root, below)), key=lambda entry: entry.name)
        except OSError as error:
            found.unreadable.append(f"{below}: {error.strerror}")
            continue
        for entry in entries:
            path, suffix = f"{below}/{entry.name}", os.path.splitext(entry.name)[1].lower()
            if is_system(entry.name):
                continue
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(path)
            elif suffix in SUFFIXES:
                found.images.append((path, _stamp(entry)))
            else:
                found.others[suffix or "without suffix"] += 1
    found.images.sort(key=lambda image: image[0].split("/"))
    return found


def left_out(found: Iterable[FilesBelow], beside: int = 0) -> str:
    """Return in words what is not read of a folder, "" if all is.

    Args:
        found: of every class.
        beside: images that lie beside the class folders.
    """
    others = sum((below.others for below in found), collections.Counter())
    unreadable = [folder for below in found for folder in below.unreadable]
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
    named = "; ".join(unreadable[:_NAMED]) + ("; ..." if len(unreadable) > _NAMED else "")
    words = [
        f"{others.total()} files of other formats ({kinds})" if others else "",
        f"{len(unreadable)} folders that cannot be read ({named})" if unreadable else "",
        f"{beside} images beside the class folders" if beside else "",
    ]
    return ", ".join(filter(None, words))


def is_system(name: str) -> bool:
    """Return whether a file or folder is hidden, or one that operating systems and servers make for themselves."""
    return name.startswith(".") or name.lower() in _SYSTEM


def identity(folder: str | os.PathLike) -> tuple[int, int]:
    """Return what tells a directory from all others: its device and its number there."""
    entry = os.stat(folder)
    return entry.st_dev, entry.st_ino


def composed(name: str) -> str:
    """Return a name as most systems write it, accents in one character with their letter; macOS writes two."""
    return unicodedata.normalize("NFC", name)


def images_beside(root: str | os.PathLike) -> int:
    """Return how many images lie in a folder itself."""
    return sum(not is_system(entry.name) and entry.name.lower().endswith(SUFFIXES) for entry in os.scandir(root))


def _check_distinct(root: pathlib.Path, names: list[str]) -> None:
    """Raise a ValueError if two classes are the same directory, or have names that look the same."""
    for what, key in (("same directory", lambda name: identity(root / name)), ("same name", composed)):
        first = {}
        for name in names:
            other = first.setdefault(key(name), name)
            if other != name:
                raise ValueError(f"class folders {other!r} and {name!r} of {root} have the {what}; remove one of them")


def _has_images(folder: pathlib.Path) -> bool:
    try:
        return bool(images_beside(folder))
    except OSError:
        return False


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _stamp(entry: os.DirEntry) -> Stamp:
    try:
        found = entry.stat()
    except OSError:
        return BROKEN
    return found.st_size, found.st_mtime_ns
