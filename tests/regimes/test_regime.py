"""Regimes against the budget, the authors' rule and arithmetic on exact fractions."""

import dataclasses
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mixsize import Bucket, Regime

CIFAR = {32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}
IMAGENET_224 = {size: 0.2 if size == 224 else 0.8 / 6 for size in (128, 160, 192, 224, 256, 288, 320)}
GROW = ("batch", "duplicates", "both", "none")
modest = settings(max_examples=25, deadline=None)


def solve_cifar(**options):
    return Regime.solve(CIFAR, **{"base_size": 32, "base_batch": 64} | options)


def shapes(regime):
    return {bucket.size: (bucket.batch, bucket.duplicates) for bucket in regime.buckets}


def pixels(bucket):
    return bucket.size**2 * bucket.batch * bucket.duplicates


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


@st.composite
def mixtures(draw):
    """Sizes with probabilities that are exact multiples of 1 / the sum of whole weights."""
    sizes = draw(st.lists(st.integers(2, 40).map(lambda n: 8 * n), min_size=1, max_size=6, unique=True))
    weights = draw(st.lists(st.integers(1, 20), min_size=len(sizes), max_size=len(sizes)))
    return {size: weight / sum(weights) for size, weight in zip(sizes, weights, strict=True)}


@st.composite
def regimes_within_budget(draw):
    """Regimes whose largest size fits: its budget holds a batch of `multiple_of` with no duplicates."""
    sizes, multiple_of = draw(mixtures()), draw(st.sampled_from([1, 8, 12]))
    base_size = draw(st.sampled_from(sorted(sizes)))
    batches_to_fit = math.ceil((max(sizes) / base_size) ** 2)
    base_batch = multiple_of * draw(st.integers(4 * batches_to_fit, 4 * batches_to_fit + 20))
    regime = Regime.solve(
        sizes,
        base_size=base_size,
        base_batch=base_batch,
        base_duplicates=draw(st.integers(1, 4)),
        grow=draw(st.sampled_from(GROW)),
        share=draw(st.sampled_from(["steps", "samples"])),
        multiple_of=multiple_of,
    )
    return regime, multiple_of


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


# Text and JSON


@modest
@given(regimes_within_budget())
def test_json_gives_an_equal_regime_back(drawn):
    regime, _ = drawn
    assert Regime.from_json(regime.to_json()) == regime


def test_json_keeps_the_rounding():
    regime = Regime.solve(IMAGENET_224, base_size=224, base_batch=256, grow="duplicates", rounding="nearest")
    assert Regime.from_json(regime.to_json()) == regime


def test_numpy_integers_can_be_saved_as_json():
    regime = Regime.solve({np.int64(32): 1.0}, base_size=np.int64(32), base_batch=np.int64(64))
    assert Regime.from_json(regime.to_json()) == Regime.solve({32: 1.0}, base_size=32, base_batch=64)


@modest
@given(regimes_within_budget())
def test_the_text_gives_the_same_buckets_back(drawn):
    regime, _ = drawn
    assert Regime.parse(str(regime), share=regime.share).buckets == regime.buckets


def test_the_text_of_numpy_probabilities_can_be_read():
    sizes = dict(zip([32, 24], np.array([0.25, 0.75])))
    regime = Regime.solve(sizes, base_size=32, base_batch=64)
    assert Regime.parse(str(regime)) == regime


@pytest.mark.parametrize("text", ["nonsense", "{}", "[1]", "null", '{"buckets": [{"size": 1}]}', '{"buckets": 3}'])
def test_json_that_is_no_regime_is_refused(text):
    with pytest.raises(ValueError, match=r"regime JSON cannot be read .* write it with Regime.to_json\(\)"):
        Regime.from_json(text)


def test_sizes_and_probabilities_are_solved():
    options = {"base_size": 32, "base_batch": 64, "grow": "duplicates"}
    assert Regime.parse("32:0.3,48:0.2,24:0.3,16:0.2", **options) == Regime.solve(CIFAR, **options)


def test_written_shapes_are_taken_as_they_are():
    assert Regime.parse("32x60x1:0.5,16x50x4:0.5").buckets == (Bucket(32, 60, 1, 0.5), Bucket(16, 50, 4, 0.5))


def test_one_duplicate_may_be_left_out():
    assert Regime.parse("32x64:0.5,16x64x4:0.5") == Regime.parse("32x64x1:0.5,16x64x4:0.5")


def test_spaces_and_a_last_comma_do_not_matter():
    assert Regime.parse(" 32x64:0.5 , 16x64x4:0.5,") == Regime.parse("32x64:0.5,16x64x4:0.5")


def test_a_written_size_may_come_with_several_batches():
    assert shapes(Regime.parse("32x64:0.5,32x32x2:0.5")) == {32: (32, 2)}


def test_written_shapes_take_a_share():
    assert Regime.parse("32x64:0.5,16x64x4:0.5", share="samples").share == "samples"


@pytest.mark.parametrize("entry", ["32", "32:0.5:1", "32:half", "x64:1", "32x64x1x1:1", "32.5x64:1", "32-64:1"])
def test_an_unreadable_entry_is_named_with_both_forms(entry):
    with pytest.raises(ValueError, match=rf"regime entry '{re.escape(entry)}' .*32:0.3, or .*32x64x1:0.3"):
        Regime.parse(entry)


@pytest.mark.parametrize("text", ["", " , "])
def test_an_empty_text_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=f'must hold entries such as "32:0.5,24:0.5", got {text!r}'):
        Regime.parse(text)


def test_mixed_forms_are_refused():
    with pytest.raises(ValueError, match="batches for all sizes or for none, got '32:0.5,24x64:0.5'"):
        Regime.parse("32:0.5,24x64:0.5", base_size=32, base_batch=64)


def test_a_size_named_twice_is_refused():
    with pytest.raises(ValueError, match="each size once unless it gives batches, got '32:0.5,32:0.5'"):
        Regime.parse("32:0.5,32:0.5", base_size=32, base_batch=64)


@pytest.mark.parametrize("options", [{}, {"base_size": 32}, {"base_batch": 64}])
def test_sizes_alone_need_a_base(options):
    with pytest.raises(ValueError, match="'32:1' gives no batches, so base_size and base_batch are needed"):
        Regime.parse("32:1", **options)


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


# The table


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


def test_a_size_that_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match="size 96 does not fit: .* 65536 pixels holds 7 images .*larger base_batch or a sm"
    ):
        Regime.solve({32: 0.5, 96: 0.5}, base_size=32, base_batch=64)


@pytest.mark.parametrize("remedy", [{"base_batch": 128}, {"multiple_of": 1}])
def test_the_remedies_for_a_size_that_does_not_fit_work(remedy):
    options = {"base_size": 32, "base_batch": 64} | remedy
    assert Regime.solve({32: 0.5, 96: 0.5}, **options).sizes == (32, 96)


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
