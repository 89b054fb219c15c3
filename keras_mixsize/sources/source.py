"""Source: examples addressed by index, what all kinds of them have in common, and what labels must be.

A source renders the windows that an augmentation asks for, so shuffling moves indices and never images. `arrays` and
`encoded` have the kinds; the room `input` turns a source and a plan into batches.

    source = kms.sources.ArraySource(images, labels)
    source.num_examples, source.num_classes, source.channels
"""

from __future__ import annotations

import abc
import collections
import copy
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from keras_mixsize import images as images_lib

Labels: TypeAlias = np.ndarray | dict[str, np.ndarray]
_SHOWN = 8  # names of classes in a line


class Source(abc.ABC):
    """Examples addressed by index.

    Attributes:
        labels: int64 `[num_examples]`; float32 `[num_examples, classes]`, one-hot, soft or a vector of numbers; float32
            `[num_examples]`, a number each, for a regression; or a dictionary of these, by the network's outputs.
        class_names: a name per class, or None.
        channels: 1 or 3.
        sample_weight: float32 `[num_examples]`, what each example's loss is multiplied with, or None; see `weighted`.
    """

    labels: Labels
    class_names: tuple[str, ...] | None
    channels: int
    sample_weight: np.ndarray | None = None

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        return len(tf.nest.flatten(self.labels)[0])

    @property
    def has_classes(self) -> bool:
        """Whether each example has one class, a whole number."""
        return isinstance(self.labels, np.ndarray) and self.labels.ndim == 1 and self.labels.dtype.kind == "i"

    @property
    def num_classes(self) -> int:
        """Classes: named ones, one-hot columns, or the largest label plus one.

        Raises:
            ValueError: labels that are numbers, or of several outputs.
        """
        if self.class_names is not None:
            return len(self.class_names)
        if self.has_classes:
            return int(self.labels.max()) + 1
        if isinstance(self.labels, dict) or self.labels.ndim == 1:
            raise ValueError(f"labels must be classes to be counted, got {self.describe_classes()}")
        return self.labels.shape[1]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_examples:,} images, {self.describe_classes()})"

    def describe_classes(self) -> str:
        """Return how many classes there are and the names of the first, in words; or what labels are instead."""
        if isinstance(self.labels, dict):
            return f"labels of {', '.join(self.labels)}"
        if self.labels.ndim == 1 and not self.has_classes:
            return "a number each"
        names = list(self.class_names or ())
        shown = ", ".join([*names[:_SHOWN], "..."] if len(names) > _SHOWN else names)
        return f"{self.num_classes:,} classes" + (f": {shown}" if names else "")

    def __getstate__(self) -> dict:
        """Return what can be pickled: tensors are properties that are made anew when they are needed."""
        kinds = (name for kind in type(self).__mro__ for name in vars(kind).items())
        made_anew = {name for name, value in kinds if isinstance(value, functools.cached_property)}
        return {name: value for name, value in vars(self).items() if name not in made_anew}

    def __setstate__(self, state: dict):
        vars(self).update(state)

    def take(self, rows: np.ndarray) -> Source:
        """Return some examples as a source of the same kind, with the same classes.

        Args:
            rows: their indices, integers `[N]`.

        Raises:
            ValueError: none.
        """
        rows = np.asarray(rows)
        if not len(rows):
            raise ValueError("rows must hold at least one example, got none")
        part = copy.copy(self)
        part.labels = tf.nest.map_structure(lambda labels: labels[rows], self.labels)
        part.sample_weight = None if self.sample_weight is None else self.sample_weight[rows]
        part._take(rows)
        return part

    def weighted(self, sample_weight: np.ndarray | Sequence[float]) -> Source:
        """Return the same examples with a weight each, Keras's `sample_weight`: what its loss is multiplied with.

        Args:
            sample_weight: numbers at or above 0, `[num_examples]`.

        Raises:
            ValueError: another number of them, or one that is negative or not finite (named).
        """
        weights = np.asarray(sample_weight)
        if weights.shape != (self.num_examples,) or weights.dtype.kind not in "iubf":
            raise ValueError(
                f"sample_weight must be {self.num_examples} numbers, one per example, got {weights.dtype} "
                f"{weights.shape}"
            )
        wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if wrong.size:
            raise ValueError(f"sample_weight must be at or above 0, got {weights[wrong[0]]} at index {wrong[0]}")
        found = copy.copy(self)
        found.sample_weight = weights.astype(np.float32)
        return found

    @functools.cached_property
    def held(self) -> tuple:
        """Labels and weights (or None) as tensors, which all graphs refer to."""
        weights = self.sample_weight
        return tf.nest.map_structure(on_host, self.labels), None if weights is None else on_host(weights)

    def _take(self, rows: np.ndarray) -> None:
        """Leave out what other examples have, in a copy whose labels are those of the rows already."""
        raise NotImplementedError(f"{type(self).__name__} must define _take(rows) for take and classes=")

    def damage_report(self) -> tuple:
        """Return what could not be used so far, an entry for each example; each prints as a line. Arrays have none."""
        return ()

    @abc.abstractmethod
    def render(
        self, indices: tf.Tensor, seeds: tf.Tensor, size: tf.Tensor, transform: images_lib.Transform
    ) -> tf.Tensor:
        """Return the augmented images of some examples, duplicate-major.

        Args:
            indices: int64 `[B]`.
            seeds: uint32 `[D*B]`; number n is for a copy of example `indices[n % B]`.
            size: int32 scalar, side of the result in pixels.
            transform: what to do with each image.

        Returns:
            `[D*B, size, size, channels]`, uint8 or float32 in [0, 1]; with `transform.in_step` it may be
            `images.StepImages`.
        """

    def load(
        self,
        indices: tf.Tensor,
        seeds: tf.Tensor,
        size: tf.Tensor,
        transform: images_lib.Transform,
        redraw: Callable[[tf.Tensor], tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return `render`'s images and the indices they are of: others than asked for, where an example cannot be used.

        Args:
            indices, seeds, size, transform: as for `render`.
            redraw: function from n, int64 scalar, to the examples n places later in the plan's order, int64 `[B]`.
        """
        del redraw
        return self.render(indices, seeds, size, transform), indices


def on_host(values) -> tf.Tensor:
    """Return values as a tensor that graphs refer to; a constant inside them would be copied, and limited to 2 GiB."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(values)


def check_labels(
    labels: np.ndarray | Sequence | Mapping,
    count: int,
    class_names: tuple[str, ...] | None = None,
    label_offset: int = 0,
) -> Labels:
    """Return labels as int64 `[N]`, float32 `[N]` or `[N, classes]`, or a dictionary of these.

    Args:
        labels: integers or bools `[N]` or `[N, 1]`; floats `[N]`, which are no classes; floats, or integers of 0 and 1,
            `[N, classes]`; or a dictionary of any of these, by the names of a network's outputs.
        count: how many examples there are.
        class_names: a name per class.
        label_offset: number of the first class, which is subtracted from integers `[N]`.

    Raises:
        ValueError: another number of labels than images, negative or too large ones, rows of several lengths, another
            dtype, or floats that are not finite; names the index.
    """
    if isinstance(labels, Mapping):
        return _check_each(labels, count, class_names, label_offset)
    labels = _as_array(labels)
    if len(labels) != count or not count:
        raise ValueError(f"labels must be one per image, got {len(labels)} labels for {count} images")
    if labels.ndim == 2 and labels.shape[1] == 1 and labels.dtype.kind in "iub":
        labels = labels[:, 0]  # keras.datasets.cifar10 gives a column
    if label_offset and (labels.ndim != 1 or labels.dtype.kind not in "iub"):
        raise ValueError(f"label_offset must be 0 for labels {labels.dtype} {labels.shape}, got {label_offset!r}")
    if labels.ndim == 1 and labels.dtype.kind == "f" and class_names is None:
        return _check_rows(labels[:, None], None)[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "iubf":
        return _check_rows(labels, len(class_names) if class_names is not None else None)
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        remedy = "; number the classes: np.unique(labels, return_inverse=True)[1]" if labels.dtype.kind in "OUS" else ""
        raise ValueError(
            f"labels must be integers [N], floats [N, classes], or floats [N] without class_names, got {labels.dtype} "
            f"{labels.shape}{remedy}"
        )
    numbers = labels.astype(np.int64) - label_offset
    try:
        check_label_range(numbers, len(class_names) if class_names is not None else None)
    except ValueError as error:
        counted = f" after label_offset={label_offset} is subtracted" if label_offset else ""
        first = (
            ""
            if label_offset or labels.min() < 1
            else f"; the first class is {labels.min()}? label_offset={labels.min()}"
        )
        raise ValueError(f"{error}{counted}{first}") from None
    return numbers


def _check_each(labels: Mapping, count: int, class_names: tuple[str, ...] | None, label_offset: int) -> dict:
    """Return the labels of each output."""
    if not labels or class_names is not None or label_offset:
        raise ValueError(
            f"labels of several outputs must be arrays by name, without class_names and label_offset, got {[*labels]}, "
            f"{class_names} and {label_offset}"
        )
    found = {}
    for name, own in labels.items():
        try:
            found[name] = check_labels(own, count)
        except ValueError as error:
            raise ValueError(f"of output {name!r}: {error}") from None
    return found


def _as_array(labels: np.ndarray | Sequence) -> np.ndarray:
    """Return labels as an array, or raise a ValueError that names the first row of another length."""
    try:
        return np.asarray(labels)
    except ValueError:  # NumPy speaks of an inhomogeneous shape
        lengths = [np.size(label) for label in labels]
        other = next((index for index, length in enumerate(lengths) if length != lengths[0]), 0)
        raise ValueError(
            f"labels must have rows of one length, got {lengths[0]} numbers at index 0 and {lengths[other]} at index "
            f"{other}; for several labels per image give a column per class, 1 where it holds"
        ) from None


def _check_rows(labels: np.ndarray, classes: int | None) -> np.ndarray:
    """Return labels `[N, classes]` as float32."""
    if classes not in (None, labels.shape[1]):
        raise ValueError(f"labels must have a column for each of the {classes} class_names, got {labels.shape[1]}")
    wrong = ~np.isfinite(labels) if labels.dtype.kind == "f" else (labels != 0) & (labels != 1)
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        value = labels[row][wrong[row]][0]
        wanted = "finite" if labels.dtype.kind == "f" else "0 and 1 where they are integers with a column per class"
        raise ValueError(f"labels must be {wanted}, got {value} at index {row}")
    return labels.astype(np.float32)


def check_class_names(class_names: Sequence[str] | None, classes: int | None = None) -> tuple[str, ...] | None:
    """Return the class names as a tuple, or None if there are none.

    Args:
        class_names: a name per class.
        classes: how many there must be, where that is known.

    Raises:
        ValueError: one string instead of several, a name that is none, one that comes twice, or another number of them.
    """
    if class_names is None:
        return None
    if isinstance(class_names, (str, bytes)) or not all(isinstance(name, str) for name in class_names):
        raise ValueError(f"class_names must be a sequence of strings, one for each class, got {class_names!r}")
    names = tuple(class_names)
    if len(set(names)) < len(names):
        name, times = collections.Counter(names).most_common(1)[0]
        raise ValueError(f"class_names must differ, got {name!r} {times} times")
    if not names or classes not in (None, len(names)):
        raise ValueError(f"class_names must be one for each of the {classes or 1} classes, got {len(names)}: {names!r}")
    return names


def check_label_range(labels: np.ndarray, classes: int | None) -> None:
    """Raise a ValueError that names the first label outside [0, classes)."""
    wrong = np.flatnonzero((labels < 0) | (labels >= (math.inf if classes is None else classes)))
    if wrong.size:
        bound = "at or above 0" if classes is None else f"in [0, {classes})"
        first = f"{labels[wrong[0]]} at index {wrong[0]}"
        raise ValueError(f"labels must lie {bound}, got {first} and {wrong.size - 1} more outside")
