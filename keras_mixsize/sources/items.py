"""Items: examples by number, in whatever a program keeps them: a sequence, one of batches, or a table.

Here is what differs between those that other libraries make; `sequences` makes a source of any. No library is imported:
Keras's PyDataset, grain's data sets, those of Hugging Face and frames of pandas are known by what they offer.

    items = items_of([(images[0], 3), (images[1], 5)], image_key="image", label_key="label")
    items.image(1)                                              # the second image
    pixels_or_file(items.image(1), 1)                           # uint8 [H, W, C], or the bytes of a file
"""

from __future__ import annotations

import abc
import os
import pathlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np

_MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}


class Seen:
    """What is known of images that were looked at.

    Attributes:
        shapes: of those that are arrays or images of Pillow.
        paths: all of them, if they are paths.
    """

    def __init__(self):
        self.shapes: set[tuple[int, ...]] = set()
        self.paths: list[str | os.PathLike] = []
        self._type = ""

    def add(self, image: Any, index: int) -> None:
        """Look at the next image.

        Raises:
            ValueError: it is of another type than those before.
        """
        kind = _type_of(image)
        self._type = self._type or kind
        if kind != self._type:
            raise ValueError(
                f"items must hold images of one type, got {self._type} at first and {kind} at index {index}; convert "
                "them, or make a source of each"
            )
        if kind == "a path":
            self.paths.append(image)
        elif kind in ("an array", "an image of Pillow"):
            self.shapes.add(pixels_or_file(image, index).shape)


class Items(abc.ABC):
    """Examples by number. They are read one at a time, because other people's code may not stand threads.

    Attributes:
        seen: the images that `labels` has looked at.
        weights: of the examples, as far as `labels` has found any.
    """

    def __init__(self):
        self.seen = Seen()
        self.weights: list[float] = []
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def image(self, index: int) -> Any:
        """Return an image as the program has it."""
        with self._lock:
            return self._image(index)

    def take(self, rows: np.ndarray) -> Items:
        """Return some of the items."""
        return _SomeItems(self, rows)

    @abc.abstractmethod
    def _image(self, index: int) -> Any: ...

    @abc.abstractmethod
    def labels(self) -> Sequence:
        """Return all labels; where they can only be had with the images, these are `seen`, too."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """A name per class, where the items say them."""
        return None


@runtime_checkable
class _Picture(Protocol):
    """An image of Pillow."""

    mode: str

    def convert(self, mode: str) -> Any: ...


@runtime_checkable
class _Frame(Protocol):
    """A table of columns by name, as of pandas or polars."""

    columns: Any

    def __getitem__(self, name) -> Any: ...


@runtime_checkable
class _Rows(Protocol):
    """A data set of Hugging Face: rows that are dictionaries, and columns by name."""

    column_names: list[str]
    features: Mapping[str, Any]

    def cast_column(self, name: str, feature: Any) -> Any: ...


@runtime_checkable
class _Named(Protocol):
    """A column of classes that have names."""

    names: list[str]


@runtime_checkable
class _Decoded(Protocol):
    """A column of images that are decoded when they are read."""

    decode: bool


def items_of(items: Any, image_key: str, label_key: str) -> Items:
    """Return what somebody has as items.

    Args:
        items: see `sequences.sequence`.
        image_key, label_key: names of columns, or keys of examples that are dictionaries.

    Raises:
        ValueError: it has no length or no examples by number, none at all, or no such key; says the remedy.
    """
    if isinstance(items, _Rows):
        return _RowItems(items, image_key, label_key)
    if isinstance(items, _Frame):
        return _FrameItems(items, image_key, label_key)
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, _Sized):
        raise ValueError(
            f"items must have examples by number, __len__ and __getitem__, got a {type(items).__name__}; give a list "
            "of (image, label), a PyDataset, a map-style data set or a table"
        )
    if not len(items):
        raise ValueError("items must hold at least one example, got none")
    return (_BatchItems if isinstance(items, keras.utils.PyDataset) else _ExampleItems)(items, image_key, label_key)


@runtime_checkable
class _Sized(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index) -> Any: ...


class _ExampleItems(Items):
    """`items[index]` is a pair (image, label) or a dictionary."""

    def __init__(self, items, image_key: str, label_key: str):
        super().__init__()
        self._items, self._keys = items, (image_key, label_key)

    def _image(self, index):
        return self._parts(index)[0]

    def _parts(self, index: int) -> tuple:
        return parts_of(self._items[int(index)], self._keys, f"items[{index}]")

    def labels(self):
        found = []
        for index in range(len(self._items)):
            image, label = self._parts(index)
            self.seen.add(image, index)
            found.append(label)
        return found


class _BatchItems(Items):
    """A PyDataset of Keras, whose items are batches; an example is a row of one. The last batch read is kept."""

    def __init__(self, batches, image_key: str, label_key: str):
        super().__init__()
        self._batches, self._keys = batches, (image_key, label_key)
        self._ends = np.zeros(0, np.int64)
        self._kept: tuple[int, Any] = (-1, None)

    def _parts(self, batch: int) -> tuple:
        """Return images, labels and, where Keras would be given them, weights of a batch."""
        found = self._batches[int(batch)]
        if isinstance(found, (tuple, list)) and len(found) == 3:
            return tuple(found)
        return *parts_of(found, self._keys, f"batch {batch}"), ()

    def _image(self, index):
        batch = int(np.searchsorted(self._ends, index, side="right"))
        if self._kept[0] != batch:
            self._kept = batch, self._parts(batch)[0]
        return self._kept[1][index - (self._ends[batch - 1] if batch else 0)]

    def labels(self):
        found, counts = [], []
        for batch in range(len(self._batches)):
            images, labels, weights = self._parts(batch)
            rows = _rows_of(labels)
            if len(images) != len(rows) or len(weights) not in (0, len(rows)):
                raise ValueError(
                    f"batch {batch} must have a label and perhaps a weight for each image, got {len(rows)} labels and "
                    f"{len(weights)} weights for {len(images)} images"
                )
            for image in images:
                self.seen.add(image, len(found))
            counts.append(len(images))
            found += rows
            self.weights += list(np.asarray(weights))
        self._ends = np.cumsum(counts)
        return found


def _rows_of(labels: Any) -> list:
    """Return the label of each row of a batch, dictionaries of several outputs', too."""
    if isinstance(labels, Mapping):
        return [dict(zip(labels, row)) for row in zip(*labels.values(), strict=True)]
    return list(np.asarray(labels))


class _FrameItems(Items):
    """A table of columns by name."""

    def __init__(self, frame: _Frame, image_key: str, label_key: str):
        super().__init__()
        _check_keys(list(frame.columns), (image_key, label_key), "items")
        self._images, self._labels = list(frame[image_key]), np.asarray(frame[label_key])

    def _image(self, index):
        return self._images[index]

    def labels(self):
        for index, image in enumerate(self._images):
            self.seen.add(image, index)
        return self._labels


class _RowItems(Items):
    """A data set of Hugging Face, whose images are taken as they are stored, not decoded."""

    def __init__(self, rows: _Rows, image_key: str, label_key: str):
        super().__init__()
        _check_keys(list(rows.column_names), (image_key, label_key), "items")
        image = rows.features[image_key]
        encoded = isinstance(image, _Decoded) and image.decode
        self._rows = rows.cast_column(image_key, type(image)(decode=False)) if encoded else rows
        self._keys = image_key, label_key

    def _image(self, index):
        return self._rows[int(index)][self._keys[0]]

    def labels(self):
        return list(self._rows[self._keys[1]])

    @property
    def class_names(self):
        label = self._rows.features[self._keys[1]]
        return tuple(label.names) if isinstance(label, _Named) else None


class _SomeItems(Items):
    """Some items of others."""

    def __init__(self, whole: Items, rows: np.ndarray):
        super().__init__()
        self._whole, self._rows = whole, rows

    def _image(self, index):
        return self._whole.image(int(self._rows[index]))

    def labels(self):
        labels = self._whole.labels()
        return [labels[row] for row in self._rows]


def parts_of(example: Any, keys: tuple[str, str], name: str) -> tuple[Any, Any]:
    """Return image and label of an example, or a batch of them.

    Args:
        example: a dictionary, or a tuple or list of image and label.
        keys: of image and label in a dictionary.
        name: of the example, for messages.

    Raises:
        ValueError: neither of these, or a key that it lacks.
    """
    if isinstance(example, Mapping):
        _check_keys(list(example), keys, name)
        return example[keys[0]], example[keys[1]]
    if isinstance(example, (tuple, list)) and len(example) == 2:
        return example[0], example[1]
    got = f"{len(example)} parts" if isinstance(example, (tuple, list)) else f"a {type(example).__name__}"
    raise ValueError(f"{name} must be a pair (image, label) or a dictionary, got {got}")


def _check_keys(known: list, keys: tuple[str, str], name: str) -> None:
    for key, argument in zip(keys, ("image_key", "label_key")):
        if key not in known:
            raise ValueError(f"{name} must have {key!r}, got only {known}; name it with {argument}")


# Images


def pixels_or_file(image: Any, index: int) -> np.ndarray | bytes:
    """Return an image as an array, `[H, W]` or `[H, W, C]`, or as the bytes of its file.

    Args:
        image: an array or tensor, an image of Pillow, a path, the bytes of a file, or a dictionary with the last two,
            `{"bytes": ..., "path": ...}`.
        index: of the example, for messages.

    Raises:
        ValueError: none of these, or an array of another shape.
        OSError: a file that cannot be read.
    """
    if isinstance(image, Mapping) and {"bytes", "path"} <= image.keys():
        image = image["path"] if image["bytes"] is None else image["bytes"]
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, os.PathLike)):
        return pathlib.Path(image).read_bytes()
    if isinstance(image, _Picture) and image.mode in _MODES:
        image = image.convert(_MODES[image.mode])
    pixels = np.asarray(image)
    if pixels.dtype == object or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] not in (1, 3)):
        got = f"{pixels.dtype} {pixels.shape}" if isinstance(image, np.ndarray) else f"a {type(image).__name__}"
        raise ValueError(
            f"image {index} must be an array [H, W] or [H, W, C] with C 1 or 3, an image of Pillow, a path or the "
            f"bytes of a file, got {got}"
        )
    return pixels


def _type_of(image: Any) -> str:
    """Return in words what an image is."""
    if isinstance(image, (str, os.PathLike)):
        return "a path"
    if isinstance(image, bytes):
        return "the bytes of a file"
    if isinstance(image, Mapping):
        return "a dictionary"
    return "an image of Pillow" if isinstance(image, _Picture) else "an array"
