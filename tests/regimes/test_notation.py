"""The compact text of a regime: what it says, and what is no such text."""

import re

import numpy as np
import pytest
from hypothesis import given
from regime_cases import CIFAR, modest, regimes_within_budget, shapes

from keras_mixsize import Bucket, Regime
from keras_mixsize.regimes.notation import shapes_of, stages_of


def test_entries_are_shapes_and_probabilities():
    assert shapes_of("32:0.25,24:.75") == [((32,), 0.25), ((24,), 0.75)]
    assert shapes_of("32x64:0.5,16x64x4:5e-1") == [((32, 64), 0.5), ((16, 64, 4), 0.5)]


@modest
@given(regimes_within_budget())
def test_the_text_gives_the_same_buckets_back(drawn):
    regime, _ = drawn
    assert Regime.parse(str(regime), share=regime.share).buckets == regime.buckets


def test_the_text_of_numpy_probabilities_can_be_read():
    sizes = dict(zip([32, 24], np.array([0.25, 0.75])))
    regime = Regime.solve(sizes, base_size=32, base_batch=64)
    assert Regime.parse(str(regime)) == regime


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


# Schedules


def test_stages_are_shares_and_the_texts_of_regimes():
    assert stages_of(" 0.8*cifar/d+ ; .2 * 32x64x1:1;") == [(0.8, "cifar/d+"), (0.2, "32x64x1:1")]


def test_one_regime_needs_no_share():
    assert stages_of("32:0.5,16:0.5") == [(1.0, "32:0.5,16:0.5")]
    assert stages_of("1*cifar/d+") == [(1.0, "cifar/d+")]


@pytest.mark.parametrize("text", ["", ";;", "0.5*a;b", "half*a;0.5*b", "*a;1*b"])
def test_a_text_without_stages_or_shares_is_refused(text):
    with pytest.raises(ValueError, match="schedule (text must hold stages|stage .* cannot be read)"):
        stages_of(text)
