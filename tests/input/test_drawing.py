"""The input graph draws the numbers that the plan draws with NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.input.drawing import draw_bucket, draw_samples, draw_seeds, shuffled_tensor, word
from keras_mixsize.regimes.hashing import shuffled
from keras_mixsize.regimes.plan import Plan


@pytest.mark.parametrize("sampling", ["shuffled", "independent"])
def test_the_input_graph_draws_the_plan(regime, sampling):
    plan = Plan(regime, num_examples=300, seed=11, sampling=sampling)
    for step in [0, 1, plan.steps_per_epoch, 12_345]:
        expected = plan.at(step)
        assert int(draw_bucket(plan, tf.constant(step, tf.int64))) == expected.bucket_index
        stream = tf.range(expected.first_sample, expected.first_sample + expected.bucket.batch, dtype=tf.int64)
        indices, passes = draw_samples(plan, stream)
        np.testing.assert_array_equal(indices, expected.indices)
        np.testing.assert_array_equal(passes, expected.passes)


@pytest.mark.parametrize("count", [1, 2, 100, 256, 1000])
def test_a_permutation_is_that_of_numpy(count):
    keys = np.full(count, 123, np.uint32)
    found = shuffled_tensor(tf.range(count, dtype=tf.int64), count, tf.constant(keys)).numpy()
    np.testing.assert_array_equal(found, shuffled(np.arange(count), count, keys))
    assert sorted(found) == [*range(count)]


def test_each_copy_of_each_example_in_each_pass_has_a_seed_of_its_own(regime):
    plan = Plan(regime, num_examples=300, seed=11)
    indices = tf.range(300, dtype=tf.int64)
    seeds = [draw_seeds(plan, indices, tf.fill([300], tf.constant(turn, tf.int64)), 2).numpy() for turn in (0, 1)]
    assert seeds[0].shape == (600,) and seeds[0].dtype == np.uint32 and len({*np.concatenate(seeds)}) == 1200
    again = draw_seeds(plan, tf.reverse(indices, [0]), tf.zeros([300], tf.int64), 1).numpy()
    np.testing.assert_array_equal(again[::-1], seeds[0][:300])  # whatever the order, and for the first of D copies


def test_numbers_are_hashed_modulo_two_to_the_32():
    np.testing.assert_array_equal(word(tf.constant([1, 2**32 + 1, 2**40], tf.int64)), [1, 1, 0])
