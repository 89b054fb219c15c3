"""Data sets of tensorflow-datasets as sources: in memory if they fit, else through their files by index.

`sources` offers `tfds_source`; `examples`, `records` and `array_records` do the reading.

    source = tfds_source("cifar10", "train")                              # arrays
    source = tfds_source("imagenet2012", "train", data_dir="/data/tfds")  # TFRecord or ArrayRecord files, read by index
"""

from __future__ import annotations

import difflib
import itertools
import re

import numpy as np
import tensorflow as tf

from keras_mixsize.images.formats import decode
from keras_mixsize.sources.array_records import ArrayRecordSource
from keras_mixsize.sources.arrays import ArraySource, aligned_empty
from keras_mixsize.sources.encoded import BytesSource, EncodedSource, RecordSource
from keras_mixsize.sources.source import Source
from keras_mixsize.sources.tfrecords import RecordIndex, index_shards

MEMORY_LIMIT = 16 * 2**30  # bytes of images that are held in memory
_BATCH = 1024  # examples that are copied together
_PROBE = 64  # examples whose mean size stands for all


def tfds_source(
    name: str, split: str = "train", *, data_dir: str | None = None, memory_limit: int = MEMORY_LIMIT, damage="raise"
) -> Source:
    """Return a data set of tensorflow-datasets that has an `image` and a `label`.

    Images of one size become an `ArraySource`, images of many sizes stay encoded in memory. A data set that would take
    more than `memory_limit` is read from its files by index. A data set prepared as ArrayRecord is random access by
    itself; its reader is Python's, so parallel steps wait for one another at each record. One prepared as TFRecord,
    tfds's default, is read natively. Either way all records are read once, the first time, to make an index.

    Args:
        name: such as `"cifar10"`.
        split: such as `"train"` or `"test[:500]"`.
        data_dir: where tfds keeps its data.
        memory_limit: bytes that may be held in memory, compared with the mean size of the first examples times their
            number.
        damage: `"raise"`, `"skip"` or a `DamagePolicy`, for images of many sizes.

    Raises:
        FileNotFoundError: files that must be downloaded by hand are missing; says which, and where they go.
        ValueError: an unknown data set (names the nearest ones) or split, no image or label feature, no labels in this
            split, damaged files, or a large data set in other files than TFRecord and ArrayRecord.
    """
    import tensorflow_datasets as tfds  # here, because importing it takes a second and arrays do not need it

    builder = _prepared(tfds, name, data_dir)
    _check_split(builder, name, split)
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        return _from_array_records(builder, split, memory_limit, damage)
    try:
        if _estimate(tfds, builder, split) > memory_limit:
            return _from_shards(builder, name, split, damage)
        return _from_memory(tfds, builder, name, split, damage)
    except NotImplementedError as error:
        raise ValueError(f"data set {name!r} must be prepared as TFRecord or ArrayRecord, got: {error}") from None
    except (tf.errors.DataLossError, tf.errors.FailedPreconditionError) as error:
        raise ValueError(
            f"data set {name!r} is damaged: {error.message}; delete {builder.data_dir} and prepare it again"
        ) from None


def _from_memory(tfds, builder, name: str, split: str, damage) -> ArraySource | BytesSource:
    names, channels = _class_names(builder), builder.info.features["image"].shape[-1] or 3
    if _has_one_size(builder):
        images, labels = _arrays(tfds, builder, split)
        return ArraySource(images, _checked(labels, name, split), names)
    pairs = [(example["image"], example["label"]) for example in tfds.as_numpy(_encoded(tfds, builder, split))]
    items, labels = zip(*pairs)
    return BytesSource(items, _checked(np.array(labels), name, split), names, channels=channels, damage=damage)


def _arrays(tfds, builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images `[N, H, W, C]`, each held once, and labels of a split whose images have one size."""
    batches = builder.as_dataset(split=split, batch_size=_BATCH)
    count = int(builder.as_dataset(split=split).cardinality())
    if count < 0:  # unknown
        parts = list(tfds.as_numpy(batches))
        return tuple(np.concatenate([part[field] for part in parts]) for field in ("image", "label"))
    feature = builder.info.features["image"]
    images = aligned_empty((count, *(side or 3 for side in feature.shape)), feature.np_dtype)
    labels = np.empty(count, np.int64)
    for number, part in enumerate(tfds.as_numpy(batches)):
        rows = slice(number * _BATCH, number * _BATCH + len(part["label"]))
        images[rows], labels[rows] = part["image"], part["label"]
    return images, labels


def _from_shards(builder, name: str, split: str, damage) -> RecordSource:
    index = _split_index(builder, name, split)
    _checked(index.labels, name, split)
    return RecordSource(
        index, _class_names(builder), channels=builder.info.features["image"].shape[-1] or 3, damage=damage
    )


def _from_array_records(builder, split: str, memory_limit: int, damage) -> Source:
    parts = builder.info.splits[split].file_instructions
    names, channels = _class_names(builder), builder.info.features["image"].shape[-1] or 3
    source = ArrayRecordSource(parts, names, channels=channels, damage=damage)
    indices = range(source.num_examples)
    sizes = [len(source.read(index).numpy()) for index in indices[:_PROBE]]
    one_size = _has_one_size(builder)
    size = np.prod(builder.info.features["image"].shape) if one_size else np.mean(sizes)
    if size * source.num_examples > memory_limit:
        return source
    return _held(source, indices, one_size, damage)


def _held(source: EncodedSource, indices, one_size: bool, damage) -> ArraySource | BytesSource:
    """Return the same examples in memory."""
    items = [source.read(index).numpy() for index in indices]
    if not one_size:
        return BytesSource(items, source.labels, source.class_names, channels=source.channels, damage=damage)
    first = decode(items[0], source.channels, exif=False).numpy()
    images = aligned_empty((len(items), *first.shape), first.dtype)
    for index, item in enumerate(items):
        images[index] = decode(item, source.channels, exif=False).numpy()
    return ArraySource(images, source.labels, source.class_names)


def _class_names(builder) -> tuple[str, ...] | None:
    names = builder.info.features["label"].names
    return tuple(names) if names else None


def _has_one_size(builder) -> bool:
    return all(builder.info.features["image"].shape[:2])


def _encoded(tfds, builder, split: str):
    """Return tfds's dataset of a split, its images as they are encoded."""
    return builder.as_dataset(split=split, decoders={"image": tfds.decode.SkipDecoding()})


def _prepared(tfds, name: str, data_dir: str | None):
    """Return the builder of a data set with images and labels, its data prepared."""
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders()
        near = difflib.get_close_matches(name, known, n=5) or [entry for entry in known if name[:4] in entry][:5]
        raise ValueError(
            f"data set {name!r} is unknown to tensorflow-datasets; near names: {', '.join(near)}"
        ) from None
    if not {"image", "label"} <= set(builder.info.features):
        features = sorted(builder.info.features)
        raise ValueError(f"data set {name!r} must have the features image and label, got {features}")
    try:
        builder.download_and_prepare()
    except (AssertionError, tf.errors.NotFoundError) as error:  # what tfds raises where files are missing
        if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise
        steps = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise FileNotFoundError(
            f"data set {name!r} must be downloaded by hand into downloads/manual of data_dir "
            f"({builder.data_dir.split(builder.name)[0]}downloads/manual): {steps} ({str(error).splitlines()[0]})"
        ) from None
    return builder


def _check_split(builder, name: str, split: str) -> None:
    """Raise a ValueError that lists the splits if one that is asked for does not exist."""
    known = set(builder.info.splits)  # empty for tfds's mock, which takes any
    wanted = re.findall(r"(?:^|\+)\s*([^\[+\s]+)", split)
    unknown = [part for part in wanted if part not in known | {"all"}]
    if known and unknown:
        raise ValueError(f"split of {name!r} must be one of {sorted(known)} or a slice, got {split!r}")


def _estimate(tfds, builder, split: str) -> float:
    """Return about how many bytes a split takes in memory: the mean size of its first examples times their number."""
    examples = _encoded(tfds, builder, split)
    count = int(examples.cardinality())
    if count < 0:  # unknown
        count = builder.info.splits[split].num_examples
    if _has_one_size(builder):
        return float(np.prod([side or 3 for side in builder.info.features["image"].shape])) * count
    sizes = [len(example["image"]) for example in itertools.islice(tfds.as_numpy(examples), _PROBE)]
    return float(np.mean(sizes or [0])) * count


def _checked(labels: np.ndarray, name: str, split: str) -> np.ndarray:
    """Return the labels, unless there are none: tfds then writes -1."""
    if (labels == -1).all():
        raise ValueError(f"split {split!r} of {name!r} must have labels, got none; use a split that has them")
    return labels


def _split_index(builder, name: str, split: str) -> RecordIndex:
    """Return the index of the records of a split or slice of a data set."""
    parts = builder.info.splits[split].file_instructions if builder.info.splits else []
    if not parts or any("tfrecord" not in part.filename for part in parts):
        raise ValueError(
            f"data set {name!r} is larger than memory_limit and has no TFRecord or ArrayRecord files; prepare it as "
            "TFRecord"
        )
    order = list(dict.fromkeys(part.filename for part in parts))
    counts = {part.filename: part.examples_in_shard for part in parts}
    index = index_shards(order, counts=[counts[file] for file in order])
    starts = np.concatenate([[0], np.cumsum([counts[file] for file in order])])
    rows = []
    for part in parts:
        first = starts[order.index(part.filename)] + part.skip
        rows.append(np.arange(first, first + part.take))
    return index.take(np.concatenate(rows))
