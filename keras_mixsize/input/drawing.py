"""The plan's draws inside the input graph: the numbers that `regimes.plan` draws with NumPy.

Neighbour: `regimes.hashing`, whose arithmetic both use.

    examples, passes = draw_samples(plan, stream)
"""

from __future__ import annotations

import tensorflow as tf

from keras_mixsize.regimes.hashing import fills_grid, fold, scramble
from keras_mixsize.regimes.plan import BUCKETS, IMAGES, SAMPLES, Plan


def draw_bucket(plan: Plan, step: tf.Tensor) -> tf.Tensor:
    """Return the bucket's index that `plan.buckets` gives for one step: int32 scalar from an int64 scalar."""
    if plan.sampling == "independent":
        draw = tf.cast(fold(plan_key(plan), BUCKETS, word(step)), tf.int64)
    else:
        key = fold(plan_key(plan), BUCKETS, word(step // plan.steps_per_epoch))
        draw = shuffled_tensor((step % plan.steps_per_epoch)[None], plan.steps_per_epoch, key)
    return tf.reduce_sum(tf.cast(draw >= plan.edges, tf.int32))


def draw_samples(plan: Plan, stream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what `plan.samples` gives: (examples, passes), int64 `[N]` each, from positions int64 `[N]`."""
    passes = stream // plan.num_examples
    keys = fold(plan_key(plan), SAMPLES, word(passes))
    return shuffled_tensor(stream % plan.num_examples, plan.num_examples, keys), passes


def draw_seeds(plan: Plan, indices: tf.Tensor, passes: tf.Tensor, duplicates: tf.Tensor) -> tf.Tensor:
    """Return a seed for each copy of each image: uint32 `[D*B]`, a hash of (seed, pass, example, duplicate)."""
    keys = fold(plan_key(plan), IMAGES, word(passes), word(indices))
    copies = tf.cast(tf.range(duplicates), tf.uint32)
    return tf.reshape(fold(keys[None, :], copies[:, None]), [-1])


def shuffled_tensor(index: tf.Tensor, count: int, key: tf.Tensor) -> tf.Tensor:
    """Return what `hashing.shuffled` gives, for tensors: int64 `[N]` from int64 `[N]`, uint32 `[N]` or `[1]` keys."""
    drawn = scramble(word(index), count, key)
    if not fills_grid(count):
        (drawn,) = tf.while_loop(
            lambda drawn: tf.reduce_any(drawn >= count),
            lambda drawn: [tf.where(drawn >= count, scramble(drawn, count, key), drawn)],
            [drawn],
        )
    return tf.cast(drawn, tf.int64)


def plan_key(plan: Plan) -> tf.Tensor:
    """Return the plan's key: uint32 `[1]`."""
    return tf.constant(plan.key)


def word(numbers: tf.Tensor) -> tf.Tensor:
    """Return integers as the words that are hashed: uint32 of the same shape, the number modulo 2^32."""
    return tf.cast(numbers, tf.uint32)
