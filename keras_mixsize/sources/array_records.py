"""ArrayRecord files of tensorflow-datasets, read by index.

TensorFlow has no reader of this format, only the package array_record, in Python. So each record is one Python call out
of the input graph: parallel steps wait for one another while it lasts (about 0.05 ms), and the graph cannot travel to
servers of tf.data service. TFRecord shards (`records`) have neither limit. Neighbours: `tfds` (makes it), `encoded`,
`files` (the cache of labels).

    source = ArrayRecordSource(builder.info.splits["train"].file_instructions, class_names)
"""

from __future__ import annotations

import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from keras_mixsize.files import cached, in_parallel, stamps
from keras_mixsize.sources.encoded import EncodedSource

_CHUNK = 256  # records whose labels are read together


class ArrayRecordSource(EncodedSource):
    """Records of ArrayRecord files, each a `tf.train.Example` with an `image` and a `label`.

    Every record is read once to learn the labels, which are then kept in a file beside the data.

    Args:
        parts: what to read of which file: objects with `filename`, `skip`, `take` and `examples_in_shard`, as tfds's
            `file_instructions` are.
        class_names, **options: as for `BytesSource`.

    Raises:
        ImportError: the package array_record is missing.
        ValueError: no labels, or a file that cannot be read (named).
    """

    def __init__(self, parts, class_names=None, **options):
        from array_record.python.array_record_data_source import ArrayRecordDataSource  # optional

        self.files = [str(part.filename) for part in parts]
        self._ends = np.cumsum([part.take for part in parts])
        self._skips = [part.skip for part in parts]
        self._records = ArrayRecordDataSource(list(parts))
        labels = _labels(self._records, self.files, self._skips)
        if (labels == -1).all():
            raise ValueError(f"the records of {self.files[0]} must have labels, got none; use a split that has them")
        super().__init__(labels, len(self._records), class_names, **options)
        self._rows = np.arange(len(self._records))

    def _take(self, rows):
        super()._take(rows)
        self._rows = self._rows[rows]

    def read(self, index):
        """See `EncodedSource.read`."""
        record = tf.numpy_function(lambda index: self._records[self._rows[index]], [index], tf.string, stateful=False)
        feature = {"image": tf.io.FixedLenFeature([], tf.string)}
        return tf.io.parse_single_example(tf.ensure_shape(record, []), feature)["image"]

    def describe(self, index):
        """See `EncodedSource.describe`."""

        def lies(index):
            index = self._rows[index]
            part = int(np.searchsorted(self._ends, index, side="right"))
            before = self._ends[part - 1] if part else 0
            return f"{self.files[part]} record {index - before + self._skips[part]}".encode()

        return tf.ensure_shape(tf.numpy_function(lies, [index], tf.string, stateful=False), [])


def _labels(records, files: list[str], skips: list[int]) -> np.ndarray:
    """Return the label of each record, int64 `[N]`, from a cache beside the files if none has changed."""
    stamp = f"{[pathlib.Path(file).name for file in files]} {skips} {len(records)} {stamps(files).tolist()}"
    digest = hashlib.sha256(stamp.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    cache = pathlib.Path(files[0]).parent / f".labels-{digest}"
    return cached(cache, stamp, lambda _: {"labels": _read_labels(records, files)}, "list of labels")["labels"]


def _read_labels(records, files: list[str]) -> np.ndarray:
    """Return the label of each record, int64 `[N]`."""

    def read(first: int) -> np.ndarray:
        examples = [records[index] for index in range(first, min(first + _CHUNK, len(records)))]
        feature = {"label": tf.io.FixedLenFeature([], tf.int64)}
        return tf.io.parse_example(examples, feature)["label"].numpy()

    try:
        parts = in_parallel(read, range(0, len(records), _CHUNK), f"reading the labels of {len(records)} records")
    except (RuntimeError, ValueError, IndexError, tf.errors.InvalidArgumentError) as error:  # of a cut file: no data
        raise ValueError(f"a file of {files} cannot be read: {error}; prepare the data set again") from None
    return np.concatenate(parts)
