"""Listing: the image files of a folder of class folders, with label, size and stamp, made once and cached.

Listing a folder is cheap, opening every file is not. So the headers are read once, in parallel; afterwards only those of
files that are new, or whose size or time changed. Neighbours: `headers`, `files` (the cache), `folders` (the source).

    listing = read_listing("photos/train")
    listing.files, listing.labels, listing.sides, listing.class_names
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib

import numpy as np

from keras_mixsize.files import cached, in_parallel
from keras_mixsize.images.headers import read_header

SUFFIXES = (".jpg", ".jpeg", ".png")
CACHE = ".keras_mixsize_listing"
_CHUNK = 256  # files whose headers one task reads


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of a folder.

    Attributes:
        root: the folder.
        class_names: a name per class.
        names: paths relative to the folder, with "/" between their parts.
        labels: int64 `[N]`.
        sides: int64 `[N, 2]`: height and width in pixels as the header says, 0 where there is no header of a JPEG or PNG.
        stamps: int64 `[N, 2]`: size in bytes and modification time in nanoseconds.
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
        path: the folder; its sub-folders hold .jpg, .jpeg and .png files, at any depth.
        class_names: number the classes in this order instead, as for a test folder that may lack some.
        cache: where the listing is kept; unless given, a hidden file in the folder.
        progress: show a progress bar on a terminal.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no class folder, one that is not among `class_names`, or one without images.
    """
    root = pathlib.Path(path)
    classes = _class_folders(root)
    known = tuple(class_names) if class_names is not None else tuple(classes)
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise ValueError(f"class folder {root / unknown[0]} is none of the classes {known}; remove it or name it")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda name: _images_below(root, name), classes))
    for name, images in zip(classes, found):
        if not images:
            raise ValueError(f"class folder {root / name} has no {', '.join(SUFFIXES)} files")
    names = tuple(name for images in found for name, _ in images)
    stamps = np.array([stamp for images in found for _, stamp in images], np.int64)
    labels = np.repeat([known.index(name) for name in classes], [len(images) for images in found]).astype(np.int64)
    sides = _sides(root, names, stamps, root / CACHE if cache is None else cache, progress)
    return Listing(str(root), known, names, labels, sides, stamps)


def _class_folders(root: pathlib.Path) -> list[str]:
    """Return the names of the sub-folders, sorted."""
    if not root.exists():
        raise FileNotFoundError(f"folder {root} does not exist")
    if not root.is_dir():
        raise NotADirectoryError(f"folder {root} is no directory")
    classes = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise ValueError(f"folder {root} has no sub-folders; make one per class, with its images in it")
    return classes


def _images_below(root: pathlib.Path, name: str) -> list[tuple[str, tuple[int, int]]]:
    """Return (relative path, (size, time)) of the images in a class folder, sorted part by part."""
    found = []
    for folder, _, files in os.walk(root / name, followlinks=True):
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        for file in files:
            if file.lower().endswith(SUFFIXES):
                entry = os.stat(os.path.join(folder, file))
                found.append((f"{below}/{file}", (entry.st_size, entry.st_mtime_ns)))
    return sorted(found, key=lambda image: image[0].split("/"))


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
    return cached(cache, stamp, read_new, "listing")["sides"]


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
    """Return height and width of an image file."""
    with file.open("rb") as stream:
        header = read_header(stream)
    return header.height, header.width
