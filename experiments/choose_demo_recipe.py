"""Chooses the demo's learning rate and padding, on training images that are neither trained on nor tested on.

    python experiments/choose_demo_recipe.py --data_dir=DIR/usr/share/datasets/fashion-mnist \\
        --output=docs/demo/recipe.json

Trains on the embedded 10,000 images as the demo does, and validates on the last 3,000 of the full training set (DIR
as in make_fashion_mnist.py), none of which is embedded.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
import sys

from absl import flags
from demo import configs

import keras_mixsize as kms
from keras_mixsize.cli import command
from keras_mixsize.cli.config import RunConfig
from keras_mixsize.cli.results import console, replace_file, versions

FLAGS = flags.FlagValues()
_OWN = {"flag_values": FLAGS}
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with the full set's *-ubyte.gz files.", required=True, **_OWN)
OUTPUT = flags.DEFINE_string("output", "runs/demo_recipe.json", "File for the figures.", **_OWN)
MODES = flags.DEFINE_list("choose_modes", ["baseline", "d+"], "Regimes to try.", **_OWN)
RATES = flags.DEFINE_list("rates", ["0.1", "0.2", "0.4"], "Learning rates to try.", **_OWN)
PADDINGS = flags.DEFINE_list("paddings", ["2", "4"], "Paddings to try.", **_OWN)
VALIDATION = 3000
SIZES = (16, 24, 32, 48)


def validate(config: RunConfig, source: kms.sources.Source, validation: kms.sources.Source) -> kms.SizeReport:
    """Train as the demo does and report on the validation images."""
    from keras_mixsize.cli.run import build_model, make_dataset  # here, because it loads TensorFlow

    train = make_dataset(config, source)
    model = build_model(config, train)
    model.fit(train, epochs=config.recipe.epochs, verbose=0)
    return kms.evaluate_sizes(model, validation, SIZES, calibrate=train, batches=25, latency=False, name=config.name)


def main(arguments: list[str]) -> None:
    """Try every combination, and write the accuracies after each."""
    del arguments
    source = kms.sources.fashion_mnist("train")
    full = kms.sources.fashion_mnist("train", path=DATA_DIR.value)
    validation = kms.sources.ArraySource(full.images[-VALIDATION:], full.labels[-VALIDATION:])
    by_mode = {pathlib.Path(config.output).name: config for config in configs()}
    rows = []
    for padding, rate, mode in itertools.product(map(int, PADDINGS.value), map(float, RATES.value), MODES.value):
        recipe = by_mode[mode].recipe
        schedule = dataclasses.replace(recipe.schedule, learning_rate=rate)
        recipe = dataclasses.replace(recipe, padding=padding, schedule=schedule)
        report = validate(dataclasses.replace(by_mode[mode], recipe=recipe), source, validation)
        accuracy = {str(row.size): round(100 * row.best.value, 2) for row in report.rows}
        rows.append({"mode": mode, "padding": padding, "learning_rate": rate, "accuracy": accuracy})
        console.print(rows[-1])
        replace_file(OUTPUT.value, json.dumps({"versions": versions(), "rows": rows}, indent=1))


if __name__ == "__main__":
    sys.exit(command.run(sys.modules[__name__], sys.argv))
