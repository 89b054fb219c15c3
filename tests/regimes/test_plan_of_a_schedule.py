"""Plans whose regime changes, against a run that is walked step by step in plain NumPy."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from regime_cases import largest_remainder, schedules, step_quotas

from keras_mixsize import Plan, Regime, Schedule
from keras_mixsize.regimes.hashing import fold, seed_key, shuffled

REGIME = Regime.parse("16x7x1:0.5,24x5x2:0.25,32x2x1:0.25")
SCHEDULE = Schedule(((0.55, REGIME), (0.25, Regime.fixed(24, 6)), (0.2, Regime.parse("32x4:0.5,16x9:0.5"))))
SAMPLING = ("shuffled", "independent")
EXAMPLES, EPOCHS = 97, 7  # 16 steps an epoch: none of the stages begins where an epoch does
modest = settings(max_examples=25, deadline=None)


def make(schedule=SCHEDULE, num_examples=EXAMPLES, epochs=EPOCHS, **options):
    return Plan(schedule, num_examples, epochs=epochs, **options)


def stage_ends(schedule, steps):
    """Return the step after each stage's last in a run of so many steps; the last stage goes on."""
    ends = np.round(np.cumsum([share for share, _ in schedule.stages]) * steps).astype(int).tolist()
    return [*ends[:-1], steps]


def walk_blocks(schedule, steps_per_epoch, epochs):
    """Go through the blocks of a run and one epoch more: (first step, length, regime, its first bucket)."""
    steps, first_bucket, step = steps_per_epoch * epochs, 0, 0
    for (_, regime), end in zip(schedule.stages, stage_ends(schedule, steps)):
        while step < end:
            length = min(steps_per_epoch, end - step)
            yield step, length, regime, first_bucket
            step += length
        first_bucket += len(regime.buckets)
    yield steps, steps_per_epoch, regime, first_bucket - len(regime.buckets)


def walk(plan, schedule, epochs):
    """Return the bucket's index of each step: each block has its apportioned steps, shuffled by the block's number."""
    key, order = seed_key(plan.seed), []
    for number, (_, length, regime, first) in enumerate(walk_blocks(schedule, plan.steps_per_epoch, epochs)):
        counts = largest_remainder(step_quotas(regime, length))
        positions = shuffled(np.arange(length), length, fold(key, 1, np.uint32([number])))
        order += (first + np.repeat(np.arange(len(counts)), counts)[positions]).tolist()
    return order


def fits(schedule, num_examples, epochs):
    """Return whether each stage has more than a step."""
    steps = schedule.steps_per_epoch(num_examples) * epochs
    return min(share for share, _ in schedule.stages) * steps > 1


# Buckets


@pytest.mark.parametrize("seed", [0, 5])
def test_steps_are_those_of_a_run_walked_block_by_block(seed):
    plan = make(seed=seed)
    assert plan.buckets(np.arange((EPOCHS + 1) * plan.steps_per_epoch)).tolist() == walk(plan, SCHEDULE, EPOCHS)


@pytest.mark.parametrize("sampling", SAMPLING)
def test_a_step_takes_the_next_samples_after_all_steps_before_it(sampling):
    plan, sample = make(sampling=sampling, seed=3), 0
    for step in range((EPOCHS + 1) * plan.steps_per_epoch):
        drawn = plan.at(step)
        bucket = SCHEDULE.buckets[drawn.bucket_index]
        stream = np.arange(sample, sample + bucket.batch)
        assert (drawn.step, drawn.bucket, drawn.first_sample) == (step, bucket, sample)
        assert drawn.epoch == step // plan.steps_per_epoch
        np.testing.assert_array_equal(drawn.passes, stream // EXAMPLES)
        np.testing.assert_array_equal(drawn.indices, plan.samples(stream))
        sample += bucket.batch


@modest
@given(schedules(), st.integers(20, 120), st.integers(1, 9), st.sampled_from(SAMPLING))
def test_every_stage_has_exactly_its_steps(schedule, num_examples, epochs, sampling):
    assume(fits(schedule, num_examples, epochs))
    plan = make(schedule, num_examples, epochs, sampling=sampling)
    steps = epochs * plan.steps_per_epoch
    ends = np.cumsum([len(regime.buckets) for _, regime in schedule.stages])
    stages = np.searchsorted(ends, plan.buckets(np.arange(steps + plan.steps_per_epoch)), side="right")
    exact = np.cumsum([share for share, _ in schedule.stages]) * steps
    assert (np.diff(stages) >= 0).all()
    taken = np.cumsum(np.bincount(stages, minlength=len(exact)))
    assert (np.abs(taken - exact)[:-1] <= 0.5 + 1e-6).all()
    assert taken[-1] == steps + plan.steps_per_epoch  # the last stage's regime goes on


@modest
@given(schedules(), st.integers(20, 120), st.integers(1, 9))
def test_no_bucket_is_a_whole_step_off_its_share_in_any_block(schedule, num_examples, epochs):
    assume(fits(schedule, num_examples, epochs))
    plan = make(schedule, num_examples, epochs)
    for first, length, regime, first_bucket in walk_blocks(schedule, plan.steps_per_epoch, epochs):
        order = plan.buckets(np.arange(first, first + length)) - first_bucket
        counts, quotas = np.bincount(order, minlength=len(regime.buckets)), step_quotas(regime, length)
        assert len(counts) == len(quotas) and order.min() >= 0
        if length >= len(quotas):
            assert counts.min() >= 1
        if length < len(quotas) or min(quotas) >= 1:
            assert all(abs(count - quota) < 1 for count, quota in zip(counts, quotas))


@modest
@given(schedules(), st.integers(20, 120), st.integers(1, 9), st.sampled_from(SAMPLING))
def test_each_pass_sees_every_example_once_over_all_stages(schedule, num_examples, epochs, sampling):
    assume(fits(schedule, num_examples, epochs))
    plan = make(schedule, num_examples, epochs, sampling=sampling)
    steps = [plan.at(step) for step in range((epochs + 1) * plan.steps_per_epoch)]
    indices, passes = (np.concatenate([getattr(step, name) for step in steps]) for name in ("indices", "passes"))
    whole = len(indices) // num_examples * num_examples
    seen = np.sort(indices[:whole].reshape(-1, num_examples), axis=1)
    np.testing.assert_array_equal(seen, np.broadcast_to(np.arange(num_examples), seen.shape))
    np.testing.assert_array_equal(passes, np.arange(len(indices)) // num_examples)


def test_independent_steps_use_the_stages_buckets_as_often_as_their_shares_say():
    plan = make(num_examples=50_000, epochs=4, sampling="independent")
    first, end, _, _ = SCHEDULE.bounds(4 * plan.steps_per_epoch)
    counts = np.bincount(plan.buckets(np.arange(first, end)), minlength=len(SCHEDULE.buckets))
    quotas = np.array([*step_quotas(REGIME, end - first), 0, 0, 0], float)
    assert (np.abs(counts - quotas) <= 5 * np.sqrt(quotas * (1 - quotas / end))).all()


@pytest.mark.parametrize("sampling", SAMPLING)
def test_a_step_does_not_depend_on_earlier_calls(sampling):
    used = make(sampling=sampling)
    for step in np.random.default_rng(0).permutation(9 * used.steps_per_epoch)[:40]:
        one, other = used.at(step), make(sampling=sampling).at(step)
        assert (one.bucket_index, one.first_sample) == (other.bucket_index, other.first_sample)
        np.testing.assert_array_equal(one.indices, other.indices)


# A single regime


@pytest.mark.parametrize("sampling", SAMPLING)
def test_a_schedule_of_one_stage_draws_what_its_regime_draws(sampling):
    alone = Plan(REGIME, EXAMPLES, seed=3, sampling=sampling)
    for plan in (make(Schedule(((1.0, REGIME),)), seed=3, sampling=sampling), make(REGIME, seed=3, sampling=sampling)):
        assert plan.fingerprint() == alone.fingerprint() and not plan.is_scheduled
        steps = np.arange(20 * alone.steps_per_epoch)
        np.testing.assert_array_equal(plan.buckets(steps), alone.buckets(steps))
        assert plan.at(steps[-1]).first_sample == alone.at(steps[-1]).first_sample


# Workers, copies, fingerprints


@pytest.mark.parametrize("workers", [2, 3])
def test_slices_of_all_workers_are_the_global_batch_in_every_stage(workers):
    whole = make()
    shards = [whole.shard(worker, workers) for worker in range(workers)]
    for step in range(EPOCHS * whole.steps_per_epoch):
        together = np.concatenate([shard.at(step).indices for shard in shards])
        np.testing.assert_array_equal(together, whole.at(step).indices)
    assert {shard.fingerprint() for shard in shards} == {whole.fingerprint()}


@pytest.mark.parametrize("again", [copy.deepcopy, lambda plan: pickle.loads(pickle.dumps(plan))])
def test_a_copy_draws_the_same_steps(again):
    plan = make()
    plan.at(0)
    found = again(plan)
    assert found.fingerprint() == plan.fingerprint() and found.epochs == EPOCHS
    assert found.at(100).indices.tolist() == plan.at(100).indices.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": EPOCHS + 1},
        {"schedule": Schedule.finish(REGIME)},
        {"schedule": REGIME},
        {"schedule": Schedule(tuple(reversed(SCHEDULE.stages)))},
        {"schedule": Schedule((*SCHEDULE.stages[:2], (0.2, Regime.parse("32x4:0.5,16x9:0.5", share="samples"))))},
    ],
)
def test_a_change_of_the_schedule_changes_the_fingerprint(change):
    assert make(**change).fingerprint() != make().fingerprint()


def test_a_plan_shows_its_schedule_in_one_line():
    shown = repr(make())
    assert str(SCHEDULE) in shown and "epochs=7" in shown and "\n" not in shown


# What is refused


def test_a_schedule_without_epochs_is_refused():
    with pytest.raises(ValueError, match="epochs must be given for a schedule of 3 stages.*of the whole run"):
        make(epochs=None)


@pytest.mark.parametrize("epochs", [0, -1, 2.5, True])
def test_epochs_that_are_no_number_of_epochs_are_refused(epochs):
    with pytest.raises(ValueError, match=f"epochs must be an integer of at least 1, got {epochs}"):
        make(epochs=epochs)


def test_a_stage_without_a_step_is_refused():
    with pytest.raises(ValueError, match="a step each, got the share 0.001 of 60 steps; use more epochs"):
        make(Schedule.finish(Regime.fixed(16, 10), share=0.001), num_examples=100, epochs=6)


def test_fewer_examples_than_the_batch_of_a_late_stage_are_refused():
    with pytest.raises(ValueError, match="largest batch, got 60 examples for a batch of 64 at size 32"):
        make(Schedule(((0.5, Regime.fixed(16, 8)), (0.5, Regime.fixed(32, 64)))), num_examples=60)
