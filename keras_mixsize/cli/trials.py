"""Trials: a search for a regime as an Optuna study, kept in a file so that it goes on after a stop.

Imports TensorFlow and Optuna. Neighbours: `search` (the command), `recipes.search` (what is tried, and the score),
`run` (how one is trained).

    trials = Trials(config, Goal.parse("mean"))
    study = trials.study("runs/search/trials.journal")
    trials.go_on(study, count=20)
    trials.config_of(study.best_trial)                      # a RunConfig, for `mixsize train --config`
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable

import keras
import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

import keras_mixsize as kms
from keras_mixsize.cli import run
from keras_mixsize.cli.config import RunConfig
from keras_mixsize.cli.held_out import Part
from keras_mixsize.recipes.budget import equal_epochs
from keras_mixsize.recipes.search import FINISHES, RATES, SPREADS, Candidate, Goal
from keras_mixsize.regimes.presets import MODES

RUNGS = (1, 3, 9)  # ninths of a run after which it is compared: two thirds of the trials stop at each of the first two
FIRST = (  # before the sampler chooses: one size, and what is recommended without a search
    Candidate("baseline"),
    Candidate("b+", "wide"),
    Candidate("d+", "wide"),
)


class Trials:
    """Runs of candidates at equal training cost, scored on images held out of the training images.

    Args:
        config: what every run has in common; its regime's base and its epochs are the baseline's.
        goal: what is maximised.
        held_out: share of the training images that scores the trials; the test images are not touched.

    Raises:
        ValueError: too few images to hold any out.
    """

    def __init__(self, config: RunConfig, goal: Goal, held_out: float = 0.2):
        source, _ = run.load_sources(config)
        count = round(held_out * source.num_examples)
        if not 0 < count < source.num_examples:
            raise ValueError(
                f"held_out must leave images on both sides, got {held_out:g} of {source.num_examples} images"
            )
        order = np.random.default_rng(config.seed).permutation(source.num_examples)
        self.config, self.goal = config, goal
        self.validation, self.train = (Part(source, np.sort(part)) for part in (order[:count], order[count:]))
        network = kms.models.build(config.recipe.network, classes=source.num_classes, channels=source.channels)
        self.stride = kms.MixSizeModel(network).stride

    def study(self, path: str | os.PathLike) -> optuna.Study:
        """Return the study that a file holds, or a new one.

        Raises:
            ValueError: the file is of a search with other settings.
        """
        storage = JournalStorage(JournalFileBackend(os.fspath(path)))
        sampler = optuna.samplers.TPESampler(seed=self.config.seed, n_startup_trials=8)
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
        options = {"direction": "maximize", "load_if_exists": True}
        study = optuna.create_study(study_name="search", storage=storage, sampler=sampler, pruner=pruner, **options)
        settings = json.dumps(self.config.to_dict() | {"goal": str(self.goal)}, sort_keys=True)
        known = study.user_attrs.get("settings")
        if known is None:
            study.set_user_attr("settings", settings)
            for candidate in FIRST:
                study.enqueue_trial(dataclasses.asdict(candidate))
        elif known != settings:
            raise ValueError(f"{path} is of a search with other settings; take another --output, or remove it")
        return study

    def go_on(self, study: optuna.Study, count: int, say: Callable[[str], None] = print) -> None:
        """Run trials until so many have ended, whether to the end or pruned.

        A trial that was stopped half-way by a kill is done again.

        Args:
            study: of `study`.
            count: trials in all, those of earlier processes included.
            say: function of a line about each trial that ends.
        """
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)
        ended = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
        tell = functools.partial(_tell, say)
        if count > len(ended):
            study.optimize(self.objective, n_trials=count - len(ended), callbacks=[tell])

    def objective(self, trial: Trial) -> float:
        """Train a candidate, and return its score; stops early where others were better at that point."""
        candidate = Candidate(
            mode=trial.suggest_categorical("mode", ("baseline", *MODES)),
            spread=trial.suggest_categorical("spread", tuple(SPREADS)),
            finish=trial.suggest_categorical("finish", FINISHES),
            rate=trial.suggest_float("rate", *RATES, log=True),
        )
        config = self.config_for(candidate)
        keras.utils.clear_session()  # or the memory of every trial would stay
        train = run.make_dataset(config, self.train)
        model = run.build_model(config, train)
        rungs = _Rungs(trial, config.recipe.epochs, lambda: self.score(model, train, config))
        model.fit(train, epochs=config.recipe.epochs, callbacks=[rungs], verbose=0)
        return rungs.score

    def score(self, model: kms.MixSizeModel, train: kms.MixSizeDataset, config: RunConfig) -> float:
        """Return the score of a model on the held-out images, a share in [0, 1]."""
        options = {"calibrate": train, "batches": config.calibration_batches}
        options |= {"window": kms.recipes.test_window(config.recipe), "latency": self.goal.latency_ms is not None}
        return self.goal.score(kms.evaluate_sizes(model, self.validation, config.sizes, **options))

    def config_for(self, candidate: Candidate) -> RunConfig:
        """Return the settings of a candidate's run, at the cost of the baseline's."""
        recipe, base = self.config.recipe, self.config.regime.base
        regime = candidate.regime(base.size, base.batch, self.stride)
        baseline = kms.Regime.fixed(base.size, base.batch)
        epochs = equal_epochs(regime, baseline, self.train.num_examples, recipe.epochs)
        recipe = recipe.lasting(epochs)
        rate = candidate.rate * recipe.schedule.learning_rate
        schedule = dataclasses.replace(recipe.schedule, learning_rate=rate)
        recipe = dataclasses.replace(recipe, mode=candidate.mode, schedule=schedule)
        return dataclasses.replace(self.config, recipe=recipe, regime=regime)

    def config_of(self, trial: FrozenTrial) -> RunConfig:
        """Return the settings of a trial's run."""
        return self.config_for(Candidate(**trial.params))


class _Rungs(keras.callbacks.Callback):
    """Scores a model after some of its epochs, reports it, and ends the trial if it is behind."""

    def __init__(self, trial: Trial, epochs: int, score: Callable[[], float]):
        super().__init__()
        self.trial, self.measure, self.score = trial, score, 0.0
        self.rungs = {max(1, round(epochs * rung / RUNGS[-1])): rung for rung in RUNGS}

    def on_epoch_end(self, epoch, logs=None):
        """Report, where a rung ends."""
        rung = self.rungs.get(epoch + 1)
        if rung is None:
            return
        self.score = self.measure()
        self.trial.report(self.score, rung)
        if rung != RUNGS[-1] and self.trial.should_prune():
            raise optuna.TrialPruned


def _tell(say: Callable[[str], None], study: optuna.Study, trial: FrozenTrial) -> None:
    """Say how a trial ended."""
    candidate, scores = Candidate(**trial.params), trial.intermediate_values
    score = trial.value if trial.value is not None else scores[max(scores)]
    how = "" if trial.state == TrialState.COMPLETE else f" after {max(scores)}/{RUNGS[-1]}, stopped"
    sizes = "one size" if candidate.mode == "baseline" else f"{candidate.spread}, finish {candidate.finish:g}"
    say(f"trial {trial.number}: {candidate.mode}, {sizes}, rate x {candidate.rate:.2f}: {score:.2%}{how}")
