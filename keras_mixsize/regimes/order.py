"""Order: which example stands at each position of a plan's endless stream of samples.

`Once` goes over every example once in each pass; `Balanced` gives every class the same share, `Weighted` each example
its own. The arithmetic is written once for NumPy arrays and for tensors; what the two write differently is
`Operations`, those of NumPy here and those of TensorFlow in `input.drawing`. Neighbours: `hashing`, `plan`.

    order = Balanced(np.array([0, 0, 0, 1]))
    order.draw(np.arange(6), np.uint32([7]), NUMPY)             # examples, three of each class, and their turns
"""

from __future__ import annotations

import abc
import hashlib
from typing import Any, Protocol

import numpy as np

from keras_mixsize.regimes.hashing import Grid, fold, shuffled_in

SAMPLES, MEMBERS, POINTS = 2, 7, 8  # streams of randomness, apart from those of `plan` and of images
_BITS = 20  # of a mean example's share: what weights are rounded to


class Operations(Protocol):
    """What NumPy and TensorFlow write differently."""

    def word(self, numbers: Any) -> Any:
        """Return integers modulo 2^32: uint32."""

    def number(self, words: Any) -> Any:
        """Return words as int64."""

    def take(self, table: np.ndarray, index: Any) -> Any:
        """Return entries of a table."""

    def shuffled_in(self, index: Any, grid: Grid, key: Any) -> Any:
        """Return `hashing.shuffled_in`: int64 `[N]`."""

    def count_until(self, edges: np.ndarray, values: Any) -> Any:
        """Return how many of the ascending edges are at or below each value: int64 `[N]`."""


class Order(abc.ABC):
    """An endless order of examples.

    Attributes:
        num_examples: of the data set.
        name: in a word.
    """

    num_examples: int
    name: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_examples:,} examples)"

    @abc.abstractmethod
    def draw(self, stream: Any, key: Any, operations: Operations) -> tuple[Any, Any]:
        """Return (examples, turns), int64 `[N]` each, at positions of the stream of samples.

        An example comes up once at most in each turn, so that (example, turn) is a draw of its own.

        Args:
            stream: int64 `[N]`, positions.
            key: of the plan, uint32 `[1]`.
            operations: of the library that the stream is of.
        """

    @property
    def digest(self) -> str:
        """Hexadecimal digits that differ where the orders do, beside the number of examples; none for `Once`."""
        return ""


class Once(Order):
    """Every example once in each pass, in an order of its own; a turn is a pass."""

    name = "once"

    def __init__(self, num_examples: int):
        self.num_examples = num_examples
        self._grid = Grid.of(num_examples)

    def draw(self, stream, key, operations):
        """See `Order.draw`."""
        turns = stream // self.num_examples
        keys = fold(key, SAMPLES, operations.word(turns))
        return operations.shuffled_in(stream % self.num_examples, self._grid, keys), turns


class Balanced(Order):
    """Every class as often as every other: among K classes, each once in every K samples, in an order of its own.

    Within a class every example comes up once before any comes up again; a turn is such a pass over its class. Classes
    without examples are left out.

    Args:
        labels: integers `[N]`, the class of each example.

    Raises:
        ValueError: labels that are no classes.
    """

    name = "balanced"

    def __init__(self, labels: np.ndarray):
        labels = np.asarray(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
            raise ValueError(
                f"sampling='balanced' needs one class for each example, got labels {labels.dtype} {labels.shape}; "
                "use sampling_weights, a number for each example"
            )
        self.num_examples = len(labels)
        self.members = np.argsort(labels, kind="stable")
        _, self.firsts, self.counts = np.unique(labels[self.members], return_index=True, return_counts=True)
        self.grids = Grid(*(np.array(part, np.uint32) for part in zip(*map(Grid.of, self.counts.tolist()))))
        self._classes = Grid.of(len(self.counts))

    def draw(self, stream, key, operations):
        """See `Order.draw`."""
        rounds, places = stream // self._classes.items, stream % self._classes.items
        group = operations.shuffled_in(places, self._classes, fold(key, SAMPLES, operations.word(rounds)))
        count = operations.take(self.counts, group)
        turns = rounds // count
        keys = fold(key, MEMBERS, operations.word(group), operations.word(turns))
        grid = Grid(*(operations.take(part, group) for part in self.grids))
        member = operations.take(self.firsts, group) + operations.shuffled_in(rounds % count, grid, keys)
        return operations.take(self.members, member), turns

    @property
    def digest(self):
        """See `Order.digest`."""
        return _digest(self.name, self.members, self.counts)


class Weighted(Order):
    """Each example in proportion to its weight.

    A pass of N samples draws one from each N-th part of all weights, in a shuffled order, so that in every pass an
    example's count is within two of its share, and equal weights are `Once`. A turn is a sample.

    Args:
        weights: `[N]`, at or above 0; an example of weight 0 is never drawn. Below a millionth of the mean they count
            as 0.

    Raises:
        ValueError: weights that are no numbers at or above 0, or all 0.
    """

    name = "weighted"

    def __init__(self, weights: np.ndarray):
        weights = np.asarray(weights)
        if weights.ndim != 1 or weights.dtype.kind not in "iufb" or not len(weights):
            raise ValueError(f"sampling_weights must be a number for each example, got {weights.dtype} {weights.shape}")
        weights = weights.astype(np.float64)
        wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if wrong.size:
            raise ValueError(f"sampling_weights must be at or above 0, got {weights[wrong[0]]:g} at index {wrong[0]}")
        if not weights.any():
            raise ValueError(f"sampling_weights must hold one above 0, got {len(weights)} times 0")
        self.num_examples = len(weights)
        self._grid = Grid.of(self.num_examples)
        self.edges = _edges(weights)

    def draw(self, stream, key, operations):
        """See `Order.draw`."""
        passes = operations.word(stream // self.num_examples)
        part = operations.shuffled_in(stream % self.num_examples, self._grid, fold(key, SAMPLES, passes))
        place = operations.number(fold(key, POINTS, passes, operations.word(part)) // 2 ** (32 - _BITS))
        return operations.count_until(self.edges, part * 2**_BITS + place), stream

    @property
    def digest(self):
        """See `Order.digest`."""
        return _digest(self.name, self.edges)


def _edges(weights: np.ndarray) -> np.ndarray:
    """Return where each example's part of the N * 2^20 points ends: int64 `[N]`."""
    ends = np.cumsum(weights * (len(weights) / weights.sum()))  # of equal weights exactly 1, 2, 3, ...
    most = len(weights) << _BITS
    edges = np.minimum((ends * 2**_BITS).astype(np.int64), most)
    edges[np.flatnonzero(weights)[-1] :] = most
    return edges


def _digest(name: str, *tables: np.ndarray) -> str:
    digest = hashlib.sha256(name.encode())
    for table in tables:
        digest.update(table.astype("<i8").tobytes())
    return digest.hexdigest()[:16]


class _NumPy:
    """The operations of NumPy."""

    def word(self, numbers):
        return np.asarray(numbers).astype(np.uint32)

    def number(self, words):
        return words.astype(np.int64)

    def take(self, table, index):
        return table[index]

    def shuffled_in(self, index, grid, key):
        return shuffled_in(index, grid, key)

    def count_until(self, edges, values):
        return np.searchsorted(edges, values, side="right")


NUMPY: Operations = _NumPy()
