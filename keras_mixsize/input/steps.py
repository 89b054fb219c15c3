"""Steps: the endless stream of a plan's steps, and how one is loaded.

Used by `dataset` and, step by step on other processes, by `service`. Neighbours: `drawing`, `sources`.

    load = loader(source, plan, transform)
    batches(load, plan, start=0, parallel_calls=2, stateless=True)      # (images, labels), without end
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_mixsize import sources
from keras_mixsize.images.step_images import with_shape
from keras_mixsize.images.transform import Transform
from keras_mixsize.input.drawing import draw_bucket, draw_samples, draw_seeds
from keras_mixsize.regimes.plan import Plan


def batches(load: Callable, plan: Plan, start: int, parallel_calls: int, *, stateless: bool) -> tf.data.Dataset:
    """Return the endless dataset of a plan's batches, (images `[B*D, S, S, C]`, labels `[B*D]`), with weights `[B*D]`
    where the source has them, or what stands for images.

    Args:
        load: the `loader` of the plan.
        plan: which examples and which bucket each step takes; a sharded plan gives the worker's rows.
        start: the first step, at or above 0.
        parallel_calls: steps prepared at the same time.
        stateless: whether nothing in the graph keeps state, although TensorFlow thinks so of reading and attempting
            images.
    """
    load_own = tf.autograph.experimental.do_not_convert(lambda _, bucket, sample: load(bucket, sample, plan.worker))
    loaded = step_stream(plan, start).map(load_own, num_parallel_calls=parallel_calls, deterministic=True)
    options = tf.data.Options()
    # The rows of a step belong to the plan: tf.distribute may split a batch, but never hand out steps.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    if stateless:
        options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    endless = loaded.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return endless.with_options(options).prefetch(tf.data.AUTOTUNE)


def step_stream(plan: Plan, start: int) -> tf.data.Dataset:
    """Return the endless dataset of (step int64, the bucket's index int32, first sample int64) from step `start` on."""
    batches = tf.constant(plan.batches)

    @tf.autograph.experimental.do_not_convert  # converting plain tensor code takes longer than tracing it
    def advance(sample, step):
        bucket = draw_bucket(plan, step)
        return sample + batches[bucket], (step, bucket, sample)

    first_sample = tf.constant(plan.at(start).first_sample, tf.int64)
    return tf.data.Dataset.range(start, np.iinfo(np.int64).max).scan(first_sample, advance)


def loader(source: sources.Source, plan: Plan, transform: Transform) -> Callable:
    """Return the function from (bucket's index, first sample, worker) to the worker's images and labels of that step,
    and their weights where the source has them.

    It is traced once, however many datasets begin at another step of the same plan.
    """
    sizes = tf.constant([bucket.size for bucket in plan.regime.buckets])
    batches = tf.constant(plan.batches)
    duplicates = tf.constant([bucket.duplicates for bucket in plan.regime.buckets])
    labels, weights = source.held
    bucket, sample, worker = (tf.TensorSpec([], dtype) for dtype in (tf.int32, tf.int64, tf.int64))

    @functools.partial(tf.function, input_signature=[bucket, sample, worker], autograph=False)
    def load(bucket, sample, worker):
        low, high = (batches[bucket] * (worker + end) // plan.workers for end in (0, 1))
        stream = tf.range(sample + low, sample + high)
        indices, passes = draw_samples(plan, stream)
        copies = duplicates[bucket]
        seeds = draw_seeds(plan, indices, passes, copies)
        images, indices = source.load(
            indices, seeds, sizes[bucket], transform, lambda later: draw_samples(plan, stream + later)[0]
        )
        images = with_shape(images, [None, None, None, source.channels])

        def rows(values: tf.Tensor) -> tf.Tensor:
            return tf.tile(tf.gather(values, indices), [copies] + [1] * (values.shape.rank - 1))

        finished = transform.finish(images, tf.nest.map_structure(rows, labels), seeds)
        return finished if weights is None else (*finished, rows(weights))

    return load
