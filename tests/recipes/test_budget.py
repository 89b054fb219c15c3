"""Runs of equal cost, against the sum over buckets."""

import pytest

from keras_mixsize.recipes.budget import equal_epochs, pixels
from keras_mixsize.regimes import MODES, Regime, Schedule


def test_the_pixels_of_a_schedule_are_those_of_its_stages():
    mixed = Regime.preset("tiny/b+")
    schedule = Schedule.finish(mixed, 0.25)
    steps = 3 * schedule.steps_per_epoch(4000)
    stages = 0.75 * steps * mixed.mean_cost * 16 * 16 * 64 + 0.25 * steps * 16 * 16 * 64
    assert pixels(schedule, 4000, 3) == pytest.approx(stages)


@pytest.mark.parametrize("mode", MODES)
def test_epochs_are_those_of_equal_pixels(mode):
    regime, baseline = Regime.preset(f"tiny/{mode}"), Regime.preset("tiny/baseline")
    epochs = equal_epochs(regime, baseline, 4000, 60)
    mean = sum(b.size**2 * b.batch * b.duplicates * share for b, share in zip(regime.buckets, regime.step_shares))
    spent = epochs * regime.steps_per_epoch(4000) * mean
    assert spent == pytest.approx(60 * baseline.steps_per_epoch(4000) * 16 * 16 * 64, rel=0.6 / epochs)
