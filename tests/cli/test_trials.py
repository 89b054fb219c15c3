"""The trials of a search: they cost the same, go on after a stop, and the best becomes settings of a run."""

import dataclasses
import json

import optuna
import pytest

from keras_mixsize.cli import search
from keras_mixsize.cli.config import RunConfig, read_config
from keras_mixsize.cli.trials import FIRST, Trials
from keras_mixsize.recipes import find
from keras_mixsize.recipes.search import Goal

CONFIG = RunConfig(
    find("embedded/resnet8/d+").lasting(20), "runs/search", limit=64, sizes=(16, 32), calibration_batches=2
)
SCORES = {"baseline": 0.5, "b+": 0.8, "d+": 0.7, "bd+": 0.6}


@pytest.fixture(scope="module")
def trials():
    return Trials(CONFIG, Goal.parse("mean"))


@pytest.fixture
def pretended(trials, monkeypatch):
    """The trials, whose scores depend on the mode alone; nothing is trained."""

    def objective(trial):
        mode = trial.suggest_categorical("mode", tuple(SCORES))
        trial.suggest_categorical("spread", ("narrow", "usual", "wide"))
        trial.suggest_categorical("finish", (0.0, 0.2))
        trial.suggest_float("rate", 0.25, 4.0, log=True)
        return SCORES[mode]

    monkeypatch.setattr(trials, "objective", objective)
    return trials


def test_the_first_trials_are_one_size_and_what_is_recommended(pretended, tmp_path):
    study = pretended.study(tmp_path / "trials.journal")
    pretended.go_on(study, 3, say=lambda line: None)
    assert [trial.params for trial in study.trials] == [dataclasses.asdict(candidate) for candidate in FIRST]


def test_a_search_goes_on_where_it_stopped(pretended, tmp_path):
    lines = []
    pretended.go_on(pretended.study(tmp_path / "trials.journal"), 3, say=lines.append)
    pretended.go_on(pretended.study(tmp_path / "trials.journal"), 5, say=lines.append)
    assert [line.split(":")[0] for line in lines] == [f"trial {number}" for number in range(5)]


def test_a_trial_that_was_killed_is_done_again(pretended, tmp_path):
    study = pretended.study(tmp_path / "trials.journal")
    study.ask()  # as a process that was killed within its first trial leaves it
    pretended.go_on(pretended.study(tmp_path / "trials.journal"), 4, say=lambda line: None)
    ended = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert len(ended) == 4 and study.trials[0].state == optuna.trial.TrialState.FAIL


def test_a_file_of_a_search_with_other_settings_is_refused(pretended, tmp_path):
    pretended.study(tmp_path / "trials.journal")
    other = Trials(dataclasses.replace(CONFIG, seed=1), Goal.parse("mean"))
    with pytest.raises(ValueError, match="is of a search with other settings; take another --output"):
        other.study(tmp_path / "trials.journal")


def test_the_best_trial_becomes_the_settings_of_a_run(pretended, tmp_path):
    study = pretended.study(tmp_path / "trials.journal")
    pretended.go_on(study, 4, say=lambda line: None)
    words = search.write(pretended, study, tmp_path)
    config = read_config(tmp_path / "run.json")
    assert config.recipe.mode == "b+" and config.regime == pretended.config_of(study.best_trial).regime
    assert "80.00%; one size: 50.00%" in words and f"--config={tmp_path / 'run.json'}" in words
    found = json.loads((tmp_path / "search.json").read_text())
    assert found["best"] == study.best_trial.number and len(found["trials"]) == 4


def test_every_candidate_costs_what_the_baseline_does(trials):
    baseline, count = trials.config_for(FIRST[0]), trials.train.num_examples
    for candidate in FIRST[1:]:
        config = trials.config_for(candidate)
        steps = config.recipe.epochs * config.regime.steps_per_epoch(count)
        fixed = baseline.recipe.epochs * baseline.regime.steps_per_epoch(count)
        assert abs(steps * config.regime.mean_cost / fixed - 1) < 0.1


def test_images_that_score_are_not_trained_on(trials):
    assert not set(trials.validation.indices) & set(trials.train.indices)
    assert trials.validation.num_examples + trials.train.num_examples == 64
