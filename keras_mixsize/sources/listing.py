"""Listing: the image files of a folder of class folders, with label, size and stamp, made once and cached.

Listing a folder is cheap, opening every file is not. So the headers are read once, in parallel; afterwards only those
of files that are new, or whose size or time changed, or that could not be read. Neighbours: `class_folders` (which
files), `headers`, `files` (the cache), `folders` (the source).

    listing = read_listing("photos/train")
    listing.files, listing.labels, listing.sides, listing.class_names
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import logging
import os
import pathlib

import numpy as np

from keras_mixsize.arguments import check_local
from keras_mixsize.files import cached, in_parallel
from keras_mixsize.images.headers import read_header
from keras_mixsize.sources.class_folders import (
    SUFFIXES,
    FilesBelow,
    class_folders,
    composed,
    files_below,
    identity,
    images_beside,
    left_out,
)
from keras_mixsize.sources.source import check_class_names

CACHE = ".keras_mixsize_listing"
_CHUNK = 256  # files whose headers one task reads
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of a folder.

    Attributes:
        root: the folder.
        class_names: a name per class.
        names: paths relative to the folder, with "/" between their parts.
        labels: int64 `[N]`.
        sides: int64 `[N, 2]`: height and width in pixels as the header says, 0 where there is none that is known, or
            the file cannot be read.
        stamps: int64 `[N, 2]`: size in bytes and modification time in nanoseconds, -1 where the system knows neither.
    """

    root: str
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    sides: np.ndarray
    stamps: np.ndarray

    @property
    def files(self) -> list[str]:
        """Paths of the images."""
        return [os.path.join(self.root, name) for name in self.names]


def read_listing(
    path: str | pathlib.Path,
    *,
    class_names: tuple[str, ...] | None = None,
    cache: str | pathlib.Path | None = None,
    progress: bool = True,
) -> Listing:
    """Return the listing of a folder that has one sub-folder per class; classes are numbered in sorted order.

    Args:
        path: the folder; its sub-folders hold image files (`SUFFIXES`), at any depth. Hidden files and
            folders, and those of the system, are left out; other files are, too, and are counted in a line of the log.
        class_names: number the classes in this order instead, as for a test folder that may lack some.
        cache: where the listing is kept; unless given, a hidden file in the folder.
        progress: show a progress bar on a terminal.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no class folder, one that is not among `class_names`, or one without images; two that are one; the
            parts of a data set instead of classes.
    """
    check_local("path", path)
    root = pathlib.Path(path)
    folders = class_folders(root)
    classes = [composed(name) for name in folders]
    known = check_class_names(class_names) or tuple(classes)
    unknown = [name for name, is_class in zip(folders, classes) if is_class not in map(composed, known)]
    if unknown:
        raise ValueError(f"class folder {root / unknown[0]} is none of the classes {known}; remove it or name it")
    found = _find(root, folders)
    names = tuple(name for below in found for name, _ in below.images)
    stamps = np.array([stamp for below in found for _, stamp in below.images], np.int64)
    numbers = [list(map(composed, known)).index(name) for name in classes]
    labels = np.repeat(numbers, [len(below.images) for below in found]).astype(np.int64)
    sides = _sides(root, names, stamps, root / CACHE if cache is None else cache, progress)
    return Listing(str(root), known, names, labels, sides, stamps)


def _find(root: pathlib.Path, folders: list[str]) -> list[FilesBelow]:
    """Return what lies below each class folder; a line of the log says what is left out."""
    own = {identity(root), *(identity(root / name) for name in folders)}  # a link to one of these is followed nowhere
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda name: files_below(root, name, own), folders))
    for name, below in zip(folders, found):
        if not below.images:
            words = left_out([below])
            reason = f", only {words}" if words else ""
            raise ValueError(f"class folder {root / name} has no {', '.join(SUFFIXES)} files{reason}")
    words = left_out(found, images_beside(root))
    if words:
        _log.warning("folder %s: left out %s", root, words)
    return found


# Headers, read once


def _sides(root: pathlib.Path, names: tuple[str, ...], stamps: np.ndarray, cache, progress: bool) -> np.ndarray:
    """Return height and width of all images, from the cache where an image is unchanged: int64 `[N, 2]`."""
    text = np.frombuffer("\0".join(names).encode("utf-8", "surrogateescape"), np.uint8)

    def read_new(old: dict) -> dict:
        sides, known = _known_sides(old, names, stamps)
        new = np.flatnonzero(~known)
        chunks = [new[low : low + _CHUNK] for low in range(0, len(new), _CHUNK)]
        parts = in_parallel(
            lambda chunk: [_read(root / names[index]) for index in chunk],
            chunks,
            f"headers of {len(new)} images",
            progress=progress,
        )
        if parts:
            sides[new] = np.concatenate(parts)
        return {"names": text, "stamps": stamps, "sides": sides}

    stamp = hashlib.sha256(text.tobytes() + stamps.tobytes()).hexdigest()
    sides = cached(cache, stamp, read_new, "listing")["sides"]
    for index in np.flatnonzero((sides == 0).any(axis=1)):  # it may have been unreadable then
        sides[index] = _read(root / names[index])
    return sides


def _known_sides(old: dict, names: tuple[str, ...], stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sides of an older listing, int64 `[N, 2]`, and for which images they hold, bool `[N]`."""
    sides, known = np.zeros([len(names), 2], np.int64), np.zeros(len(names), bool)
    if old:
        old_names = old["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
        rows = {name: row for row, name in enumerate(old_names)}
        row = np.array([rows.get(name, -1) for name in names], np.int64)
        known = row >= 0
        known[known] &= (old["stamps"][row[known]] == stamps[known]).all(axis=1)
        sides[known] = old["sides"][row[known]]
    return sides, known


def _read(file: pathlib.Path) -> tuple[int, int]:
    """Return height and width of an image file, 0 if it cannot be read."""
    try:
        with file.open("rb") as stream:
            header = read_header(stream)
    except OSError:
        return 0, 0
    return header.height, header.width
