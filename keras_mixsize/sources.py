"""Where examples come from: folders of image files, TFRecord shards, tfds, the embedded Fashion-MNIST.

Each function here returns a source (`examples`), which is addressed by index; `dataset` turns a source and a plan into
batches. The classes of `examples` can be named through this module too.

    source = fashion_mnist("train")
    source.num_examples, source.num_classes, source.channels
"""

from __future__ import annotations

import glob
import gzip
import pathlib
from importlib import resources

import numpy as np

from keras_mixsize.array_records import ArrayRecordSource
from keras_mixsize.convert import convert
from keras_mixsize.damage import Damaged, DamagePolicy, check_sides
from keras_mixsize.encoded import BytesSource, EncodedSource, FileSource, RecordSource
from keras_mixsize.examples import ArraySource, Source, check_label_range, check_labels
from keras_mixsize.manifest import read_manifest
from keras_mixsize.records import check_series, converted, index_shards
from keras_mixsize.tfds_sources import tfds_source

__all__ = [
    "ArrayRecordSource",
    "ArraySource",
    "BytesSource",
    "DamagePolicy",
    "Damaged",
    "EncodedSource",
    "FileSource",
    "RecordSource",
    "Source",
    "check_label_range",
    "check_labels",
    "convert",
    "fashion_mnist",
    "folder",
    "read_idx",
    "records",
    "tfds_source",
]


def folder(
    path: str | pathlib.Path,
    *,
    channels: int = 3,
    class_names: tuple[str, ...] | None = None,
    damage: str | DamagePolicy = "raise",
    manifest: str | pathlib.Path | None = None,
) -> FileSource:
    """Return the images of a folder that has one sub-folder per class; classes are numbered in sorted order.

    What the images' headers say is read once, in parallel, and kept in a manifest.

    Args:
        path: the folder; its sub-folders hold .jpg, .jpeg and .png files, at any depth.
        channels: 1 or 3; every image is converted.
        class_names: number the classes in this order instead, as for a test folder that may lack some.
        damage: `"raise"`, `"skip"` or a `DamagePolicy`. With `"raise"`, damage that headers show is an error here already.
        manifest: where the manifest is kept; unless given, a hidden file in the folder.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no class folder, one that is not among `class_names`, one without images, or a damaged image (named, with
            its index).
    """
    found = read_manifest(path, class_names=class_names, cache=manifest)
    source = FileSource(found.files, found.labels, found.class_names, channels=channels, damage=damage)
    check_sides(found.sides, source.damage, found.files.__getitem__)
    return source


# TFRecord shards


def records(
    path,
    *,
    channels: int | None = None,
    class_names: tuple[str, ...] | None = None,
    image_key: str = "image",
    label_key: str = "label",
    damage: str | DamagePolicy = "raise",
    index: str | pathlib.Path | None = None,
) -> RecordSource:
    """Return the images of TFRecord shards, which are read by index.

    Args:
        path: a folder that `convert` wrote, a pattern such as `"data/train.tfrecord-*"`, or a list of files; shards are taken in
            sorted order. Each record is a `tf.train.Example` with an encoded image and a label, as tfds and `convert` write.
        channels: 1 or 3; every image is converted. Unless given, what `convert` noted, else 3.
        class_names: a name per class; unless given, what `convert` noted.
        image_key, label_key: names of the two features.
        damage: `"raise"`, `"skip"` or a `DamagePolicy`. With `"raise"`, damage that headers show is an error here already.
        index: where the offset index is kept; unless given, beside the shards.

    Raises:
        FileNotFoundError: no shard, or some of a series are missing.
        ValueError: a shard is damaged, its records are not such Examples (see `records.index_shards`), or an image is damaged.
    """
    files, counts, noted = _shards(path)
    check_series(files)
    found = index_shards(files, image_key=image_key, label_key=label_key, counts=counts, cache=index)
    channels, class_names = channels or noted["channels"], class_names or noted["class_names"]
    source = RecordSource(found, class_names, channels=channels, damage=damage)
    check_sides(np.stack([found.heights, found.widths], axis=1), source.damage, found.describe)
    return source


def _shards(path) -> tuple[list[str], list[int] | None, dict]:
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


# Data sets by name


FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def fashion_mnist(split: str = "train", *, path: str | pathlib.Path | None = None) -> ArraySource:
    """Return Fashion-MNIST, padded with black from 28 to 32 px: the subset inside the package, or the full set.

    Args:
        split: `"train"` (10,000 images in the package, 60,000 in full) or `"test"` (2,000 and 10,000).
        path: folder with the full set's four `*-ubyte.gz` files, as Debian's dataset-fashion-mnist installs them; None
            for the subset. `tfds_source("fashion_mnist")` reads the full set through tfds.

    Returns:
        Grey images `[N, 32, 32, 1]` uint8 of 10 classes.

    Source: Xiao, Rasul, Vollgraf, arXiv 1708.07747; MIT licence, beside the data.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    images, labels = _embedded_arrays(split) if path is None else read_idx(pathlib.Path(path), split)
    images = np.pad(images, [(0, 0), (2, 2), (2, 2)])
    return ArraySource(images, labels.astype(np.int64), FASHION_CLASSES)


def _embedded_arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
    packed = resources.files("keras_mixsize") / "data" / "fashion_mnist.npz"
    with resources.as_file(packed) as file, np.load(file) as data:
        return data[f"{split}_images"], data[f"{split}_labels"]


def read_idx(path: pathlib.Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (images uint8 `[N, 28, 28]`, labels uint8 `[N]`) from a folder of gzipped IDX files.

    Raises:
        FileNotFoundError: a file is missing; says which and where it comes from.
    """
    prefix = {"train": "train", "test": "t10k"}[split]
    images, labels = path / f"{prefix}-images-idx3-ubyte.gz", path / f"{prefix}-labels-idx1-ubyte.gz"
    for file in (images, labels):
        if not file.exists():
            raise FileNotFoundError(f"{file} does not exist; Debian's package dataset-fashion-mnist holds it")
    with gzip.open(images) as image_stream, gzip.open(labels) as label_stream:
        pixels = np.frombuffer(image_stream.read()[16:], np.uint8).reshape(-1, 28, 28)
        return pixels, np.frombuffer(label_stream.read()[8:], np.uint8)
