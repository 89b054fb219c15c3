"""The table of a regime against exact arithmetic on its buckets."""

import re
from fractions import Fraction

import numpy as np
import pytest
from regime_cases import GROW, pixels, solve_cifar

from keras_mixsize import BySize, Regime, Schedule


def rows_of_table(regime, **options):
    lines = regime.table(**options).splitlines()
    return [[float(cell.rstrip("%")) for cell in line.split()] for line in lines[1 : 1 + len(regime.buckets)]]


def exact_shares(regime):
    """Return shares of steps, samples and compute in percent, by exact arithmetic on the buckets."""
    steps = [Fraction(b.probability) / (1 if regime.share == "steps" else b.batch) for b in regime.buckets]
    samples = [share * b.batch for share, b in zip(steps, regime.buckets)]
    compute = [share * pixels(b) for share, b in zip(steps, regime.buckets)]
    return zip(*([float(100 * part / sum(parts)) for part in parts] for parts in (steps, samples, compute)))


@pytest.mark.parametrize("share", ["steps", "samples"])
@pytest.mark.parametrize("grow", GROW)
def test_the_table_holds_shapes_and_costs(share, grow):
    regime = solve_cifar(share=share, grow=grow)
    expected = [[b.size, b.batch, b.duplicates, pixels(b) / (32 * 32 * 64)] for b in regime.buckets]
    np.testing.assert_allclose([row[:4] for row in rows_of_table(regime)], expected, atol=0.00051)


@pytest.mark.parametrize("share", ["steps", "samples"])
@pytest.mark.parametrize("grow", GROW)
def test_the_table_holds_shares_of_steps_samples_and_compute(share, grow):
    regime = solve_cifar(share=share, grow=grow)
    np.testing.assert_allclose([row[4:] for row in rows_of_table(regime)], list(exact_shares(regime)), atol=0.051)


def test_the_table_names_its_columns():
    assert solve_cifar().table().splitlines()[0].split() == ["S", "B", "D", "cost", "steps", "samples", "compute"]


def test_the_table_holds_the_means():
    regime = Regime.parse("16x8x1:0.25,32x8x1:0.75")
    assert "mean size 28.0 px, mean batch 8.0, mean cost 0.812" in regime.table()


def test_the_table_tells_the_steps_and_the_cost_of_an_epoch():
    regime = solve_cifar(grow="duplicates", share="samples")
    numbers = re.search(
        r"(\d+) steps per epoch of 50000 examples \(base: (\d+)\), epoch cost ([\d.]+)", regime.table(50_000)
    )
    steps_per_sample = sum(Fraction(b.probability) / b.batch for b in regime.buckets)
    steps = round(50_000 * steps_per_sample)
    cost = steps * sum(Fraction(b.probability) / b.batch * pixels(b) for b in regime.buckets) / steps_per_sample
    assert [int(numbers[1]), int(numbers[2])] == [steps, round(50_000 / 64)]
    assert float(numbers[3]) == pytest.approx(float(cost / (50_000 * 32 * 32)), abs=0.00051)


SCHEDULE = Schedule.parse("0.6*16x8x1:0.25,32x8x1:0.75; 0.4*24x10x1:1")


def test_the_table_of_a_schedule_holds_that_of_each_stage_relative_to_one_base():
    lines = SCHEDULE.table().splitlines()
    first, second = lines.index("stage 1 of 2: 60.0% of the steps"), lines.index("stage 2 of 2: 40.0% of the steps")
    assert lines[first + 1 : second] == SCHEDULE.stages[0][1].table().splitlines()
    size, batch, duplicates, cost, *_ = lines[second + 2].split()
    assert [size, batch, duplicates] == ["24", "10", "1"]
    assert float(cost) == pytest.approx(24 * 24 * 10 / (32 * 32 * 8), abs=0.00051)
    assert "mean cost 0.703" in lines[second + 3]


def test_the_table_of_a_schedule_holds_the_means_over_the_run():
    # 16 px in 15 % of the steps, 32 px in 45 %, 24 px in 40 %
    assert "whole run: mean size 26.4 px, mean batch 8.8, mean cost 0.769" in SCHEDULE.table()


def test_the_table_of_a_schedule_tells_the_steps_of_each_stage():
    text = SCHEDULE.table(num_examples=1000, epochs=5)  # 1000 / 8.8 = 114 steps an epoch
    assert "60.0% of the steps, 0 to 341" in text and "40.0% of the steps, 342 to 569" in text
    assert "whole run of 570 steps" in text and "114 steps per epoch of 1000 examples (base: 125)" in text
    assert "steps, 0" not in SCHEDULE.table(num_examples=1000)


def test_the_table_has_a_column_for_what_depends_on_the_size():
    regime = Regime.solve({32: 0.5, 16: 0.5}, base_size=32, base_batch=64, grow="batch")
    lines = regime.table(by_size={"padding": BySize({16: 2, 32: 6})}).splitlines()
    assert [line.split()[-1] for line in lines[:3]] == ["padding", "6", "2"]
