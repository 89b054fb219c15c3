"""Manifest: the image files of a folder of class folders, with label, size and stamp, built once and cached.

Listing a folder is cheap, opening every file is not. So the headers are read once, in parallel; afterwards only those of files
that are new, or whose size or time changed. Neighbours: `headers`, `files`, `sources` (folder).

    manifest = read_manifest("photos/train")
    manifest.files, manifest.labels, manifest.sides, manifest.class_names
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import os
import pathlib

import numpy as np

from keras_mixsize.files import in_parallel, replaced
from keras_mixsize.images.headers import read_header

SUFFIXES = (".jpg", ".jpeg", ".png")
CACHE = ".keras_mixsize_manifest.npz"
_CHUNK = 256  # files whose headers one task reads
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Manifest:
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


def read_manifest(
    path: str | pathlib.Path,
    *,
    class_names: tuple[str, ...] | None = None,
    cache: str | pathlib.Path | None = None,
    progress: bool = True,
) -> Manifest:
    """Return the manifest of a folder that has one sub-folder per class; classes are numbered in sorted order.

    Args:
        path: the folder; its sub-folders hold .jpg, .jpeg and .png files, at any depth.
        class_names: number the classes in this order instead, as for a test folder that may lack some.
        cache: where the manifest is kept; unless given, a hidden file in the folder.
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
    cache = pathlib.Path(cache) if cache is not None else root / CACHE
    sides = _sides(root, names, stamps, cache, progress)
    return Manifest(str(root), known, names, labels, sides, stamps)


def _class_folders(root: pathlib.Path) -> list[str]:
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
    for place, _, files in os.walk(root / name, followlinks=True):
        below = os.path.relpath(place, root).replace(os.sep, "/")
        for file in files:
            if file.lower().endswith(SUFFIXES):
                entry = os.stat(os.path.join(place, file))
                found.append((f"{below}/{file}", (entry.st_size, entry.st_mtime_ns)))
    return sorted(found, key=lambda image: image[0].split("/"))


def _sides(
    root: pathlib.Path, names: tuple[str, ...], stamps: np.ndarray, cache: pathlib.Path, progress: bool
) -> np.ndarray:
    """Return height and width of all images, from the cache where an image is unchanged."""
    old_names, old_stamps, old_sides = _load(cache)
    if names == old_names and np.array_equal(stamps, old_stamps):
        return old_sides
    places = {name: place for place, name in enumerate(old_names)}
    old = np.array([places.get(name, -1) for name in names], np.int64)
    known = old >= 0
    known[known] &= (old_stamps[old[known]] == stamps[known]).all(axis=1)
    sides = np.zeros([len(names), 2], np.int64)
    sides[known] = old_sides[old[known]]
    new = np.flatnonzero(~known)
    chunks = [new[low : low + _CHUNK] for low in range(0, len(new), _CHUNK)]
    parts = in_parallel(
        lambda chunk: [_read(root / names[place]) for place in chunk],
        chunks,
        f"headers of {len(new)} images",
        progress=progress,
    )
    if parts:
        sides[new] = np.concatenate(parts)
    _save(cache, names, stamps, sides)
    return sides


def _read(file: pathlib.Path) -> tuple[int, int]:
    with file.open("rb") as stream:
        header = read_header(stream)
    return header.height, header.width


def _load(cache: pathlib.Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return the names, stamps and sides of the last time, empty ones if there are none."""
    if cache.exists():
        try:
            with np.load(cache) as data:
                names = data["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
                return tuple(names), data["stamps"], data["sides"]
        except (ValueError, OSError, KeyError) as error:
            _log.warning("manifest %s cannot be read and is made anew: %s", cache, error)
    return (), np.zeros([0, 2], np.int64), np.zeros([0, 2], np.int64)


def _save(cache: pathlib.Path, names: tuple[str, ...], stamps: np.ndarray, sides: np.ndarray) -> None:
    text = np.frombuffer("\0".join(names).encode("utf-8", "surrogateescape"), np.uint8)
    try:
        with replaced(cache) as stream:
            np.savez(stream, names=text, stamps=stamps, sides=sides)
    except OSError as error:
        _log.warning("the manifest cannot be kept, and will be built anew in every run: %s; set its path", error)
