"""Which data set a user's word means: a folder, shards, one of ours, or one of tensorflow-datasets.

Loads no TensorFlow before there is such a folder. Neighbours: `data` (loads the images), `downloads`
(tensorflow-datasets).

    meaning("photos")                                   # 'folder:/home/me/photos', if there is such a folder
    short_name("folder:/home/me/photos")                # 'photos'
"""

from __future__ import annotations

import os
import pathlib

from keras_mixsize.cli.command import nearest
from keras_mixsize.cli.downloads import tfds_names
from keras_mixsize.recipes import RECIPES

OURS = ("embedded", "glyphs", "fashion_mnist", "clipart")
PREFIXES = ("folder:", "records:")


def meaning(name: str, say=print) -> str:
    """Return the data set that a user's name means, in full: `folder:PATH`, `records:PATH`, or a known name.

    A known name goes before a folder of the same name; `./name` is the folder.

    Args:
        name: a folder, `folder:PATH`, `records:PATH`, or a name of ours or of tensorflow-datasets.
        say: function of a line, for what the user should know.

    Raises:
        FileNotFoundError, ValueError: nothing of that name, with the nearest name.
    """
    if name.startswith(PREFIXES):
        kind, _, rest = name.partition(":")
        return f"{kind}:{_existing(rest)}"
    path = pathlib.Path(name).expanduser()
    if path.is_absolute() or name.startswith(".") or name.endswith("/"):
        return _folder_or_records(_existing(path))
    known = _is_known(name)
    if known and path.is_dir():
        say(f"data set {name!r} is the known one of that name, not the folder; for the folder, write ./{name}")
    if known:
        return name
    if path.is_dir():
        return _folder_or_records(_existing(path))
    names = [*OURS, *tfds_names(), *(str(entry) for entry in pathlib.Path(".").iterdir() if entry.is_dir())]
    raise ValueError(f"no folder and no data set {name!r}{nearest(name, names)}")


def _is_known(name: str) -> bool:
    first = name.split("/")[0].split(":")[0]  # tfds's configurations and versions come after these
    return name in OURS or first in {recipe.dataset for recipe in RECIPES.values()} or first in tfds_names()


def _existing(path: str | os.PathLike) -> pathlib.Path:
    found = pathlib.Path(os.path.abspath(pathlib.Path(path).expanduser()))
    if not found.exists():
        raise FileNotFoundError(f"folder {found} does not exist")
    return found


def _folder_or_records(path: pathlib.Path) -> str:
    from keras_mixsize.sources.tfrecords import MANIFEST  # here, because it loads TensorFlow

    shards = any((place / MANIFEST).exists() for place in (path, path / "train"))
    return f"{'records' if shards else 'folder'}:{path}"


def short_name(dataset: str) -> str:
    """Return what a data set is called in titles: of `folder:PATH` and `records:PATH` the folder's own name."""
    kind, colon, path = dataset.partition(":")
    return os.path.basename(os.path.abspath(path)) if colon and kind in ("folder", "records") else dataset
