"""The plan's draws inside the input graph: the numbers that `regimes.plan` draws with NumPy.

Neighbour: `regimes.hashing`, whose arithmetic both use.

    examples, passes = draw_samples(plan, stream)
"""

from __future__ import annotations

import functools
import weakref

import numpy as np
import tensorflow as tf

from keras_mixsize.regimes.hashing import Grid, fold, scramble
from keras_mixsize.regimes.order import Operations
from keras_mixsize.regimes.plan import BUCKETS, IMAGES, Plan
from keras_mixsize.sources.source import on_host

_NEVER = np.iinfo(np.int64).max  # an edge above all draws


def draw_bucket(plan: Plan, step: tf.Tensor) -> tf.Tensor:
    """Return the bucket's index that `plan.buckets` gives for one step: int32 scalar from an int64 scalar.

    What differs between the plan's stretches is looked up in tables, so that the graph does not grow with a schedule.
    """
    starts = tf.constant([stretch.start for stretch in plan.stretches], tf.int64)
    stretch = tf.reduce_sum(tf.cast(step >= starts[1:], tf.int32))
    if plan.sampling == "independent":
        draw = tf.cast(fold(plan_key(plan), BUCKETS, word(step)), tf.int64)
    else:
        draw = _draw_in_block(plan, stretch, step - starts[stretch])
    first_buckets = tf.constant([stretch.first_bucket for stretch in plan.stretches])
    return first_buckets[stretch] + tf.reduce_sum(tf.cast(draw >= _edges(plan)[stretch], tf.int32))


def _draw_in_block(plan: Plan, stretch: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Return a step's position in its shuffled block: int64 `[1]` from its stretch's index and its number in it."""
    grids = [Grid.of(stretch.block_steps) for stretch in plan.stretches]
    grid = Grid(*(tf.constant(numbers, tf.uint32)[stretch][None] for numbers in zip(*grids)))
    first_blocks = tf.constant([stretch.first_block for stretch in plan.stretches], tf.int64)
    block_steps = tf.cast(grid.items, tf.int64)
    key = fold(plan_key(plan), BUCKETS, word(first_blocks[stretch] + position // block_steps))
    return _shuffled(position % block_steps, grid, key, is_full=all(grid.is_full for grid in grids))


def _edges(plan: Plan) -> tf.Tensor:
    """Return what cuts a draw into buckets: int64 `[stretches, buckets - 1]`, filled up where a stretch has fewer."""
    rows = [stretch.edges(plan.sampling) for stretch in plan.stretches]
    columns = max(map(len, rows))
    rows = [np.pad(row, (0, columns - len(row)), constant_values=_NEVER) for row in rows]
    return tf.constant(np.stack(rows), tf.int64)


def draw_samples(plan: Plan, stream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what the plan's order draws: (examples, turns), int64 `[N]` each, from positions int64 `[N]`."""
    return plan.order.draw(stream, plan_key(plan), TENSORS)


def draw_seeds(plan: Plan, indices: tf.Tensor, turns: tf.Tensor, duplicates: tf.Tensor) -> tf.Tensor:
    """Return a seed for each copy of each image: uint32 `[D*B]`, a hash of (seed, turn, example, duplicate)."""
    keys = fold(plan_key(plan), IMAGES, word(turns), word(indices))
    copies = tf.cast(tf.range(duplicates), tf.uint32)
    return tf.reshape(fold(keys[None, :], copies[:, None]), [-1])


def shuffled_tensor(index: tf.Tensor, count: int, key: tf.Tensor) -> tf.Tensor:
    """Return what `hashing.shuffled` gives, for tensors: int64 `[N]` from int64 `[N]`, uint32 `[N]` or `[1]` keys."""
    return TENSORS.shuffled_in(index, Grid.of(count), key)


def _shuffled(index: tf.Tensor, grid: Grid, key: tf.Tensor, *, is_full: bool) -> tf.Tensor:
    permute = _permute if is_full else _permute_items
    return tf.cast(permute(word(index), grid, key), tf.int64)


# Traced once in a process, not for every dataset and every use in it: most of the time that making a dataset takes
_WORDS = tf.TensorSpec([None], tf.uint32)
_traced_once = functools.partial(
    tf.function, input_signature=[_WORDS, Grid(_WORDS, _WORDS, _WORDS), _WORDS], autograph=False
)


@_traced_once
def _permute(index: tf.Tensor, grid: Grid, key: tf.Tensor) -> tf.Tensor:
    """Return `scramble` of words: uint32 `[N]`."""
    return scramble(index, grid, key)


@_traced_once
def _permute_items(index: tf.Tensor, grid: Grid, key: tf.Tensor) -> tf.Tensor:
    """Return the words permuted within the items of a grid that has more places: uint32 `[N]`."""
    (drawn,) = tf.while_loop(
        lambda drawn: tf.reduce_any(drawn >= grid.items),
        lambda drawn: [tf.where(drawn >= grid.items, scramble(drawn, grid, key), drawn)],
        [scramble(index, grid, key)],
    )
    return drawn


def plan_key(plan: Plan) -> tf.Tensor:
    """Return the plan's key: uint32 `[1]`."""
    return tf.constant(plan.key)


def word(numbers: tf.Tensor) -> tf.Tensor:
    """Return integers as the words that are hashed: uint32 of the same shape, the number modulo 2^32."""
    return tf.cast(numbers, tf.uint32)


# What orders need of TensorFlow


class _Tensors:
    """The operations of `regimes.order` on tensors."""

    def word(self, numbers):
        return word(numbers)

    def number(self, words):
        return tf.cast(words, tf.int64)

    def take(self, table, index):
        return tf.gather(_held(table), index)

    def shuffled_in(self, index, grid, key):
        is_one = isinstance(grid.items, int)
        tensors = Grid(*(tf.constant([part], tf.uint32) for part in grid)) if is_one else grid
        return _shuffled(index, tensors, key, is_full=is_one and grid.is_full)

    def count_until(self, edges, values):
        return tf.searchsorted(_held(edges), values, side="right", out_type=tf.int64)


TENSORS: Operations = _Tensors()
_tables: dict[int, tf.Tensor] = {}


def _held(table: np.ndarray) -> tf.Tensor:
    """Return a table as a tensor that all graphs refer to, as long as the table is there."""
    if id(table) not in _tables:
        _tables[id(table)] = on_host(table)
        weakref.finalize(table, _tables.pop, id(table), None)
    return _tables[id(table)]
