"""The paper's results against its own statements."""

import pytest

from keras_mixsize import Regime, models
from keras_mixsize.recipes import PAPER


@pytest.mark.parametrize("row", PAPER, ids=lambda row: f"{row.dataset}/{row.network}")
def test_the_steps_printed_are_those_of_the_baselines_epochs(row):
    base = Regime.preset(f"{row.family}/baseline")
    assert row.epochs * row.examples / base.mean_batch / 1000 == pytest.approx(row.steps[0], rel=0.01)
    assert row.network in models.names()


@pytest.mark.parametrize("row", PAPER, ids=lambda row: f"{row.dataset}/{row.network}")
def test_a_larger_batch_takes_fewer_steps_and_more_copies_as_many(row):
    baseline, larger_batch, more_copies = row.steps
    assert larger_batch < baseline == more_copies


def test_more_copies_of_each_image_are_the_most_accurate_with_every_network():
    assert all(max(row.accuracy) == row.accuracy[2] for row in PAPER)
