"""Splits: which examples are held out for testing, of a folder by a hash of each image's name.

Of a folder an image's side of the split depends on its own name and the share only, so that adding, removing or copying
files moves no other image. Of other sources examples are drawn by a seed. Neighbours: `listing` (the names), `encoded`
(FileSource), `folders` (the sides made by hand).

    train, test = split_folder("photos/train", share=0.2)
    train, test = split(source, share=0.2)                 # of any kind, the share of each class
    held_out(["cat/1.jpg", "cat/2.jpg"], 0.2)              # bool [2]
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence

import numpy as np

from keras_mixsize.regimes.hashing import fold, seed_key, shuffled
from keras_mixsize.sources.damage import DamagePolicy, check_sides
from keras_mixsize.sources.encoded import FileSource
from keras_mixsize.sources.listing import read_listing
from keras_mixsize.sources.source import Source

_HELD_OUT = 9  # stream of randomness, apart from those of plans
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
    _check_share("validation", share)
    plain = (os.fsencode(unicodedata.normalize("NFC", name)) for name in names)  # systems compose accents differently
    digests = (hashlib.sha256(name).digest()[:_BYTES] for name in plain)
    return np.array([int.from_bytes(digest, "big") < share * 2 ** (8 * _BYTES) for digest in digests], bool)


def split(source: Source, share: float = 0.2, *, seed: int = 0) -> tuple[Source, Source]:
    """Return the training and the held-out examples of any source, drawn by a seed.

    Of each class the share is held out, rounded, and never all of it; without classes, of all examples. Examples that
    are added or removed move others; for a folder that grows use `split_folder`.

    Args:
        source: all examples.
        share: of the examples that is held out, between 0 and 1.
        seed: of the draw; the same one gives the same examples.

    Raises:
        ValueError: a share out of range, or so small that nothing is held out.

    Example:
        >>> train, test = split(ArraySource(np.zeros([20, 8, 8, 1], np.uint8), np.arange(20) % 2), share=0.2)
        >>> train.num_examples, test.labels.sum()
        (16, 2)
    """
    _check_share("share", share)
    count = source.num_examples
    order = np.argsort(shuffled(np.arange(count), count, fold(seed_key(seed), _HELD_OUT)))
    groups = source.labels if source.has_classes else np.zeros(count, np.int64)
    out = np.zeros(count, bool)
    for group in np.unique(groups):
        members = order[groups[order] == group]
        out[members[: min(round(share * len(members)), len(members) - 1)]] = True
    if not out.any():
        raise ValueError(f"share must hold out an example of some class, got {share:g} of {count}; take a larger one")
    return source.take(np.flatnonzero(~out)), source.take(np.flatnonzero(out))


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


def _check_share(name: str, share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"{name} must be a share between 0 and 1, got {share!r}")
