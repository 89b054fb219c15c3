"""The stream of steps is the plan's, and a step's rows are those of its workers."""

import itertools

import numpy as np
import tensorflow as tf

from keras_mixsize.images.transform import Transform
from keras_mixsize.input.steps import batches, loader, step_stream


def test_the_stream_is_that_of_the_plan_wherever_it_begins(train):
    plan = train.plan
    for start in (0, 1, plan.steps_per_epoch + 3):
        for number, (step, bucket, sample) in enumerate(step_stream(plan, start).take(5), start):
            expected = plan.at(number)
            assert (int(step), int(bucket), int(sample)) == (number, expected.bucket_index, expected.first_sample)


def test_a_workers_rows_are_its_share_of_the_step(train):
    plan = train.plan.shard(0, 2)
    load = loader(train.source, plan, Transform())
    step = plan.at(4)
    parts = [load(step.bucket_index, step.first_sample, worker)[1].numpy() for worker in range(2)]
    copies = [part.reshape(step.bucket.duplicates, -1) for part in parts]
    expected = np.tile(train.source.labels[train.plan.at(4).indices], step.bucket.duplicates)
    np.testing.assert_array_equal(np.concatenate(copies, axis=1).ravel(), expected)


def test_a_loader_is_traced_once_for_all_datasets_of_its_plan(train):
    load = loader(train.source, train.plan, Transform())
    for start in (0, 3):
        dataset = batches(load, train.plan, start, 1, stateless=True)
        assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
        for number, (images, labels) in enumerate(itertools.islice(dataset, 2), start):
            bucket = train.plan.at(number).bucket
            assert images.shape == (bucket.images, bucket.size, bucket.size, 1) and len(labels) == bucket.images
    assert load.experimental_get_tracing_count() == 1
