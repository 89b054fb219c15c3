"""A folder of class folders as a source.

Neighbours: `listing` (which files, read once), `encoded` (FileSource).

    source = folder("photos/train")
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from keras_mixsize.sources.classes import of_classes
from keras_mixsize.sources.damage import DamagePolicy, check_sides
from keras_mixsize.sources.encoded import FileSource
from keras_mixsize.sources.listing import read_listing


def folder(
    path: str | pathlib.Path,
    *,
    channels: int = 3,
    class_names: tuple[str, ...] | None = None,
    classes: Sequence[str | int] | None = None,
    damage: str | DamagePolicy = "raise",
    cache: str | pathlib.Path | None = None,
) -> FileSource:
    """Return the images of a folder that has one sub-folder per class; classes are numbered in sorted order.

    What the images' headers say is read once, in parallel, and kept in a cache.

    Args:
        path: the folder; its sub-folders hold JPEG, PNG, WebP and BMP files, at any depth. Hidden files and folders are
            left out; other files are, too, and are counted in a line of the log.
        channels: 1 or 3; every image is converted.
        class_names: number the classes in this order instead, as for a test folder that may lack some.
        classes: names or numbers of those to take only, see `of_classes`.
        damage: `"raise"`, `"skip"` or a `DamagePolicy`. With `"raise"`, damage that headers show is an error here
            already.
        cache: where that is kept; unless given, a hidden file in the folder.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no class folder, one that is not among `class_names`, one without images, or a damaged image (named,
            with its index).
    """
    found = read_listing(path, class_names=class_names, cache=cache)
    source = FileSource(found.files, found.labels, found.class_names, channels=channels, damage=damage)
    check_sides(found.sides, source.damage, found.files.__getitem__)
    return of_classes(source, classes)
