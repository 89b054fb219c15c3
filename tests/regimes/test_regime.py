"""Regimes: shares, means, JSON, replicas, measured times, and what is refused."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from regime_cases import CIFAR, GROW, modest, regimes_within_budget, solve_cifar

from keras_mixsize import Bucket, Regime

# Shares


def test_a_share_of_steps_is_the_probability_itself():
    np.testing.assert_allclose(solve_cifar(share="steps").step_shares, list(CIFAR.values()))


def test_a_share_of_samples_is_the_probability_itself():
    np.testing.assert_allclose(solve_cifar(share="samples").sample_shares, list(CIFAR.values()))


@pytest.mark.parametrize("share", ["steps", "samples"])
@pytest.mark.parametrize("grow", GROW)
def test_samples_are_steps_times_batches(share, grow):
    regime = solve_cifar(share=share, grow=grow)
    samples = regime.step_shares * [bucket.batch for bucket in regime.buckets]
    np.testing.assert_allclose(regime.sample_shares, samples / samples.sum())


def test_the_largest_size_takes_a_fifth_of_the_steps_if_shares_are_of_steps():
    assert solve_cifar(share="steps").step_shares[1] == pytest.approx(0.2)


@pytest.mark.parametrize(("rounding", "expected"), [("nearest", 0.47), ("within_budget", 0.51)])
def test_the_largest_size_takes_half_of_the_steps_if_shares_are_of_samples(rounding, expected):
    assert solve_cifar(share="samples", rounding=rounding).step_shares[1] == pytest.approx(expected, abs=0.005)


def test_mean_size_and_batch_are_means_over_steps():
    regime = Regime.parse("16x32x1:0.25,32x8x1:0.75")
    assert (regime.mean_size, regime.mean_batch) == (0.25 * 16 + 0.75 * 32, 0.25 * 32 + 0.75 * 8)


def test_mean_cost_is_a_mean_over_steps_relative_to_the_base():
    regime = Regime.parse("16x8x1:0.25,32x8x1:0.75")
    assert regime.mean_cost == pytest.approx(0.25 / 4 + 0.75)


@pytest.mark.parametrize("share", ["steps", "samples"])
def test_an_epoch_has_as_many_steps_as_cover_the_data_once(share):
    regime = solve_cifar(share=share)
    steps = regime.steps_per_epoch(50_000)
    assert abs(steps * regime.mean_batch - 50_000) <= regime.mean_batch / 2


def test_an_epoch_has_a_step_for_every_bucket():
    assert solve_cifar().steps_per_epoch(1) == 4


# JSON


@modest
@given(regimes_within_budget())
def test_json_gives_an_equal_regime_back(drawn):
    regime, _ = drawn
    assert Regime.from_json(regime.to_json()) == regime


def test_json_keeps_the_rounding():
    regime = Regime.preset("imagenet224/d+", rounding="nearest")
    assert Regime.from_json(regime.to_json()) == regime


def test_numpy_integers_can_be_saved_as_json():
    regime = Regime.solve({np.int64(32): 1.0}, base_size=np.int64(32), base_batch=np.int64(64))
    assert Regime.from_json(regime.to_json()) == Regime.solve({32: 1.0}, base_size=32, base_batch=64)


@pytest.mark.parametrize("text", ["nonsense", "{}", "[1]", "null", '{"buckets": [{"size": 1}]}', '{"buckets": 3}'])
def test_json_that_is_no_regime_is_refused(text):
    with pytest.raises(ValueError, match=r"regime JSON cannot be read .* write it with Regime.to_json\(\)"):
        Regime.from_json(text)


# Hand-written and fixed


def test_a_fixed_regime_is_one_bucket_of_every_step():
    regime = Regime.fixed(32, 64, 2)
    assert regime.buckets == (Bucket(32, 64, 2, 1.0),) and regime.base == regime.buckets[0]


def test_the_costliest_hand_written_bucket_is_the_base():
    regime = Regime((Bucket(16, 64, 1, 0.5), Bucket(32, 64, 1, 0.5)))
    assert regime.base == Bucket(32, 64)


def test_hand_written_buckets_keep_their_order():
    buckets = [Bucket(16, 64, 1, 0.5), Bucket(48, 8, 1, 0.25), Bucket(32, 8, 1, 0.25)]
    assert Regime(buckets).buckets == tuple(buckets)


def test_sizes_are_ascending_and_different():
    assert Regime.parse("32x8:0.25,16x8:0.5,32x4x2:0.25").sizes == (16, 32)


def test_a_regime_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Regime.fixed(32, 64).share = "samples"


# Replicas


@pytest.mark.parametrize("replicas", [1, 2, 4, 8])
def test_multiples_of_8_suit_powers_of_2(replicas):
    solve_cifar().check_replicas(replicas)


def test_duplicates_may_make_up_for_a_batch_that_does_not_divide():
    Regime.fixed(32, 6, 2).check_replicas(4)


@pytest.mark.parametrize("replicas", [3, 5, 6, 16])
def test_replicas_that_do_not_divide_are_refused(replicas):
    with pytest.raises(
        ValueError, match=rf"B\*D must be divisible by the {replicas} replicas .*=\d+ at size \d+; solve"
    ):
        solve_cifar(base_batch=64).check_replicas(replicas)


@pytest.mark.parametrize("replicas", [3, 5, 6, 16])
def test_the_remedy_for_replicas_works(replicas):
    with pytest.raises(ValueError) as caught:
        solve_cifar().check_replicas(replicas)
    multiple_of = int(re.search(r"multiple_of=(\d+)", str(caught.value))[1])
    solve_cifar(base_batch=4 * multiple_of, multiple_of=multiple_of).check_replicas(replicas)


# What is refused


@pytest.mark.parametrize("name", ["base_size", "base_batch", "base_duplicates", "multiple_of"])
@pytest.mark.parametrize("value", [0, True, 8.0])
def test_solve_names_the_count_that_is_no_natural_number(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got {re.escape(repr(value))}"):
        solve_cifar(**{name: value})


@pytest.mark.parametrize("size", [0, -16, True, 32.0, "32"])
def test_solve_refuses_sizes_that_are_no_natural_numbers(size):
    with pytest.raises(ValueError, match=f"size must be an integer of at least 1, got {size!r}"):
        Regime.solve({size: 1.0}, base_size=32, base_batch=64)


@pytest.mark.parametrize("count", [0, -1, True, 10.0])
def test_an_epoch_needs_a_natural_number_of_examples(count):
    with pytest.raises(ValueError, match=f"num_examples must be an integer of at least 1, got {count!r}"):
        solve_cifar().steps_per_epoch(count)


def test_a_negative_probability_is_refused():
    with pytest.raises(ValueError, match="probabilities must not be negative, got -0.5"):
        Regime.solve({32: 1.5, 24: -0.5}, base_size=32, base_batch=64)


def test_probabilities_that_do_not_sum_to_1_are_refused_with_their_sum():
    with pytest.raises(ValueError, match=r"probabilities must sum to 1, got \[0.5, 0.4\] with the sum 0.9"):
        Regime.solve({32: 0.5, 24: 0.4}, base_size=32, base_batch=64)


def test_hand_written_probabilities_that_do_not_sum_to_1_are_refused():
    with pytest.raises(ValueError, match=r"probabilities must sum to 1, got \[0.5, 0.25\] with the sum 0.75"):
        Regime((Bucket(32, 64, 1, 0.5), Bucket(24, 64, 1, 0.25)))


def test_a_probability_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"must be above 0, got \[1.0, 0\]; leave the unused size out"):
        Regime.solve({32: 1.0, 24: 0}, base_size=32, base_batch=64)


@pytest.mark.parametrize("sizes", [{}, [32, 24], "32:1", None])
def test_sizes_must_map_to_probabilities(sizes):
    with pytest.raises(
        ValueError, match=f"sizes must map sizes to probabilities, such as .*got {re.escape(repr(sizes))}"
    ):
        Regime.solve(sizes, base_size=32, base_batch=64)


def test_no_bucket_at_all_is_refused():
    with pytest.raises(ValueError, match="buckets must hold at least one Bucket, got none"):
        Regime(())


def test_a_bucket_above_the_budget_is_refused():
    buckets = (Bucket(32, 64, 1, 0.5), Bucket(48, 64, 1, 0.5))
    with pytest.raises(
        ValueError, match='S=48 B=64 D=1 costs 147456 pixels, above the budget of 65536 .*rounding="near'
    ):
        Regime(buckets, base=Bucket(32, 64))


def test_a_bucket_one_image_above_the_budget_is_refused():
    with pytest.raises(ValueError, match="S=32 B=65 D=1 costs 66560 pixels, above the budget of 65536"):
        Regime((Bucket(32, 65),), base=Bucket(32, 64))


def test_nearest_allows_a_bucket_above_the_budget():
    buckets = (Bucket(32, 64, 1, 0.5), Bucket(48, 64, 1, 0.5))
    assert Regime(buckets, base=Bucket(32, 64), rounding="nearest").buckets == buckets


def test_a_base_batch_that_is_no_multiple_is_refused_with_the_next_one():
    with pytest.raises(ValueError, match="base_batch must be a multiple of multiple_of=8, got 60; use 64 or another"):
        solve_cifar(base_batch=60)


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [
        ("grow", "duplicate", "duplicates"),
        ("grow", "batches", "batch"),
        ("share", "sample", "samples"),
        ("share", "step", "steps"),
        ("rounding", "within-budget", "within_budget"),
    ],
)
def test_an_unknown_choice_gets_a_near_match(name, value, near):
    with pytest.raises(ValueError, match=f"{name} must be one of .*{near!r}.*, got {value!r}; did you mean {near!r}"):
        solve_cifar(**{name: value})


@pytest.mark.parametrize("name", ["grow", "share", "rounding"])
@pytest.mark.parametrize("value", ["qqq", False, 3])
def test_an_unknown_choice_far_from_all_gets_no_guess(name, value):
    with pytest.raises(ValueError, match=f"{name} must be one of .*, got {value!r}$"):
        solve_cifar(**{name: value})


# Rebalancing


@pytest.mark.parametrize("change", ["batch", "duplicates"])
def test_rebalancing_makes_the_times_agree_as_far_as_whole_images_allow(change):
    regime = Regime.parse("16x64x16:0.3,24x56x8:0.3,32x64x4:0.4")
    per_image = {16: 1.0, 24: 2.5, 32: 4.0}  # seconds; 24 px is slower than its pixels, 16 px as slow as its pixels
    seconds = {bucket: per_image[bucket.size] * bucket.images for bucket in regime.buckets}
    balanced = regime.rebalance(seconds, change=change, multiple_of=4)
    times = [per_image[bucket.size] * bucket.images for bucket in balanced.buckets]
    assert max(times) / min(times) < (1.05 if change == "batch" else 1.15)
    assert times[-1] == seconds[regime.buckets[-1]]  # the base keeps its shape
    assert all(bucket.batch % 4 == 0 for bucket in balanced.buckets)
    assert [bucket.probability for bucket in balanced.buckets] == [0.3, 0.3, 0.4]


def test_a_target_sets_the_time_of_every_step():
    regime = Regime.parse("16x64:0.5,32x16:0.5")
    balanced = regime.rebalance(dict.fromkeys(regime.buckets, 2.0), target=1.0)
    assert [bucket.batch for bucket in balanced.buckets] == [32, 8]


@pytest.mark.parametrize("seconds", [None, 0.0, float("nan")])
def test_rebalancing_needs_a_time_for_every_bucket(seconds):
    regime = Regime.parse("16x64:0.5,32x16:0.5")
    times = {} if seconds is None else dict.fromkeys(regime.buckets, seconds)
    with pytest.raises(ValueError, match="seconds must have a time above 0 for bucket 16x64x1"):
        regime.rebalance(times)
