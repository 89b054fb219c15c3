"""Stretches against the blocks of a run, cut one after the other."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from regime_cases import largest_remainder, modest, schedules

from keras_mixsize import Regime, Schedule
from keras_mixsize.regimes.stretch import apportion, stretches_of

REGIME = Regime.parse("16x8x1:0.5,24x8x1:0.3,32x8x1:0.2")


def blocks_of(stretches, steps):
    """Return (number, first step, length, regime) of each block that begins before a step."""
    found, ends = [], [*(stretch.start for stretch in stretches[1:]), steps]
    for stretch, end in zip(stretches, ends):
        firsts = range(stretch.start, end, stretch.block_steps)
        found += [
            (stretch.first_block + number, first, stretch.block_steps, stretch.regime)
            for number, first in enumerate(firsts)
        ]
    return found


def cut(schedule, block_steps, epochs):
    """Return what `blocks_of` does for the steps of a run: each stage is cut from its first step on."""
    found, bounds = [], schedule.bounds(block_steps * epochs)
    for (_, regime), first, end in zip(schedule.stages, bounds, bounds[1:]):
        while first < end:
            length = min(block_steps, end - first)
            found.append((len(found), first, length, regime))
            first += length
    return found


@modest
@given(schedules(), st.integers(4, 40), st.integers(1, 20))
def test_stages_are_cut_into_blocks_of_an_epochs_length_from_their_first_step(schedule, block_steps, epochs):
    assume(min(share for share, _ in schedule.stages) * block_steps * epochs > 1)
    expected = cut(schedule, block_steps, epochs)
    assert blocks_of(stretches_of(schedule, block_steps, epochs), block_steps * epochs) == expected


def test_after_the_last_step_the_last_regime_goes_on_with_a_whole_block():
    schedule = Schedule(((0.75, REGIME), (0.25, Regime.fixed(32, 8))))
    last = stretches_of(schedule, 30, epochs=3)[-1]
    assert (last.start, last.block_steps, last.regime, last.first_bucket) == (90, 30, Regime.fixed(32, 8), 3)


def test_a_single_regime_is_one_stretch_without_an_end():
    (stretch,) = stretches_of(REGIME, 10, None)
    assert (stretch.start, stretch.block_steps, stretch.first_block, stretch.first_bucket) == (0, 10, 0, 0)
    assert stretches_of(REGIME, 10, 7) == stretches_of(Schedule(((1.0, REGIME),)), 10, 7) == (stretch,)


def test_a_block_takes_the_samples_of_its_steps():
    (stretch,) = stretches_of(Regime.parse("16x7:0.5,24x5:0.25,32x2:0.25"), 8, None)
    assert stretch.counts.tolist() == [4, 2, 2] and stretch.block_samples == 4 * 7 + 2 * 5 + 2 * 2


def test_edges_cut_the_draws_into_the_shares():
    (stretch,) = stretches_of(REGIME, 10, None)
    assert stretch.edges("shuffled").tolist() == [5, 8]
    np.testing.assert_allclose(stretch.edges("independent") / 2**32, [0.5, 0.8], atol=1e-9)


# Whole steps from shares


@pytest.mark.parametrize("steps", [3, 10, 11, 100, 12_345])
@pytest.mark.parametrize("weights", [(1,), (2, 3), (3, 2, 3, 2), (6, 1, 1, 2)])
def test_steps_are_apportioned_by_largest_remainder(weights, steps):
    quotas = [Fraction(steps * weight, sum(weights)) for weight in weights]
    assert steps < len(weights) or min(quotas) >= 1  # else a bucket gets more than its share, to have a step
    assert apportion(np.array(weights) / sum(weights), steps).tolist() == largest_remainder(quotas)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_block_shorter_than_the_buckets_gives_steps_to_the_largest_shares(steps):
    counts = apportion(np.array([0.1, 0.4, 0.2, 0.3]), steps)
    assert counts.tolist() == [int(share >= (0.4, 0.3, 0.2)[steps - 1]) for share in (0.1, 0.4, 0.2, 0.3)]


@modest
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.integers(0, 200))
def test_every_bucket_has_a_step_if_there_are_enough(weights, more):
    counts = apportion(np.array(weights) / sum(weights), len(weights) + more)
    assert counts.min() >= 1 and counts.sum() == len(weights) + more
