"""What a regime's text on the command line means."""

import pytest

from keras_mixsize.cli.regime_text import by_stages, choose_regime, from_json
from keras_mixsize.regimes import Regime, Schedule

BASE = {"base_size": 32, "base_batch": 64}


@pytest.mark.parametrize(
    "text, mode, options, expected",
    [
        ("cifar", "b+", {}, Regime.preset("cifar/b+")),
        ("cifar/b+", "d+", {"share": "samples"}, Regime.preset("cifar/b+", share="samples")),
        ("32:0.5,16:0.5", "bd+", BASE, Regime.parse("32:0.5,16:0.5", grow="both", **BASE)),
        ("32:0.5,16:0.5", "baseline", BASE, Regime.fixed(32, 64)),
        ("32x64x1:0.5,16x64x4:0.5", "b+", {}, Regime.parse("32x64x1:0.5,16x64x4:0.5")),
    ],
)
def test_a_text_means_a_regime(text, mode, options, expected):
    assert choose_regime(text, mode, **options) == expected


def test_a_file_says_everything(tmp_path):
    file = tmp_path / "regime.json"
    file.write_text(Regime.preset("small/d+").to_json())
    assert choose_regime(str(file)) == Regime.preset("small/d+")
    with pytest.raises(ValueError, match="does not take base_size"):
        choose_regime(str(file), base_size=32)


def test_stages_are_regimes_with_shares():
    schedule = Schedule.finish(Regime.preset("cifar/d+"))
    assert by_stages("0.8*cifar; 0.2*32x64x1:1", choose_regime) == schedule
    assert by_stages("cifar/d+", choose_regime) == Regime.preset("cifar/d+")


def test_json_holds_a_regime_or_a_schedule():
    regime = Regime.preset("cifar/d+")
    assert from_json(regime.to_json()) == regime
    assert from_json(Schedule.finish(regime).to_json()) == Schedule.finish(regime)


@pytest.mark.parametrize("text", ["cifra/d+", "cifar/d-"])
def test_an_unknown_preset_is_answered_with_the_nearest(text):
    with pytest.raises(ValueError, match=r"did you mean cifar/d\+\?\nfamilies: cifar, .*; modes: baseline"):
        choose_regime(text)
