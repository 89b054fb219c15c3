"""Stateless integer hashing: the one source of randomness in plans and images.

Every function here is arithmetic on unsigned 32-bit integers, written with operators that NumPy arrays and
TensorFlow tensors share. The plan (NumPy) and the input graph (TensorFlow) therefore draw the same numbers
without exchanging any, on every worker and after every restart. `plan` and `images` build on it.

    key = fold(seed, STREAM, epoch)             # one 32-bit key from several numbers
    position = shuffled(index, count, key)      # a keyed shuffle of range(count), element by element
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

ROUNDS = 6  # each round mixes both halves of the index; a test compares the result with a fair shuffle
WORD = 2**32
GOLDEN = 0x9E3779B9  # 2^32 over the golden ratio: its multiples are spread evenly


def mix(word: Any) -> Any:
    """Return the 32-bit hash of every word: each input bit flips about half of the output bits.

    Args:
        word: uint32 array or tensor of any shape.

    Returns:
        uint32 of the same shape and kind.

    Source: the constants are Chris Wellons' `lowbias32` (public domain), found by search for low bias.
    """
    word = (word ^ (word // 65536)) * 0x7FEB352D
    word = (word ^ (word // 32768)) * 0x846CA68B
    return word ^ (word // 65536)


def fold(first: Any, *rest: Any) -> Any:
    """Return one uint32 key from several numbers; their order matters.

    Args:
        first: uint32 array or tensor.
        *rest: Python integers below 2^32, or uint32 arrays or tensors that broadcast with `first`.
    """
    key = mix(first + GOLDEN)  # the offset keeps an all-zero input from hashing to zero
    for value in rest:
        key = mix((key ^ value) + GOLDEN)
    return key


def seed_key(seed: int) -> np.ndarray:
    """Return the 32-bit key of a seed: uint32 `[1]`, an array because NumPy warns where scalars wrap around.

    Raises:
        ValueError: the seed is no integer at or above 0.
    """
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be an integer at or above 0, got {seed!r}")
    return np.random.SeedSequence(int(seed)).generate_state(1, np.uint32)


class Grid(NamedTuple):
    """The smallest nearly square grid of whole rows that holds so many items.

    Its numbers are integers, or uint32 arrays or tensors of a grid for each index.
    """

    items: Any
    rows: Any
    columns: Any

    @classmethod
    def of(cls, count: int) -> Grid:
        """Return the grid of so many items, 1 to 2^31."""
        rows = math.isqrt(count - 1) + 1
        return cls(count, rows, -(-count // rows))

    @property
    def is_full(self) -> bool:
        """Whether `scramble` permutes `range(items)` itself, so that nothing needs to be fed back."""
        return self.items == self.rows * self.columns


def scramble(index: Any, grid: Grid, key: Any) -> Any:
    """Return one pass of a keyed permutation of `range(rows * columns)`.

    The grid is nearly square, so less than one row lies outside `range(items)`; a caller who wants a permutation of
    `range(items)` itself feeds results at or above `items` back in until none is left ("cycle walking").

    Args:
        index: uint32 array or tensor, each below rows * columns.
        grid: of the items.
        key: uint32 array or tensor that broadcasts to `index`'s shape.

    Source: a Feistel network over two moduli; J. Black and P. Rogaway, "Ciphers with arbitrary finite domains",
    CT-RSA 2002.
    """
    rows, columns = grid.rows, grid.columns
    row, column = index // columns, index % columns
    for turn in range(0, 2 * ROUNDS, 2):
        row = (row + _round(column, key, turn) % rows) % rows
        column = (column + _round(row, key, turn + 1) % columns) % columns
    return row * columns + column


def _round(half, key, turn: int):
    """Return a word that depends on half of the index, the key and the number of the half-round."""
    return mix((half ^ key) + (turn + 1) * GOLDEN % WORD)


def shuffled(index: np.ndarray, count: int, key: np.ndarray) -> np.ndarray:
    """Return where a keyed shuffle of `range(count)` puts each index (NumPy).

    Args:
        index: integer array of at least one dimension, each in [0, count).
        count: number of items, 1 to 2^31.
        key: uint32 array that broadcasts to `index`'s shape.

    Returns:
        int64 array of `index`'s shape; over all indices of one key, a permutation.
    """
    return shuffled_in(index, Grid.of(count), key)


def shuffled_in(index: np.ndarray, grid: Grid, key: np.ndarray) -> np.ndarray:
    """Return `shuffled` of the items of a grid, or of a grid for each index."""
    index = np.asarray(index, np.uint32)
    keys = np.broadcast_to(key, index.shape)
    target = scramble(index, grid, keys)
    while (outside := target >= grid.items).any():
        own = Grid(*(part[outside] if isinstance(part, np.ndarray) else part for part in grid))
        target[outside] = scramble(target[outside], own, keys[outside])
    return target.astype(np.int64)
