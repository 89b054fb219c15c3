"""The settings of a run are a value that a file holds, and nothing else is read from a file."""

import dataclasses
import json

import pytest

from keras_mixsize.cli.config import FORMAT, RunConfig, check_keys, read_config, write_config
from keras_mixsize.recipes import find
from keras_mixsize.regimes import Regime, Schedule


@pytest.fixture
def config(tmp_path):
    regime = Regime.parse("32x16x2:0.5,24x16:0.5", share="samples")
    recipe = find("cifar10/resnet44/b+").lasting(7)
    return RunConfig(recipe, str(tmp_path / "run"), regime=regime, sizes=(8, 16), seed=3, dataset="folder:/data/photos")


@pytest.fixture
def file(config, tmp_path):
    write_config(config, tmp_path / "run.json")
    return tmp_path / "run.json"


def rewritten(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return file


def test_a_file_gives_the_same_settings_back(config, file):
    assert read_config(file) == config
    assert set(json.loads(file.read_text())) == {
        "format",
        "version",
        *(field.name for field in dataclasses.fields(config)),
    }


def test_a_file_may_hold_a_schedule(config, tmp_path):
    schedule = Schedule.finish(config.regime)
    write_config(dataclasses.replace(config, regime=schedule), tmp_path / "run.json")
    assert read_config(tmp_path / "run.json").regime == schedule
    named = rewritten(tmp_path / "run.json", regime="0.8*cifar/d+; 0.2*cifar/baseline")
    assert read_config(named).regime == Schedule.finish(Regime.preset("cifar/d+"))


def test_what_is_not_given_is_the_recipes():
    config = RunConfig(find("cifar10/resnet44/b+"), "runs/x")
    assert config.regime == Regime.preset("cifar/b+") and config.sizes == (16, 24, 32, 48)
    assert (config.name, config.dataset, config.title) == ("b+", "cifar10", "cifar10/resnet44/b+")


def test_the_title_has_the_users_folder(config):
    assert config.title == "photos/resnet44/b+"


def test_a_file_may_hold_names_in_place_of_a_recipe_and_a_regime(file):
    config = read_config(rewritten(file, recipe="cifar10/resnet44/d+", regime="cifar", sizes=None))
    assert config.recipe == find("cifar10/resnet44/d+") and config.regime == Regime.preset("cifar/d+")
    assert config.sizes == (16, 24, 32, 48)


def test_the_results_of_a_run_are_read_too(config, tmp_path):
    fields = {name: value for name, value in config.to_dict().items() if name != "validation"}  # 0.1.0 had none
    (tmp_path / "results.json").write_text(json.dumps({"config": fields, "report": {}}))
    assert read_config(tmp_path / "results.json") == config


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"sead": 3}, "run.json: the settings have no key 'sead'; did you mean seed?"),
        ({"version": 2}, "run.json is of version 2, and this library reads version 1"),
        ({"format": "another"}, f"run.json holds no {FORMAT}; `mixsize train` writes run.json beside its results"),
        ({"precision": "float23"}, "precision must be one of .* did you mean 'float32'"),
        ({"regime": {"bukets": []}}, "regime's settings have no key 'bukets'; did you mean buckets?"),
        ({"recipe": {"datset": "x"}}, "did you mean 'dataset'"),
        ({"recipe": "cifar10/resnet4/d+"}, "cifar10/resnet44/d+"),
        ({"seed": 3, "recipe": None}, "recipe|NoneType"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(file, changes, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        read_config(rewritten(file, **changes))


@pytest.mark.parametrize("content", [b"{", b"[1, 2]", b"\xff\xfe", b'"text"', b""])
def test_a_file_that_holds_no_settings_is_named(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match="run.json"):
        read_config(tmp_path / "run.json")


def test_a_missing_setting_is_named():
    with pytest.raises(ValueError, match="must have 'output'"):
        RunConfig.from_dict({"recipe": "cifar10/resnet44/d+"})


def test_known_keys_pass():
    check_keys("settings", ["a"], ["a", "b"])
