"""What regimes and schedules amount to, against exact arithmetic on their stages."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from regime_cases import modest, pixels, schedules, solve_cifar, step_quotas

from keras_mixsize import Regime, Schedule

SCHEDULE = Schedule.parse("0.5*16x8x2:0.25,32x8x1:0.75; 0.3*24x12x1:1; 0.2*32x10x1:1")
FINISH = Schedule.finish(solve_cifar(grow="duplicates"))


def exact_mean(schedule, value):
    """Return the mean of a bucket's value over the steps of a run, as an exact fraction."""
    stages = [Fraction(share) for share, _ in schedule.stages]
    quotas = [zip(regime.buckets, step_quotas(regime, 1)) for _, regime in schedule.stages]
    return sum(stage * quota * value(b) for stage, pairs in zip(stages, quotas) for b, quota in pairs) / sum(stages)


@modest
@given(schedules())
def test_means_are_those_of_all_steps_of_all_stages(schedule):
    assert schedule.mean_batch == pytest.approx(float(exact_mean(schedule, lambda b: b.batch)))
    assert schedule.mean_size == pytest.approx(float(exact_mean(schedule, lambda b: b.size)))
    cost = exact_mean(schedule, pixels) / max(pixels(regime.base) for _, regime in schedule.stages)
    assert schedule.mean_cost == pytest.approx(float(cost))
    assert schedule.step_shares.sum() == pytest.approx(1)


@modest
@given(schedules(), st.integers(1, 5000))
def test_an_epoch_sees_about_every_example_in_the_mean_over_the_run(schedule, num_examples):
    wanted = max(
        num_examples / exact_mean(schedule, lambda b: b.batch), max(len(r.buckets) for _, r in schedule.stages)
    )
    assert abs(schedule.steps_per_epoch(num_examples) - wanted) <= Fraction(1, 2) + Fraction(1, 10**6)


def test_a_regime_is_its_own_only_stage():
    regime = solve_cifar()
    assert regime.stages == ((1.0, regime),) and regime.bounds(100) == (0, 100)


def test_sizes_are_those_of_all_stages():
    assert SCHEDULE.sizes == (16, 24, 32)


# Where stages begin


@modest
@given(schedules(), st.integers(1, 10_000))
def test_stages_begin_at_their_shares_of_all_steps(schedule, steps):
    before = np.cumsum([0, *(Fraction(share) for share, _ in schedule.stages)])
    assume(all((end - first) * steps > 1 for first, end in zip(before, before[1:])))
    bounds = schedule.bounds(steps)
    assert bounds[-1] == steps
    assert all(
        abs(bound - exact * steps) <= Fraction(1, 2) + Fraction(1, 10**6) for bound, exact in zip(bounds, before)
    )


def test_the_last_fifth_of_1000_steps_begins_at_800():
    assert FINISH.bounds(1000) == (0, 800, 1000)


def test_a_stage_without_a_step_is_refused():
    with pytest.raises(ValueError, match="a step each, got the share 0.2 of 2 steps; use more epochs, or leave"):
        FINISH.bounds(2)


# What devices can share


def test_the_batch_of_a_late_stage_must_suit_the_replicas_and_workers():
    for check, message in [
        (SCHEDULE.check_replicas, r"divisible by the 4 replicas.*got 10\*1=10 at size 32"),
        (SCHEDULE.check_workers, "divisible by the 4 workers.*got 10 at size 32"),
    ]:
        check(2)
        with pytest.raises(ValueError, match=message):
            check(4)


# The usual time of a step


def test_the_usual_time_is_that_of_the_bases_shape_or_the_median():
    seconds = {bucket: 1.0 + number for number, bucket in enumerate(SCHEDULE.buckets)}
    assert SCHEDULE.base == SCHEDULE.buckets[3] and SCHEDULE.usual_seconds(seconds) == 4.0
    without_base = Regime((*Regime.parse("16x8x1:0.5,24x8x1:0.5").buckets,), base=SCHEDULE.base)
    assert without_base.usual_seconds(dict(zip(without_base.buckets, [1.0, 3.0]))) == 2.0


@pytest.mark.parametrize("time", [None, 0, -1.0, "fast", float("nan")])
def test_a_bucket_without_a_time_is_refused_in_any_stage(time):
    seconds = {bucket: 1.0 for bucket in SCHEDULE.buckets} | {SCHEDULE.buckets[-1]: time}
    with pytest.raises(ValueError, match=f"a time above 0 for bucket 32x10x1:1.0, got {time!r}"):
        SCHEDULE.usual_seconds(seconds)
