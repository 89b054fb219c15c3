"""The named regimes against the settings printed in the paper."""

import pytest

from keras_mixsize import Regime, presets

PAPER = {
    "cifar": ({32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}, 32, 64),
    "imagenet144": ({256: 0.1, 224: 0.1, 128: 0.6, 96: 0.2}, 224, 256),
}
MIXED = [name for name in presets.preset_names() if not name.endswith("/baseline")]
BASELINES = [name for name in presets.preset_names() if name.endswith("/baseline")]


@pytest.mark.parametrize("family", PAPER)
@pytest.mark.parametrize("mode", ["b+", "d+", "bd+"])
def test_sizes_and_probabilities_are_the_papers(family, mode):
    buckets = Regime.preset(f"{family}/{mode}").buckets
    assert {bucket.size: bucket.probability for bucket in buckets} == PAPER[family][0]


@pytest.mark.parametrize("family", PAPER)
def test_the_baseline_is_the_papers(family):
    _, size, batch = PAPER[family]
    bucket = Regime.preset(f"{family}/baseline").base
    assert (bucket.size, bucket.batch, bucket.duplicates) == (size, batch, 1)


@pytest.mark.parametrize(("family", "mean"), [("cifar", 29.6), ("imagenet144", 144), ("imagenet224", 224)])
@pytest.mark.parametrize("mode", ["b+", "d+", "bd+"])
def test_mean_sizes_are_the_papers(family, mean, mode):
    assert Regime.preset(f"{family}/{mode}").mean_size == pytest.approx(mean)


def test_every_family_has_a_baseline_and_three_modes():
    expected = {f"{family}/{mode}" for family in presets.FAMILIES for mode in ("baseline", "b+", "d+", "bd+")}
    assert set(presets.preset_names()) == expected


@pytest.mark.parametrize("name", presets.preset_names())
def test_every_preset_builds_within_its_budget(name):
    regime = Regime.preset(name)
    budget = regime.base.size**2 * regime.base.batch * regime.base.duplicates
    assert all(bucket.size**2 * bucket.batch * bucket.duplicates <= budget for bucket in regime.buckets)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_one_bucket(name):
    assert Regime.preset(name).buckets == (Regime.preset(name).base,)


@pytest.mark.parametrize("name", MIXED)
def test_a_mixed_preset_has_the_base_of_its_baseline(name):
    assert Regime.preset(name).base == Regime.preset(name.split("/")[0] + "/baseline").base


@pytest.mark.parametrize("family", presets.FAMILIES)
def test_a_larger_batch_means_no_duplicates(family):
    regime = Regime.preset(f"{family}/b+")
    assert {bucket.duplicates for bucket in regime.buckets} == {1}


@pytest.mark.parametrize("family", presets.FAMILIES)
def test_more_duplicates_mean_no_larger_batch(family):
    regime = Regime.preset(f"{family}/d+")
    assert max(bucket.batch for bucket in regime.buckets) == regime.base.batch


def test_options_are_passed_on():
    regime = Regime.preset("cifar/b+", base_batch=128, share="samples")
    assert (regime.base.batch, regime.share) == (128, "samples")


def test_a_baseline_takes_the_batch_it_is_given():
    assert Regime.preset("cifar/baseline", base_batch=128).buckets[0].batch == 128


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError) as caught:
        Regime.preset("mnist")
    assert all(repr(name) in str(caught.value) for name in presets.preset_names())


@pytest.mark.parametrize(
    ("name", "near"), [("cifar/D+", "cifar/d+"), ("imagnet144/b+", "imagenet144/b+"), ("smal/bd+", "small/bd+")]
)
def test_a_misspelt_name_gets_a_near_match(name, near):
    with pytest.raises(ValueError) as caught:
        Regime.preset(name)
    assert str(caught.value).endswith(f"got {name!r}; did you mean {near!r}?")
