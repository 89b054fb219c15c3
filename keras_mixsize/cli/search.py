"""search the regime that is best for a data set, at equal training cost, and write its settings

    mixsize search photos --trials=20 --output=runs/search
    mixsize search --recipe=embedded/resnet8/d+ --goal=16 --epochs=9

Trials are scored on training images that are held out; those that fall behind are stopped early (successive
halving). Called again, it goes on where it stopped. `mixsize train --config=OUTPUT/run.json` trains the best.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from keras_mixsize.cli.progress import doing
from keras_mixsize.cli.sizes import define_sizes

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
GOAL = flags.DEFINE_string(
    "goal", "mean", "Accuracy to maximise: mean over sizes, at a size (16), or within a latency (5ms).", **_OWN
)
TRIALS = flags.DEFINE_integer("trials", 20, "In all, those of earlier calls included.", lower_bound=1, **_OWN)
OUTPUT = flags.DEFINE_string("output", "runs/search", "Folder for what is found.", **_OWN)
HELD_OUT = flags.DEFINE_float("held_out", 0.2, "Share of the training images that scores the trials.", 0, 1, **_OWN)
flags.DEFINE_string("recipe", None, "Data set, network and mode; a folder gets one of its own.", **_OWN)
flags.DEFINE_string("model", None, "Network, such as resnet14.", **_OWN)
flags.DEFINE_integer("base_size", None, "Baseline's size in pixels.", lower_bound=1, **_OWN)
flags.DEFINE_integer("base_batch", None, "Baseline's batch.", lower_bound=1, **_OWN)
flags.DEFINE_integer("epochs", None, "Of the baseline; the others get the same cost.", lower_bound=1, **_OWN)
define_sizes("Test sizes in pixels.", FLAGS)
flags.DEFINE_string("data_dir", None, "Where the data set lies (tfds: its data_dir).", **_OWN)
flags.DEFINE_float("validation", 0.2, "Share held out for testing of a folder without val/ or test/.", **_OWN)
flags.DEFINE_integer("calibration_batches", 200, "At each test size, at most.", lower_bound=1, **_OWN)
flags.DEFINE_integer("seed", 0, "Of weights, order, augmentation and the search.", lower_bound=0, **_OWN)
flags.DEFINE_boolean("smoke", False, "Seconds: 512 examples, one epoch, two sizes.", **_OWN)
MORE = ("data_dir", "validation", "calibration_batches", "seed", "smoke", "base_batch")
FILE = "trials.journal"


def main(arguments: Sequence[str]) -> None:
    """Search, and write search.json, regime.json and run.json."""
    if len(arguments) > 1:
        raise ValueError(f"name one data set, got {' and '.join(arguments)}")
    if importlib.util.find_spec("optuna") is None:
        raise ValueError("a search needs Optuna: pip install 'keras_mixsize[search]'")
    from keras_mixsize.cli.settings import settings
    from keras_mixsize.recipes.search import Goal

    goal = Goal.parse(GOAL.value)
    config = settings(FLAGS, arguments[0] if arguments else None)
    config = dataclasses.replace(config, output=OUTPUT.value, resume=False, tensorboard=False)
    if goal.size is not None and goal.size not in config.sizes:
        config = dataclasses.replace(config, sizes=tuple(sorted({*config.sizes, goal.size})))
    output = pathlib.Path(OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    with doing("loading TensorFlow"):
        import optuna

        from keras_mixsize.cli.trials import Trials
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = Trials(config, goal, HELD_OUT.value)
    study = trials.study(output / FILE)
    print(f"{goal}, on {trials.validation.num_examples:,} images held out; {TRIALS.value} trials", flush=True)
    trials.go_on(study, TRIALS.value, say=lambda line: print(line, flush=True))
    print(write(trials, study, output))


def write(trials, study, output: pathlib.Path) -> str:
    """Write what was found, and return it in words.

    Args:
        trials: of `trials.Trials`.
        study: its study, with a trial that ended.
        output: folder.
    """
    from keras_mixsize.cli.config import FILE as RUN
    from keras_mixsize.cli.config import write_config
    from keras_mixsize.cli.results import command, replace_file, versions

    best, config = study.best_trial, trials.config_of(study.best_trial)
    rows = [
        {"number": trial.number, "state": trial.state.name, **trial.params, "scores": trial.intermediate_values}
        for trial in study.trials
    ]
    about = {"goal": str(trials.goal), "command": command(), "versions": versions(), "best": best.number}
    replace_file(output / "search.json", json.dumps(about | {"trials": rows}, indent=1) + "\n")
    replace_file(output / "regime.json", config.regime.to_json() + "\n")
    final = dataclasses.replace(config, output=str(output / "best"), name=None)
    write_config(final, output / RUN)
    one_size = [trial.value for trial in study.trials if trial.params.get("mode") == "baseline" and trial.value]
    against = f"; one size: {max(one_size):.2%}" if one_size else ""
    return (
        f"best: trial {best.number}, {trials.goal}: {best.value:.2%}{against}\n"
        f"{config.regime.table(trials.train.num_examples, config.recipe.epochs)}\n"
        f"train it on all images: mixsize train --config={output / RUN}"
    )
