"""Chooses the demo's learning rate and padding, on training images that are neither trained on nor tested on.

    python experiments/choose_demo_recipe.py --data_dir=DIR/usr/share/datasets/fashion-mnist --output=docs/demo/recipe.json

Trains on the embedded 10,000 images as the demo does, and validates on the last 3,000 of the full training set (DIR as in
make_fashion_mnist.py), none of which is embedded.
"""

import dataclasses
import itertools
import json
import pathlib

from absl import app, flags
from demo import configs

import keras_mixsize as kms
from keras_mixsize.cli.run import RunConfig, build_model, console, make_dataset, replace_file, versions

DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with the full set's *-ubyte.gz files.", required=True)
MODES = flags.DEFINE_list("choose_modes", ["baseline", "d+"], "Regimes to try.")
RATES = flags.DEFINE_list("rates", ["0.1", "0.2", "0.4"], "Learning rates to try.")
PADDINGS = flags.DEFINE_list("paddings", ["2", "4"], "Paddings to try.")
VALIDATION = 3000
SIZES = (16, 24, 32, 48)
flags.FLAGS.set_default("output", "runs/demo_recipe.json")


def validate(config: RunConfig, source: kms.sources.Source, validation: kms.sources.Source) -> kms.SizeReport:
    """Train as the demo does and report on the validation images."""
    train = make_dataset(config, source)
    model = build_model(config, train)
    model.fit(train, epochs=config.recipe.epochs, verbose=0)
    return kms.evaluate_sizes(model, validation, SIZES, calibrate=train, batches=25, latency=False, name=config.name)


def main(_):
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
        replace_file(pathlib.Path(flags.FLAGS.output), json.dumps({"versions": versions(), "rows": rows}, indent=1))


if __name__ == "__main__":
    app.run(main)
