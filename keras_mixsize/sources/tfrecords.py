"""TFRecord shards read by index: an offset index that is built once, and a read inside the input graph.

A TFRecord file is a chain of records without a table of contents. The index holds where each record begins, its label
and the size of its image. Building it reads everything once and checks every checksum, so a flipped bit or a missing
tail is found before training; records are then read one by one, in any order, checked again, without a Python call.
Neighbours: `encoded` (RecordSource), `conversion` (writes such shards), `files` (parallel work, the cache).

    index = index_shards(sorted(glob.glob("train.tfrecord-*")))
    index.num_examples, index.labels, index.describe(17)
    data = read_image(index.files[index.shards[17]], index.offsets[17], index.lengths[17], "image")
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import google.protobuf.message
import numpy as np
import tensorflow as tf

from keras_mixsize.files import cached, in_parallel, stamps
from keras_mixsize.images.headers import read_header

FRAME = 16  # bytes around a record: length, its checksum, and the data's checksum
MANIFEST = "manifest.json"  # what `convert` writes beside its shards
_BATCH = 1024  # records that are looked at together
_BUFFER = 1 << 20  # bytes read at once
_VERSION = 2  # labels of several integers were cut to the first in version 1
_SHARD_NAME = re.compile(r"(.*)-(\d{5,})-of-(\d{5,})$")


@dataclasses.dataclass(frozen=True)
class RecordIndex:
    """Where each record of some shards begins, and what is known of it.

    Attributes:
        files: paths of the shards.
        image_key: the feature that holds the encoded image.
        shards: int32 `[N]`, each record's shard, an index into `files`.
        positions: int32 `[N]`, its number within the shard.
        offsets: int64 `[N]`, its first byte.
        lengths: int64 `[N]`, bytes of its data.
        labels: int64 `[N]` or float32 `[N, classes]`; -1 where a record has no label.
        heights, widths: int32 `[N]`, of the image in pixels; 0 where its header cannot be read.
    """

    files: tuple[str, ...]
    image_key: str
    shards: np.ndarray
    positions: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    heights: np.ndarray
    widths: np.ndarray

    @property
    def num_examples(self) -> int:
        """How many records there are."""
        return len(self.offsets)

    def describe(self, index: int) -> str:
        """Return shard and record of an example, for messages."""
        return f"{self.files[self.shards[index]]} record {self.positions[index]}"

    def take(self, rows: np.ndarray) -> RecordIndex:
        """Return the index of some records, given by their indices in this one."""
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})


_COLUMNS = ("shards", "positions", "offsets", "lengths", "labels", "heights", "widths")


def index_shards(
    files: Sequence[str],
    *,
    image_key: str = "image",
    label_key: str = "label",
    counts: Sequence[int] | None = None,
    cache: str | pathlib.Path | None = None,
    progress: bool = True,
) -> RecordIndex:
    """Return the index of TFRecord shards, from its cache if no shard has changed since.

    Each record is a `tf.train.Example` with an encoded image and a label: an integer, floats, or integers of 0 and 1.
    The cache is a file beside the first shard unless `cache` says otherwise; it is made anew when the name, size or
    time of any shard changes.

    Args:
        files: paths of uncompressed TFRecord files; their order numbers the examples.
        image_key, label_key: names of the two features.
        counts: how many records each shard must have, where that is known: a file that was cut off at the end of a
            record looks whole otherwise.
        cache: path of the cached index.
        progress: show a progress bar on a terminal.

    Raises:
        FileNotFoundError: a shard does not exist.
        ValueError: a shard is cut or has a flipped bit, a record is no such Example, or a count differs; names the
            shard, the record and the byte.
    """
    files = [str(file) for file in files]
    _check_files(files)

    def build(_: dict) -> dict[str, np.ndarray]:
        scan = functools.partial(_scan, image_key=image_key, label_key=label_key)
        return _join(files, in_parallel(scan, files, f"indexing {len(files)} shards", progress=progress))

    stamp = _stamp(files, image_key, label_key)
    columns = cached(cache or _cache_beside(files, image_key, label_key), stamp, build, "index")
    index = RecordIndex(tuple(files), image_key, **columns)
    _check_counts(index, counts)
    return index


def read_image(file: tf.Tensor, offset: tf.Tensor, length: tf.Tensor, image_key: str) -> tf.Tensor:
    """Return the encoded image of one record, read natively inside a graph; its checksum is verified.

    Args:
        file: string scalar, the shard's path.
        offset, length: int64 scalars of the index.
        image_key: the feature that holds the image.

    Returns:
        String scalar.

    Raises:
        tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.NotFoundError: when the graph runs, if the shard
            has changed since it was indexed.
    """
    # tf.data.TFRecordDataset does not take byte_offsets, its op does. A buffer of the record's size reads it at once.
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=[file], compression_type="", buffer_size=length + FRAME, byte_offsets=[offset]
    )
    kind = {"output_types": [tf.string], "output_shapes": [[]]}
    first = tf.raw_ops.TakeDataset(input_dataset=records, count=tf.constant(1, tf.int64), **kind)
    (record,) = tf.raw_ops.DatasetToSingleElement(dataset=first, **kind)
    return tf.io.parse_single_example(record, {image_key: tf.io.FixedLenFeature([], tf.string)})[image_key]


# Building


class _Part(NamedTuple):
    """What is learnt of records one after the other.

    Attributes:
        lengths: int64 `[N]`, bytes of each record's data.
        labels: int64 `[N]`, or a list of ints and lists of numbers.
        sides: `[N, 2]`, height and width of each image.
    """

    lengths: np.ndarray
    labels: np.ndarray | list
    sides: np.ndarray


def _scan(file: str, image_key: str, label_key: str) -> list[_Part]:
    """Return what is learnt of the records of a shard; TensorFlow reads, checks and parses them in batches."""
    parts, count = [], 0
    try:
        for records in tf.data.TFRecordDataset(file, buffer_size=_BUFFER).batch(_BATCH):
            part = _describe_alike(records, image_key, label_key)
            parts.append(part or _describe_each(records, image_key, label_key, f"shard {file}, record", count))
            count += len(records)
    except tf.errors.DataLossError:
        raise _damage(file) from None
    return parts


def _damage(file: str) -> ValueError:
    """Return the error that names the first record of a shard that cannot be read."""
    number = offset = 0
    try:
        for record in tf.data.TFRecordDataset(file).as_numpy_iterator():
            number, offset = number + 1, offset + len(record) + FRAME
    except tf.errors.DataLossError as error:
        if not number and _is_compressed(file):
            return ValueError(
                f"shard {file} is compressed; records are read by index, so decompress it, as with gunzip"
            )
        return ValueError(
            f"shard {file} is damaged at record {number} (byte {offset}): {error.message}; copy or make it again"
        )
    return ValueError(f"shard {file} could not be read, but now it can: its storage fails; copy it")


def _describe_alike(records: tf.Tensor, image_key: str, label_key: str) -> _Part | None:
    """Return what is learnt of records that have one image and one whole number each, None of any others."""
    kinds = {image_key: tf.io.RaggedFeature(tf.string), label_key: tf.io.RaggedFeature(tf.int64)}
    try:
        found = tf.io.parse_example(records, kinds)
    except tf.errors.InvalidArgumentError:
        return None
    if any((feature.row_lengths() != 1).numpy().any() for feature in found.values()):
        return None
    headers = (read_header(io.BytesIO(image)) for image in found[image_key].flat_values.numpy())
    sides = [(header.height, header.width) for header in headers]
    return _Part(_lengths(records), found[label_key].flat_values.numpy(), np.array(sides, np.int32))


def _describe_each(records: tf.Tensor, image_key: str, label_key: str, name: str, first: int) -> _Part:
    """Return what is learnt of any records, looked at one by one, or raise a ValueError that names the wrong one."""
    rows = []
    for number, record in enumerate(records.numpy(), first):
        try:
            rows.append(_describe_record(record, image_key, label_key))
        except ValueError as error:
            raise ValueError(f"{name} {number} {error}") from None
    labels = [label for label, *_ in rows]
    return _Part(_lengths(records), labels, np.array([sides for _, *sides in rows], np.int32))


def _lengths(records: tf.Tensor) -> np.ndarray:
    return tf.strings.length(records).numpy().astype(np.int64)


def _is_compressed(file: str) -> bool:
    """Return whether a file that is no TFRecord file begins as GZIP or ZLIB files do."""
    with open(file, "rb") as stream:
        start = stream.read(2)
    return start == b"\x1f\x8b" or start in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def _describe_record(record: bytes, image_key: str, label_key: str) -> tuple:
    """Return (label, height, width); the label is an int, -1 if there is none, or a list of numbers.

    Raises:
        ValueError: a feature is missing or holds something else; in words that follow the record's name.
    """
    try:
        features = tf.train.Example.FromString(record).features.feature
    except google.protobuf.message.DecodeError:
        raise ValueError("is no tf.train.Example; write its records as `sources.convert` does") from None
    images, label = (_values(features, key, name) for key, name in ((image_key, "image_key"), (label_key, "label_key")))
    if len(images) != 1 or not isinstance(images[0], bytes):
        held = f"{len(images)} images" if images and isinstance(images[0], bytes) else f"{len(images)} numbers"
        raise ValueError(f"has {held} in {image_key!r} instead of one encoded image; name another one with image_key")
    if label and isinstance(label[0], bytes):
        raise ValueError(f"has the text {label[0]!r} in {label_key!r} instead of a number; name another with label_key")
    header = read_header(io.BytesIO(images[0]))
    one = len(label) == 1 and isinstance(label[0], int)
    return (label[0] if one else label or -1), header.height, header.width


def _values(features, key: str, argument: str) -> list:
    """Return what a feature holds: bytes, ints or floats."""
    if key not in features:
        raise ValueError(f"has no feature {key!r}, only {sorted(features)}; name it with {argument}")
    feature = features[key]
    return list(feature.bytes_list.value or feature.float_list.value or feature.int64_list.value)


def _join(files: list[str], shards: list[list[_Part]]) -> dict[str, np.ndarray]:
    """Return the columns of the index of all shards."""
    sizes = [sum(len(part.lengths) for part in parts) for parts in shards]
    if not sum(sizes):
        raise ValueError(f"files must hold records, got none in {files}")
    parts = [part for parts in shards for part in parts]
    lengths, sides = (np.concatenate(column) for column in zip(*((part.lengths, part.sides) for part in parts)))
    ends, firsts = np.cumsum(lengths + FRAME), np.cumsum(sizes) - sizes
    starts = ends - lengths - FRAME
    return {
        "shards": np.repeat(np.arange(len(files), dtype=np.int32), sizes),
        "positions": np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        "offsets": starts - np.repeat(np.append(starts, 0)[firsts], sizes),
        "lengths": lengths,
        "labels": _joined_labels(files, sizes, [part.labels for part in parts]),
        "heights": sides[:, 0],
        "widths": sides[:, 1],
    }


def _joined_labels(files: list[str], sizes: list[int], parts: list) -> np.ndarray:
    if all(isinstance(labels, np.ndarray) for labels in parts):
        return np.concatenate(parts)
    labels = [label for part in parts for label in (part.tolist() if isinstance(part, np.ndarray) else part)]
    _check_labels(files, sizes, labels)
    return np.array(labels, np.float32 if isinstance(labels[0], list) else np.int64)


# Checking


def _check_labels(files: list[str], sizes: list[int], labels: Sequence) -> None:
    """Raise a ValueError that names the first record whose label does not fit those before it."""
    count = len(labels[0]) if isinstance(labels[0], list) else None
    for row, label in enumerate(labels):
        if (len(label) if isinstance(label, list) else None) != count:
            problem = f"has the label {label}, but the first record has {labels[0]}; labels must be of one length"
        elif count is not None and not all(isinstance(value, float) or value in (0, 1) for value in label):
            problem = f"has the integers {label} as its label; it must be one, or 0 and 1 in a column per class"
        else:
            continue
        shard = int(np.searchsorted(np.cumsum(sizes), row, side="right"))
        raise ValueError(f"shard {files[shard]}, record {row - sum(sizes[:shard])} {problem}")


def _check_files(files: list[str]) -> None:
    """Raise an error unless there are files and all of them exist."""
    if not files:
        raise ValueError("files must name at least one TFRecord shard, got none")
    for file in files:
        if not pathlib.Path(file).exists():
            raise FileNotFoundError(f"shard {file} does not exist")


def converted(folder: str | pathlib.Path) -> dict:
    """Return the manifest of a folder that `convert` wrote, with the paths of its shards as keys of `shards`.

    Raises:
        FileNotFoundError: no manifest there.
        ValueError: the conversion did not end.
    """
    folder = pathlib.Path(folder)
    if not (folder / MANIFEST).exists():
        raise FileNotFoundError(f"folder {folder} has no {MANIFEST}; give a pattern such as 'data/train.tfrecord-*'")
    manifest = json.loads((folder / MANIFEST).read_text())
    if not manifest["complete"]:
        raise ValueError(f"the conversion into {folder} did not end; run it again to go on")
    return manifest | {"shards": {str(folder / name): entry for name, entry in manifest["shards"].items()}}


def check_series(files: Sequence[str]) -> None:
    """Raise a FileNotFoundError if some of a series named `...-00003-of-00010` are missing."""
    series = {}
    for match in filter(None, map(_SHARD_NAME.match, files)):
        series.setdefault((match[1], int(match[3])), set()).add(int(match[2]))
    for (name, total), found in series.items():
        missing = sorted(set(range(total)) - found)
        if missing:
            raise FileNotFoundError(f"shards {missing[:5]} of {name}, {len(missing)} of {total}, are missing")


def _check_counts(index: RecordIndex, counts: Sequence[int] | None) -> None:
    if counts is None:
        return
    found = np.bincount(index.shards, minlength=len(index.files))
    for file, has, expected in zip(index.files, found, counts):
        if has != expected:
            raise ValueError(f"shard {file} has {has} records, but {expected} are expected; copy or make it again")


# Caching


def _stamp(files: list[str], image_key: str, label_key: str) -> str:
    """Return a text that differs when a shard, or what is read of it, does."""
    names = [pathlib.Path(file).name for file in files]
    return json.dumps([_VERSION, image_key, label_key, names, stamps(files).tolist()])


def _cache_beside(files: list[str], image_key: str, label_key: str) -> pathlib.Path:
    """Return the path of the cache: one for each list of shards, so that it is replaced when they change."""
    names = [pathlib.Path(file).name for file in files]
    digest = hashlib.sha256(json.dumps([image_key, label_key, names]).encode()).hexdigest()[:12]
    return pathlib.Path(files[0]).parent / f".index-{digest}"
