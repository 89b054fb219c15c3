"""Splits: which images of a folder are held out for testing, by a hash of each one's name.

An image's side of the split depends on its own name and the share only, so that adding, removing or copying files moves
no other image. Neighbours: `listing` (the names), `encoded` (FileSource), `folders` (the
sides made by hand).

    train, test = split_folder("photos/train", share=0.2)
    held_out(["cat/1.jpg", "cat/2.jpg"], 0.2)              # bool [2]
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence

import numpy as np

from keras_mixsize.sources.damage import DamagePolicy, check_sides
from keras_mixsize.sources.encoded import FileSource
from keras_mixsize.sources.listing import read_listing

_BYTES = 8  # of the hash: 2^64 places, so that any share is met


def held_out(names: Sequence[str], share: float) -> np.ndarray:
    """Return which images are held out: bool `[N]`, about `share` of them.

    A name that is held out at one share is held out at every greater one.

    Args:
        names: paths relative to the data set's folder, with "/" between their parts, so that they are the same
            wherever the folder lies.
        share: between 0 and 1.

    Raises:
        ValueError: a share out of range.
    """
    if not 0 < share < 1:
        raise ValueError(f"validation must be a share between 0 and 1, got {share!r}")
    plain = (os.fsencode(unicodedata.normalize("NFC", name)) for name in names)  # systems compose accents differently
    digests = (hashlib.sha256(name).digest()[:_BYTES] for name in plain)
    return np.array([int.from_bytes(digest, "big") < share * 2 ** (8 * _BYTES) for digest in digests], bool)


def subset(source: FileSource, rows: np.ndarray) -> FileSource:
    """Return some images of a source, with its classes, as a source.

    Args:
        source: image files.
        rows: which: bool `[num_examples]`, or integers.

    Raises:
        ValueError: none is left.
    """
    return source.take(np.flatnonzero(rows) if rows.dtype == bool else rows)


def split_folder(
    path: str | os.PathLike, share: float = 0.2, *, channels: int = 3, damage: str | DamagePolicy = "raise"
) -> tuple[FileSource, FileSource]:
    """Return the training and the test images of one folder of class folders.

    Args:
        path: the folder, see `folder`.
        share: of the images that is held out for testing.
        channels, damage: of `folder`.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: as `folder`; or a class with all or none of its images held out, which happens to small ones.
    """
    found = read_listing(path)
    out = held_out(found.names, share)
    for number, name in enumerate(found.class_names):
        count, of_class = int(out[found.labels == number].sum()), int((found.labels == number).sum())
        if count in (0, of_class):
            raise ValueError(
                f"class {name!r} has {of_class} images, of which validation={share:g} holds out {count}; add images, "
                "take another share, or put them into train/ and val/ yourself"
            )
    source = FileSource(found.files, found.labels, found.class_names, channels=channels, damage=damage)
    check_sides(found.sides, source.damage, found.files.__getitem__)
    return subset(source, ~out), subset(source, out)
