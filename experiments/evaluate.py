"""Evaluates saved models at other sizes, and draws several of them in one picture.

    python experiments/evaluate.py --runs=runs/demo/baseline,runs/demo/d+ --sizes=16,20,24,28,32 --output=runs/compare

Each run is a folder that train.py or demo.py wrote.
"""

import dataclasses
import json
import pathlib

import keras
from absl import app, flags

from keras_mixsize.cli.run import RunConfig, evaluate, first_examples, load_source, make_dataset, replace_file

RUNS = flags.DEFINE_list("runs", None, "Folders of finished runs.", required=True)
SIZES = flags.DEFINE_list("sizes", ["16", "24", "32", "48"], "Test sizes in pixels.")
CALIBRATION = flags.DEFINE_integer("calibration_batches", 200, "Batches of calibration at each test size.")
OUTPUT = flags.DEFINE_string("output", "runs/evaluate", "Folder for the report.")


def load_config(folder: pathlib.Path) -> RunConfig:
    """Return the settings of a finished run."""
    file = folder / "results.json"
    if not file.exists():
        raise app.UsageError(f"--runs: {file} does not exist; train.py writes it at the end of a run")
    return RunConfig.from_dict(json.loads(file.read_text())["config"])


def main(_):
    reports = []
    for folder in map(pathlib.Path, RUNS.value):
        sizes = tuple(int(size) for size in SIZES.value)
        config = dataclasses.replace(load_config(folder), sizes=sizes, calibration_batches=CALIBRATION.value)
        source = first_examples(load_source(config.dataset, "train", config.data_dir), config.limit)
        model = keras.saving.load_model(folder / "model.keras")
        test = load_source(config.dataset, "test", config.data_dir, source.class_names)
        reports.append(evaluate(model, test, make_dataset(config, source), config))
    output = pathlib.Path(OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    replace_file(output / "reports.json", json.dumps([json.loads(report.to_json()) for report in reports], indent=1))
    reports[0].plot(output / "accuracy_by_size.png", *reports[1:])
    print(f"picture in {output / 'accuracy_by_size.png'}")


if __name__ == "__main__":
    app.run(main)
