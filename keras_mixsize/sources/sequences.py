"""A source of any examples by number: a sequence, a PyDataset, a map-style data set, or a table.

Neighbours: `items` (what differs between them), `arrays` and `encoded` (the sources that are made).

    source = sequence([(images[0], 3), (images[1], 5)])
    source = sequence([("cat.jpg", "cat"), ("photo.jpg", "dog")])       # files; their classes are named
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mixsize.sources.arrays import ArraySource
from keras_mixsize.sources.classes import of_classes
from keras_mixsize.sources.damage import DamagePolicy
from keras_mixsize.sources.encoded import EncodedSource, FileSource
from keras_mixsize.sources.items import Items, items_of, pixels_or_file
from keras_mixsize.sources.source import Source, check_class_names


def sequence(
    items: Any,
    *,
    image_key: str = "image",
    label_key: str = "label",
    class_names: Sequence[str] | None = None,
    classes: Sequence[str | int] | None = None,
    channels: int | None = None,
    damage: str | DamagePolicy = "raise",
) -> Source:
    """Return the examples of anything that has a length and gives one by its number, read by the plan's indices.

    All labels are read at once; where an example gives image and label together, that reads every example. Images are
    read when a step needs them, one at a time, by Python: paths become a `FileSource`, which TensorFlow reads itself,
    arrays of one shape an `ArraySource`, and other images a `SequenceSource`. Whatever the items draw at random is
    theirs; the same number must give the same example.

    Args:
        items: one of

            - a sequence of pairs (image, label), or of dictionaries: a list, a data set of grain or PyTorch;
            - a `keras.utils.PyDataset`, whose items are batches, perhaps with weights; each batch that has an example
              of a step is made;
            - a data set of Hugging Face, whose images are read as they are stored;
            - a frame of pandas or polars, with a column of paths or of the bytes of files.

            An image is an array, uint8 or float in [0, 1], an image of Pillow, a path, or the bytes of a file.
        image_key, label_key: of a dictionary, or names of columns.
        class_names: a name per class; unless given, what the items say, or the labels that are texts, sorted.
        classes: names or numbers of those to take only, see `of_classes`.
        channels: 1 or 3, to which files and images of several sizes are converted; 3 unless given.
        damage: `"raise"`, `"skip"` or a `DamagePolicy`, for files and images of several sizes.

    Raises:
        ValueError: no examples by number, unlike images or labels (with the index), or labels that do not fit.

    Example:
        >>> source = sequence([(np.zeros([8, 8, 3], np.uint8), "cat"), (np.zeros([8, 8, 3], np.uint8), "dog")])
        >>> source.class_names, source.labels.tolist()
        (('cat', 'dog'), [0, 1])
    """
    found = items_of(items, image_key, label_key)
    source = _source_of(found, class_names, channels, damage)
    return of_classes(source.weighted(found.weights) if found.weights else source, classes)


def _source_of(found: Items, class_names, channels: int | None, damage) -> Source:
    """Return all of the items as the kind of source that fits them."""
    given = found.labels()
    labels, names = numbered(given, check_class_names(class_names) or found.class_names)
    options = {"channels": 3 if channels is None else channels, "damage": damage}
    if found.seen.paths:
        return FileSource(found.seen.paths, labels, names, **options)
    first = pixels_or_file(found.image(0), 0)
    if isinstance(first, np.ndarray) and len(found.seen.shapes) == 1:
        source = ArraySource(_Stack(found, len(given), first), labels, names)
        if channels not in (None, source.channels):
            raise ValueError(
                f"channels must be the {source.channels} of the images, which have one size, got {channels}"
            )
        return source
    return SequenceSource(found, len(given), labels, names, **options)


class SequenceSource(EncodedSource):
    """Files, or images of several sizes, that Python gives by number; each is decoded once for all copies in a step.

    Args:
        items: the examples.
        count: how many there are.
        labels, class_names, **options: as for `BytesSource`.
    """

    def __init__(self, items: Items, count: int, labels, class_names=None, **options):
        super().__init__(labels, count, class_names, **options)
        self._items = items
        self._reasons: dict[int, str] = {}

    def _take(self, rows):
        super()._take(rows)
        self._items, self._reasons = self._items.take(rows), {}

    def read(self, index):
        """See `EncodedSource.read`."""
        return tf.ensure_shape(tf.numpy_function(self._read, [index], tf.string, stateful=False), [])

    def describe(self, index):
        """See `EncodedSource.describe`; says what Python raised, too."""

        def lies(index):
            reason = self._reasons.get(int(index))
            return f"{index} of the items{f' ({reason})' if reason else ''}".encode()

        return tf.ensure_shape(tf.numpy_function(lies, [index], tf.string, stateful=False), [])

    def _read(self, index: np.ndarray) -> bytes:
        try:
            image = pixels_or_file(self._items.image(int(index)), int(index))
            return image if isinstance(image, bytes) else _as_file(image, int(index))
        except Exception as error:  # of other people's code; the graph knows only that it failed
            self._reasons[int(index)] = f"{type(error).__name__}: {error}"
            raise


class _Stack:
    """Images of one shape as an array that is read by index, see `arrays.StoredArray`; floats are float32."""

    def __init__(self, items: Items, count: int, first: np.ndarray):
        self._items = items
        self.dtype = np.dtype(np.float32) if first.dtype.kind == "f" else first.dtype
        self.shape = (count, *first.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        numbers = np.arange(len(self))[rows]
        images = [self._image(int(number)) for number in np.ravel(numbers)]
        return np.array(images, self.dtype).reshape(*numbers.shape, *self.shape[1:])

    def _image(self, number: int) -> np.ndarray:
        image = pixels_or_file(self._items.image(number), number)
        kind = np.float32 if image.dtype.kind == "f" else image.dtype
        if image.shape != self.shape[1:] or kind != self.dtype:
            wanted, got = f"{self.dtype} {self.shape[1:]}", f"{image.dtype} {image.shape}"
            raise ValueError(f"image {number} must be {wanted} as the first one is, got {got}")
        return image


def _as_file(pixels: np.ndarray, index: int) -> bytes:
    """Return pixels as a PNG file that is not compressed, for the decoder that knows images of several sizes."""
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"image {index} must be uint8, because sizes differ, got {pixels.dtype}; multiply by 255, round"
        )
    return tf.io.encode_png(pixels if pixels.ndim == 3 else pixels[..., None], compression=0).numpy()


def numbered(labels: Sequence, names: tuple[str, ...] | None = None) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return labels as numbers, with the names of the classes if there are any.

    Args:
        labels: numbers, vectors, texts, which are the names of classes, or dictionaries of these.
        names: of the classes in their order; those of the labels, sorted, if they are texts.

    Raises:
        ValueError: labels of several types, or a text that is not among the names; says where.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iubf":
        return labels, names
    if isinstance(labels[0], Mapping):
        return _numbered_each(labels), names
    kinds = [_kind_of(label) for label in labels]
    other = next((index for index, kind in enumerate(kinds) if kind != kinds[0]), None)
    if other is not None or kinds[0] == "neither":
        index = other or 0
        raise ValueError(
            f"labels must be all numbers or all texts, got {labels[0]!r} at index 0 and {labels[index]!r} at index "
            f"{index}; name the right ones with label_key, or leave such examples out"
        )
    if kinds[0] == "numbers":
        return labels if _is_ragged(labels) else np.array([np.asarray(label) for label in labels]), names
    names = names or tuple(sorted(set(map(str, labels))))
    numbers = {name: number for number, name in enumerate(names)}
    unknown = next((index for index, label in enumerate(labels) if label not in numbers), None)
    if unknown is not None:
        raise ValueError(f"labels must be among the class_names {names}, got {labels[unknown]!r} at index {unknown}")
    return np.array([numbers[label] for label in labels], np.int64), names


def _numbered_each(labels: Sequence[Mapping]) -> dict[str, np.ndarray]:
    """Return the labels of each output."""
    keys = list(labels[0])
    other = next((index for index, label in enumerate(labels) if not isinstance(label, Mapping) or [*label] != keys), 0)
    if other:
        raise ValueError(f"labels must be of the outputs {keys} as at index 0, got {labels[other]!r} at index {other}")
    return {str(key): numbered([label[key] for label in labels])[0] for key in keys}


def _kind_of(label: Any) -> str:
    if isinstance(label, str):
        return "texts"
    return "numbers" if np.asarray(label).dtype.kind in "iubf" else "neither"


def _is_ragged(labels: Sequence) -> bool:
    return len({np.shape(label) for label in labels}) > 1
