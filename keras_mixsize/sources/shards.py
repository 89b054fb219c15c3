"""TFRecord shards as a source.

Neighbours: `tfrecords` (the index and the reading), `encoded` (RecordSource), `conversion` (writes such shards).

    source = records("shards/train")
"""

from __future__ import annotations

import glob
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_mixsize.arguments import check_local
from keras_mixsize.sources.classes import of_classes
from keras_mixsize.sources.damage import DamagePolicy, check_sides
from keras_mixsize.sources.encoded import RecordSource
from keras_mixsize.sources.tfrecords import check_series, converted, index_shards


def records(
    path: str | pathlib.Path | Sequence[str | pathlib.Path],
    *,
    channels: int | None = None,
    class_names: tuple[str, ...] | None = None,
    image_key: str = "image",
    label_key: str = "label",
    label_offset: int = 0,
    classes: Sequence[str | int] | None = None,
    damage: str | DamagePolicy = "raise",
    index: str | pathlib.Path | None = None,
) -> RecordSource:
    """Return the images of TFRecord shards, which are read by index. Its options are typed one at a time.

    Args:
        path: a folder that `convert` wrote, a pattern such as `"data/train.tfrecord-*"`, or a list of files; shards are
            taken in sorted order. Each record is a `tf.train.Example` with an encoded image and a label, as tfds and
            `convert` write.
        channels: 1 or 3; every image is converted. Unless given, what `convert` noted, else 3.
        class_names: a name per class; unless given, what `convert` noted.
        image_key, label_key: names of the two features.
        label_offset: number of the first class, which is subtracted from the labels: 1 where they begin at 1.
        classes: names or numbers of those to take only, see `of_classes`.
        damage: `"raise"`, `"skip"` or a `DamagePolicy`. With `"raise"`, damage that headers show is an error here
            already.
        index: where the offset index is kept; unless given, beside the shards.

    Raises:
        FileNotFoundError: no shard, or some of a series are missing.
        ValueError: a shard is damaged, its records are not such Examples (see `tfrecords.index_shards`), or an image is
            damaged.
    """
    for part in [path] if isinstance(path, (str, pathlib.Path)) else path:
        check_local("path", part)
    files, counts, noted = _shards(path)
    check_series(files)
    found = index_shards(files, image_key=image_key, label_key=label_key, counts=counts, cache=index)
    channels, class_names = channels or noted["channels"], class_names or noted["class_names"]
    source = RecordSource(found, class_names, channels=channels, damage=damage, label_offset=label_offset)
    check_sides(np.stack([found.heights, found.widths], axis=1), source.damage, found.describe)
    return of_classes(source, classes)


def _shards(path: str | pathlib.Path | Sequence[str | pathlib.Path]) -> tuple[list[str], list[int] | None, dict]:
    """Return the files, how many records each must have if that is known, and what is noted of channels and classes."""
    if isinstance(path, (str, pathlib.Path)) and pathlib.Path(path).is_dir():
        manifest = converted(path)
        names = manifest["class_names"]
        noted = {"channels": manifest["channels"], "class_names": tuple(names) if names is not None else None}
        return list(manifest["shards"]), [entry["count"] for entry in manifest["shards"].values()], noted
    files = sorted(glob.glob(str(path)) if isinstance(path, (str, pathlib.Path)) else map(str, path))
    if not files:
        raise FileNotFoundError(f"path {path} matches no file; give a pattern such as 'data/train.tfrecord-*'")
    return files, None, {"channels": 3, "class_names": None}
