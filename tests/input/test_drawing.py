"""The input graph draws the numbers that the plan draws with NumPy, in every stage of a schedule."""

import gc
import itertools

import numpy as np
import pytest
import tensorflow as tf

import keras_mixsize as kms
from keras_mixsize import regimes
from keras_mixsize.input import drawing
from keras_mixsize.input.drawing import draw_bucket, draw_samples, draw_seeds, shuffled_tensor, word
from keras_mixsize.input.steps import step_stream
from keras_mixsize.regimes.hashing import shuffled
from keras_mixsize.regimes.order import NUMPY
from keras_mixsize.regimes.plan import Plan

REGIME = kms.Regime.parse("16x16x2:0.5,24x12x1:0.25,32x8x1:0.25")
SCHEDULE = kms.Schedule(((0.55, REGIME), (0.2, kms.Regime.fixed(24, 9)), (0.25, kms.Regime.parse("32x8:0.6,8x20:0.4"))))
EPOCHS = 4  # of 25 steps: the stages begin within epochs
SAMPLING = ("shuffled", "independent")


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


# Other orders

RNG = np.random.default_rng(0)
ORDERS = {
    "balanced": regimes.Balanced(RNG.choice(7, 300, p=[0.5, 0.3, 0.1, 0.04, 0.03, 0.02, 0.01])),
    "weighted": regimes.Weighted(RNG.exponential(size=300) * (RNG.random(300) < 0.9)),
    "once": regimes.Once(300),
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_input_graph_draws_examples_and_turns_in_every_order_as_numpy_does(name):
    order, stream = ORDERS[name], np.concatenate([np.arange(2000), 10**9 + np.arange(500)])
    plan = kms.Plan(kms.Regime.fixed(8, 16), 300, seed=5, order=order)
    drawn = tf.function(lambda stream: draw_samples(plan, stream))(tf.constant(stream))
    for found, expected in zip(drawn, order.draw(stream, plan.key, NUMPY)):
        assert found.dtype == tf.int64
        np.testing.assert_array_equal(found, expected)


def test_tables_of_an_order_are_held_once_and_as_long_as_the_order():
    order = regimes.Weighted(np.arange(1, 301))
    plan = kms.Plan(kms.Regime.fixed(8, 16), 300, order=order)
    before = len(drawing._tables)
    for _ in range(2):
        draw_samples(plan, tf.range(8, dtype=tf.int64))
    assert len(drawing._tables) == before + 1
    del order, plan
    gc.collect()
    assert len(drawing._tables) == before


# Schedules


def make(regime=SCHEDULE, **options):
    return kms.Plan(regime, 300, seed=11, epochs=EPOCHS, **options)


def drawn_from(plan, start, count):
    """Return (step, bucket's index, first sample) of so many steps of the input graph: `[count, 3]`."""
    return np.array([[int(part) for part in step] for step in itertools.islice(step_stream(plan, start), count)])


def planned(plan, steps):
    return np.array([[step, plan.at(step).bucket_index, plan.at(step).first_sample] for step in steps])


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("regime", [REGIME, SCHEDULE, kms.Regime.fixed(16, 8)], ids=["regime", "schedule", "fixed"])
def test_every_step_of_a_run_and_the_epoch_after_it_is_the_plans(regime, sampling):
    plan = make(regime, sampling=sampling)
    steps = range((EPOCHS + 1) * plan.steps_per_epoch)
    np.testing.assert_array_equal(drawn_from(plan, 0, len(steps)), planned(plan, steps))


@pytest.mark.parametrize("sampling", SAMPLING)
def test_a_stream_begins_at_any_step_of_any_stage(sampling):
    plan = make(sampling=sampling)
    bounds = SCHEDULE.bounds(EPOCHS * plan.steps_per_epoch)
    for start in [*(bound - 2 for bound in bounds[1:]), 10_000]:  # from before a stage into it
        np.testing.assert_array_equal(drawn_from(plan, start, 4), planned(plan, range(start, start + 4)))


@pytest.mark.parametrize("examples", [23, 64, 100, 301])  # blocks whose grids are full and others
def test_blocks_of_any_length_are_shuffled_as_in_numpy(examples):
    schedule = kms.Schedule.finish(kms.Regime.parse("16x4:0.5,24x2:0.5"), share=0.3)
    plan = kms.Plan(schedule, examples, epochs=3)
    steps = np.arange(4 * plan.steps_per_epoch)
    draw = tf.function(lambda step: draw_bucket(plan, step), input_signature=[tf.TensorSpec([], tf.int64)])
    assert [int(draw(step)) for step in steps] == plan.buckets(steps).tolist()
