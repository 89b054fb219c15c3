"""Solving against the budget, the authors' rule and arithmetic on exact fractions."""

import dataclasses
import math
from fractions import Fraction

import pytest
from hypothesis import given
from regime_cases import CIFAR, GROW, mixtures, modest, pixels, regimes_within_budget, shapes, solve_cifar

from keras_mixsize import Bucket, Regime
from keras_mixsize.regimes.solving import fit_nearest, fit_within_budget, stretched

IMAGENET_224 = {size: 0.2 if size == 224 else 0.8 / 6 for size in (128, 160, 192, 224, 256, 288, 320)}


def relative_costs(regime):
    return [pixels(bucket) / pixels(regime.base) for bucket in regime.buckets]


def authors_rule(size, base_size, base_batch, base_duplicates, adapt_batch, adapt_duplicates):
    """The rule of the authors' published code, as the design describes it."""
    scale = base_size / size if adapt_batch and adapt_duplicates else (base_size / size) ** 2
    if scale * base_duplicates < 0.5:
        adapt_batch, adapt_duplicates = True, False
    batch = round(scale * base_batch) if adapt_batch else base_batch
    duplicates = round(scale * base_duplicates) if adapt_duplicates else base_duplicates
    return batch, max(1, duplicates)


# The budget


@modest
@given(regimes_within_budget())
def test_no_step_costs_more_than_the_budget(drawn):
    regime, _ = drawn
    assert all(pixels(bucket) <= pixels(regime.base) for bucket in regime.buckets)


@modest
@given(regimes_within_budget())
def test_every_batch_is_a_multiple_of_what_is_asked(drawn):
    regime, multiple_of = drawn
    assert all(bucket.batch % multiple_of == 0 for bucket in regime.buckets)


@modest
@given(regimes_within_budget())
def test_every_size_keeps_its_probability(drawn):
    regime, _ = drawn
    assert math.isclose(sum(bucket.probability for bucket in regime.buckets), 1)


@pytest.mark.parametrize("grow", ["batch", "both"])
@modest
@given(sizes=mixtures())
def test_a_larger_batch_would_not_fit_the_budget(grow, sizes):
    regime = Regime.solve(sizes, base_size=128, base_batch=512, grow=grow)
    for bucket in regime.buckets:
        assert pixels(dataclasses.replace(bucket, batch=bucket.batch + 8)) > pixels(regime.base)


@modest
@given(sizes=mixtures())
def test_duplicates_spend_the_budget_up_to_half_a_duplicate(sizes):
    regime = Regime.solve(sizes, base_size=128, base_batch=512, grow="duplicates")
    for bucket in regime.buckets:
        batch_is_full = pixels(dataclasses.replace(bucket, batch=bucket.batch + 8)) > pixels(regime.base)
        one_and_a_half = Fraction(2 * bucket.duplicates + 1, 2 * bucket.duplicates) * pixels(bucket)
        assert batch_is_full or one_and_a_half >= pixels(regime.base)


def test_batches_are_multiples_of_8_by_default():
    assert all(batch % 8 == 0 for batch, _ in shapes(solve_cifar()).values())


def test_the_batch_grows_with_the_area_saved():
    eights = {size: 64 * 32 * 32 // (8 * size * size) for size in CIFAR}
    assert shapes(solve_cifar()) == {size: (8 * count, 1) for size, count in eights.items()}


def test_duplicates_grow_with_the_area_saved():
    assert shapes(solve_cifar(grow="duplicates"))[16] == (64, 4)


def test_both_grow_by_the_side_saved():
    assert shapes(solve_cifar(grow="both"))[16] == (2 * 64, 2)


def test_nothing_grows_if_none_is_asked():
    regime = solve_cifar(grow="none")
    assert {size: shapes(regime)[size] for size in (16, 24, 32)} == dict.fromkeys((16, 24, 32), (64, 1))


@pytest.mark.parametrize("grow", GROW)
def test_the_base_size_keeps_the_base_batch(grow):
    assert shapes(solve_cifar(grow=grow, base_duplicates=3))[32] == (64, 3)


@pytest.mark.parametrize("grow", GROW)
def test_a_larger_size_first_takes_fewer_duplicates(grow):
    regime = Regime.solve({64: 1.0}, base_size=32, base_batch=64, base_duplicates=4, grow=grow)
    batch, duplicates = shapes(regime)[64]
    assert duplicates < 4 and batch * duplicates == 64


@pytest.mark.parametrize("grow", GROW)
@pytest.mark.parametrize("size", [8, 16, 20, 24, 26, 32])
def test_a_size_up_to_the_base_always_fits(grow, size):
    bucket = Regime.solve({size: 1.0}, base_size=32, base_batch=8, grow=grow).buckets[0]
    assert bucket.batch >= 8


def test_a_size_that_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match="size 96 does not fit: .* 65536 pixels holds 7 images .*larger base_batch or a sm"
    ):
        Regime.solve({32: 0.5, 96: 0.5}, base_size=32, base_batch=64)


@pytest.mark.parametrize("remedy", [{"base_batch": 128}, {"multiple_of": 1}])
def test_the_remedies_for_a_size_that_does_not_fit_work(remedy):
    options = {"base_size": 32, "base_batch": 64} | remedy
    assert Regime.solve({32: 0.5, 96: 0.5}, **options).sizes == (32, 96)


# The authors' rule


@pytest.mark.parametrize("grow", ["batch", "duplicates", "both"])
@pytest.mark.parametrize("base", [(32, 64, 1), (224, 256, 1), (224, 64, 4), (96, 100, 3)])
def test_nearest_is_the_authors_rule(grow, base):
    sizes = dict.fromkeys(range(16, 272, 16), 1 / 16)
    size, batch, duplicates = base
    options = {"base_size": size, "base_batch": batch, "base_duplicates": duplicates, "grow": grow}
    adapt = {"adapt_batch": grow != "duplicates", "adapt_duplicates": grow != "batch"}
    assert shapes(Regime.solve(sizes, rounding="nearest", **options)) == {
        each: authors_rule(each, *base, **adapt) for each in sizes
    }


def test_the_authors_constant_cost_runs_from_073_to_165():
    costs = relative_costs(
        Regime.solve(IMAGENET_224, base_size=224, base_batch=256, grow="duplicates", rounding="nearest")
    )
    assert (round(min(costs), 2), round(max(costs), 2)) == (0.73, 1.65)


@pytest.mark.parametrize("grow", ["batch", "duplicates", "both"])
def test_within_budget_the_same_sizes_cost_at_most_1(grow):
    assert max(relative_costs(Regime.solve(IMAGENET_224, base_size=224, base_batch=256, grow=grow))) == 1


def test_nearest_keeps_the_base_batch_where_nothing_grows():
    regime = solve_cifar(grow="none", rounding="nearest")
    assert shapes(regime) == {32: (64, 1), 48: (round(64 * 4 / 9), 1), 24: (64, 1), 16: (64, 1)}


# By themselves


def test_the_two_ways_to_round_differ_by_at_most_the_multiple():
    base = Bucket(32, 64)
    for size in range(8, 33):
        within, nearest = (fit(size, base, "batch", 8)[0] for fit in (fit_within_budget, fit_nearest))
        assert nearest - 8.5 < within <= nearest + 0.5


@pytest.mark.parametrize(("factor", "batch"), [(0.5, 56), (1.0, 112), (1.04, 120), (0.001, 8)])
def test_a_stretched_batch_is_the_nearest_multiple_and_never_empty(factor, batch):
    assert stretched(Bucket(24, 112, 2, 0.25), factor, "batch", 8) == Bucket(24, batch, 2, 0.25)


@pytest.mark.parametrize(("factor", "duplicates"), [(0.5, 2), (1.1, 4), (1.2, 5), (0.01, 1)])
def test_stretched_duplicates_are_whole_and_at_least_one(factor, duplicates):
    assert stretched(Bucket(24, 112, 4), factor, "duplicates", 8) == Bucket(24, 112, duplicates)
