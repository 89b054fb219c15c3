"""Schedules: how one is made, told as text and refused; test_plan_of_a_schedule.py draws steps from them."""

import copy
import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from regime_cases import modest, pixels, schedules, solve_cifar

from keras_mixsize import Bucket, Regime, Schedule

D_PLUS = Regime.preset("cifar/d+")
BASE = Regime.fixed(32, 64)
SCHEDULE = Schedule(((0.8, D_PLUS), (0.2, BASE)))


# Ways to make one


def test_finish_is_a_last_fifth_at_the_base():
    assert Schedule.finish(D_PLUS) == SCHEDULE


@pytest.mark.parametrize("share", [0.1, 0.3, 0.35, 0.9])
def test_finish_takes_another_share(share):
    (before, regime), (last, base) = Schedule.finish(D_PLUS, share).stages
    assert (last, regime, base) == (share, D_PLUS, BASE) and before == pytest.approx(1 - share)
    assert len(repr(before)) <= 4  # as a person would write it


def test_finish_keeps_the_bases_copies():
    regime = solve_cifar(base_duplicates=2, grow="duplicates")
    assert Schedule.finish(regime).stages[1][1].buckets == (Bucket(32, 64, 2),)


def test_growing_goes_from_small_to_large_within_the_budget():
    schedule = Schedule.growing([16, 24, 32], base_batch=64)
    assert [share for share, _ in schedule.stages] == [1 / 3] * 3
    # what 65,536 pixels hold, in multiples of 8
    assert schedule.buckets == (Bucket(16, 256), Bucket(24, 112), Bucket(32, 64))
    assert schedule.base == Bucket(32, 64) and max(map(pixels, schedule.buckets)) <= 32 * 32 * 64


def test_growing_takes_shares_a_base_and_what_solve_takes():
    schedule = Schedule.growing([16, 48], 64, shares=[0.7, 0.3], base_size=32, grow="duplicates", multiple_of=4)
    assert schedule.buckets == (Bucket(16, 64, 4), Bucket(48, 28)) and schedule.base == Bucket(32, 64)
    assert [share for share, _ in schedule.stages] == [0.7, 0.3]


def test_growing_with_grow_none_keeps_the_batch():
    assert Schedule.growing([16, 32], 64, grow="none").buckets == (Bucket(16, 64), Bucket(32, 64))


def test_lists_are_taken_as_stages_and_numpy_shares_as_floats():
    schedule = Schedule([[np.float32(0.5), D_PLUS], [np.float64(0.5), BASE]])
    assert schedule == Schedule(((0.5, D_PLUS), (0.5, BASE))) and type(schedule.stages[0][0]) is float


# Text and JSON


@modest
@given(schedules())
def test_text_and_json_give_an_equal_schedule_back(schedule):
    assert Schedule.from_json(schedule.to_json()) == schedule
    again = Schedule.parse(str(schedule))
    assert str(again) == str(schedule)
    assert [share for share, _ in again.stages] == [share for share, _ in schedule.stages]
    assert again.buckets == schedule.buckets


@pytest.mark.parametrize(
    "text", ["0.8*cifar/d+; 0.2*32x64x1:1", "0.8*cifar/d+;0.2*cifar/baseline", " 0.80 * cifar/d+ ;\n .2 * 32x64:1;"]
)
def test_a_stage_is_named_by_a_preset_or_written(text):
    assert Schedule.parse(text) == SCHEDULE


def test_sizes_of_a_stage_are_solved_with_the_options_that_written_ones_do_not_take():
    text = "0.8*32:0.3,48:0.2,24:0.3,16:0.2; 0.2*32x64x1:1"
    options = {"base_size": 32, "base_batch": 64, "grow": "duplicates"}
    assert Schedule.parse(text, **options) == SCHEDULE
    shared = Schedule.parse(text, **options, share="samples")
    assert [regime.share for _, regime in shared.stages] == ["samples", "samples"]


def test_one_regime_is_a_schedule_of_one_stage_in_text_and_json():
    schedule = Schedule(((1.0, D_PLUS),))
    assert str(schedule) == str(D_PLUS) and schedule.to_json() == D_PLUS.to_json()
    assert Schedule.parse("cifar/d+") == Schedule.from_json(D_PLUS.to_json()) == schedule


def test_json_names_share_and_regime_of_each_stage():
    stages = json.loads(SCHEDULE.to_json())["stages"]
    assert [stage["share"] for stage in stages] == [0.8, 0.2]
    assert stages[1]["regime"] == json.loads(BASE.to_json())


def test_a_schedule_is_shown_in_one_line():
    assert repr(SCHEDULE) == f"Schedule('0.8*{D_PLUS};0.2*32x64x1:1.0')"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_is_equal_and_has_the_same_hash(again):
    assert again(SCHEDULE) == SCHEDULE and hash(again(SCHEDULE)) == hash(SCHEDULE)


def test_a_schedule_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SCHEDULE.stages = ()


# Measured times


def test_rebalancing_brings_the_steps_of_all_stages_to_one_time():
    schedule = Schedule.growing([16, 24, 32], base_batch=64)
    seconds = dict(zip(schedule.buckets, [0.2, 0.05, 0.1]))
    balanced = schedule.rebalance(seconds)
    assert [bucket.batch for bucket in balanced.buckets] == [128, 224, 64]  # 0.1 s, the base's
    assert [share for share, _ in balanced.stages] == [share for share, _ in schedule.stages]
    copies = schedule.rebalance(seconds, change="duplicates", target=0.4)
    assert [bucket.duplicates for bucket in copies.buckets] == [2, 8, 4]


# What is refused


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((), "stages must hold at least one .share of all steps, Regime., got none"),
        (D_PLUS, "stages must be a list of pairs .share of all steps, Regime., got Regime"),
        ([(0.5, D_PLUS), 0.5], "list of pairs"),
        ([(1.0, "cifar/d+")], "list of pairs.*got .*cifar/d+"),
        ([(0.8, D_PLUS), (0.1, BASE)], r"shares must sum to 1, got \[0.8, 0.1\] with the sum 0.9"),
        ([(1.2, D_PLUS), (-0.2, BASE)], "shares must not be negative, got -0.2"),
        ([(1.0, D_PLUS), (0.0, BASE)], "shares must be above 0.*leave the unused stage out"),
        ([("0.8", D_PLUS), (0.2, BASE)], "shares must be numbers, got '0.8'"),
        ([(math.nan, D_PLUS)], "shares must not be negative, got nan"),
    ],
)
def test_bad_stages_are_refused(stages, message):
    with pytest.raises(ValueError, match=message):
        Schedule(stages)


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5, "0.2", math.nan])
def test_a_share_of_finish_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=f"share must lie between 0 and 1, got {share!r}; 0.2 is the last fifth"):
        Schedule.finish(D_PLUS, share)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": []}, r"sizes must grow from stage to stage, got \[\]"),
        ({"sizes": [32, 24]}, r"sizes must grow from stage to stage, got \[32, 24\]; sort them"),
        ({"sizes": [24, 24]}, "sizes must grow"),
        ({"sizes": [16, 32], "shares": [1.0]}, r"shares must be one for each of the 2 sizes, got \[1.0\]"),
        ({"sizes": [16, 32], "shares": [0.5, 0.4]}, "shares must sum to 1"),
        ({"sizes": [16, 32], "grow": "batches"}, "grow must be one of .*did you mean 'batch'"),
        ({"sizes": [16, 64], "base_size": 16, "multiple_of": 64}, "size 64 does not fit"),
    ],
)
def test_bad_growth_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Schedule.growing(**{"base_batch": 64} | options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ; ", "schedule text must hold stages such as .*got ' ; '"),
        ("0.8*cifar/d+; 32x64x1:1", "schedule stage '32x64x1:1' cannot be read.*write share.regime"),
        ("most*cifar/d+; 0.2*32x64x1:1", "schedule stage 'most.cifar/d.' cannot be read"),
        ("0.8*cifar/d; 0.2*32x64x1:1", "preset must be one of .*did you mean 'cifar/d+'"),
        ("0.8*; 0.2*32x64x1:1", "preset must be one of .*got ''"),
        ("0.8*cifar/d+", "shares must sum to 1"),
        ("0.8*32:1; 0.2*32x64x1:1", "base_size and base_batch are needed"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(ValueError, match=message.replace("+'", r"\+'")):
        Schedule.parse(text)


@pytest.mark.parametrize("text", ["", "3", "[]", '{"stages": 3}', '{"stages": [{"share": 1}]}', '{"buckets": []}'])
def test_json_that_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match="JSON cannot be read|stages must hold at least one"):
        Schedule.from_json(text)
