"""Encoded images as a source: in memory, in files or in TFRecord shards; decoded when needed, once for all copies.

Damaged images are handled by the policy of `damage`. The whole batch is attempted at once, which costs next to nothing;
only where that fails are its images looked at one by one. Neighbours: `source` (Source), `tfrecords` (the shards'
index), `folders`, `shards` and `tfds` (make these objects).

    source = FileSource(files, file_labels, class_names, damage="skip")
    source.damage_report()                                            # what was skipped so far
"""

from __future__ import annotations

import abc
import functools
import os

import tensorflow as tf

from keras_mixsize.images.decoding import render_batch
from keras_mixsize.images.formats import decode
from keras_mixsize.images.step_images import images_of
from keras_mixsize.sources.damage import GOOD, Damaged, DamagePolicy, SkipList, attempt, data_fault, fault_of, refuse
from keras_mixsize.sources.source import Source, check_class_names, check_labels, on_host
from keras_mixsize.sources.tfrecords import RecordIndex, read_image


class EncodedSource(Source):
    """JPEG and PNG images of any size; each is read and decoded once for all copies in a step.

    Its kinds differ in where the bytes come from: `BytesSource`, `FileSource`, `RecordSource`.

    Args:
        labels: integers `[N]` at or above 0, or a column per class: floats, or integers of 0 and 1, `[N, classes]`.
        count: how many images there are.
        class_names: a name per class.
        channels: 1 or 3; every image is converted.
        damage: `"raise"`, `"skip"` or a `DamagePolicy`, for `load`; `render` raises with each of them.
        label_offset: number of the first class, which is subtracted from integers `[N]`.
    """

    def __init__(
        self,
        labels,
        count: int,
        class_names=None,
        *,
        channels: int = 3,
        damage: str | DamagePolicy = "raise",
        label_offset: int = 0,
    ):
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {channels!r}")
        self.class_names = check_class_names(class_names)
        self.labels = check_labels(labels, count, self.class_names, label_offset)
        self.channels = channels
        self.damage = DamagePolicy.of(damage)
        self._skipped = SkipList(self.damage.max_share, count)

    def _take(self, rows):
        self._skipped = SkipList(self.damage.max_share, len(rows))

    @abc.abstractmethod
    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Return the encoded image of an example: string scalar from an int64 scalar."""

    @abc.abstractmethod
    def describe(self, index: tf.Tensor) -> tf.Tensor:
        """Return where an example lies, for messages: string scalar from an int64 scalar."""

    def damage_report(self) -> tuple[Damaged, ...]:
        """See `Source.damage_report`: the damaged images that have been skipped, by index."""
        return self._skipped.report(self.describe)

    def render(self, indices, seeds, size, transform):
        """See `Source.render`; raises for the first damaged image, whatever the policy."""
        return self._load(indices, seeds, size, transform, self._refuse)[0]

    def load(self, indices, seeds, size, transform, redraw):
        """See `Source.load`; a damaged image is refused or replaced, as the policy says."""
        replace = functools.partial(self._skipped.replace, redraw=redraw)
        return self._load(indices, seeds, size, transform, self._refuse if self.damage.action == "raise" else replace)

    def _load(self, indices, seeds, size, transform, settle):
        """Return (images, indices); where the batch cannot be rendered, `settle` names the examples to use instead."""
        options = {"transform": transform, "channels": self.channels, "pixel_limit": self.damage.max_pixels}
        batch, count = tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.uint32)

        # Three places render; a function is traced once, which is most of the time that making a dataset takes.
        @functools.partial(tf.function, input_signature=[batch, count], autograph=False)
        def render(indices, seeds):
            return render_batch(self.read, indices, seeds, size, **options)

        # Rarely needed, so not inlined: TensorFlow prepares it when it is called, and the first batch comes sooner.
        @functools.partial(tf.function, autograph=False, experimental_attributes={"_noinline": True})
        def settled():
            copies = tf.transpose(tf.reshape(seeds, [-1, tf.shape(indices)[0]]))  # [B, D]
            chosen = settle(indices, functools.partial(self._faults, copies, render))
            return render(chosen, seeds), chosen

        images = attempt(render, (indices, seeds), _nothing_like(render.get_concrete_function().structured_outputs))
        failed = (tf.shape(images_of(images))[0] == 0) & (tf.size(seeds) > 0)
        return tf.cond(failed, settled, lambda: (images, indices))

    def _faults(self, copies, render, indices, suspects):
        """Return the fault of each suspect, 0 for none and for the others: int32 `[B]`."""

        def shows(index):
            return data_fault(self.read(index), self.damage.max_pixels)

        def renders(index, seeds):
            return images_of(render(index[None], seeds))

        def decodes(index):
            return decode(self.read(index), self.channels)

        def fault(row):
            index, seeds, suspect = row
            return tf.cond(suspect, lambda: fault_of(index, seeds, self.read, shows, renders, decodes), lambda: GOOD)

        return tf.map_fn(fault, (indices, copies, suspects), fn_output_signature=tf.int32)

    def _refuse(self, indices, faults):
        return refuse(indices, faults, self.describe)


def _nothing_like(specs):
    """Return tensors without rows for tensors or specs of partly unknown shapes."""
    return tf.nest.map_structure(lambda spec: tf.zeros([side or 0 for side in spec.shape], spec.dtype), specs)


class BytesSource(EncodedSource):
    """Encoded images in memory.

    Args:
        items: the encoded images, bytes.
        labels: integers `[N]` at or above 0, or a column per class: floats, or integers of 0 and 1, `[N, classes]`.
        class_names: a name per class.
        **options: `channels`, `damage` and `label_offset` of `EncodedSource`.
    """

    def __init__(self, items, labels, class_names=None, **options):
        super().__init__(labels, len(items), class_names, **options)
        self._items = on_host(items)

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_items": self._items.numpy()}

    def __setstate__(self, state: dict):
        super().__setstate__(state | {"_items": on_host(state["_items"])})

    def _take(self, rows):
        super()._take(rows)
        self._items = on_host(tf.gather(self._items, rows))

    def read(self, index):
        """See `EncodedSource.read`."""
        return tf.gather(self._items, index)

    def describe(self, index):
        """See `EncodedSource.describe`."""
        return tf.strings.join([tf.strings.as_string(index), " in memory"])


class FileSource(EncodedSource):
    """Image files, read when they are needed.

    Args:
        files: paths.
        labels, class_names, **options: as for `BytesSource`.
    """

    def __init__(self, files, labels, class_names=None, **options):
        super().__init__(labels, len(files), class_names, **options)
        self.files = [os.fsdecode(file) for file in files]

    def _take(self, rows):
        super()._take(rows)
        self.files = [self.files[row] for row in rows]

    def __repr__(self) -> str:
        return f"FileSource({self.num_examples:,} files, {self.describe_classes()})"

    @functools.cached_property
    def _files(self) -> tf.Tensor:
        return on_host([os.fsencode(file) for file in self.files])  # a name may be no UTF-8

    def read(self, index):
        """See `EncodedSource.read`."""
        return tf.io.read_file(tf.gather(self._files, index))

    def describe(self, index):
        """See `EncodedSource.describe`."""
        return tf.gather(self._files, index)


class RecordSource(EncodedSource):
    """Records of TFRecord shards, read by index when they are needed.

    Args:
        index: where each record lies, and its label.
        class_names, **options: as for `BytesSource`.

    Raises:
        ValueError: labels out of range, or none (tfds marks test splits without labels with -1).
    """

    def __init__(self, index: RecordIndex, class_names=None, **options):
        if index.labels.ndim == 1 and (index.labels == -1).all():
            raise ValueError(f"the records of {index.files[0]} must have labels, got none; use a split that has them")
        super().__init__(index.labels, index.num_examples, class_names, **options)
        self.index = index

    def _take(self, rows):
        super()._take(rows)
        self.index = self.index.take(rows)

    def __repr__(self) -> str:
        shards = f"{len(self.index.files):,} shards"
        return f"RecordSource({self.num_examples:,} records in {shards}, {self.describe_classes()})"

    @functools.cached_property
    def _files(self) -> tf.Tensor:
        return on_host([os.fsencode(file) for file in self.index.files])

    @functools.cached_property
    def _columns(self) -> dict[str, tf.Tensor]:
        names = ("shards", "offsets", "lengths", "positions")
        return {name: on_host(vars(self.index)[name]) for name in names}

    def read(self, index):
        """See `EncodedSource.read`."""
        shard, offset, length = (tf.gather(self._columns[name], index) for name in ("shards", "offsets", "lengths"))
        return read_image(tf.gather(self._files, shard), offset, length, self.index.image_key)

    def describe(self, index):
        """See `EncodedSource.describe`."""
        shard, position = (tf.gather(self._columns[name], index) for name in ("shards", "positions"))
        return tf.strings.join([tf.gather(self._files, shard), " record ", tf.strings.as_string(position)])
