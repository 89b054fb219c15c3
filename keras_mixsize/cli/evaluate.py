"""test finished runs at other sizes, calibrated for each, as tables and a picture

    mixsize evaluate runs/baseline runs/d+ --sizes=16,24,32 --output=runs/compare
    mixsize evaluate --model=model.keras --dataset=photos --sizes=96,128,160

A run is a folder that `mixsize train` wrote. Writes reports.json, comparison.csv, comparison.md and
accuracy_by_size.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absl import flags

from keras_mixsize.cli.comparison import Comparison
from keras_mixsize.cli.progress import doing
from keras_mixsize.cli.sizes import define_sizes

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
RUNS = flags.DEFINE_list("runs", None, "Folders of finished runs; they may stand without the flag.", **_OWN)
MODEL = flags.DEFINE_string("model", None, "A model file to test, in place of runs.", **_OWN)
DATASET = flags.DEFINE_string("dataset", None, "What to test --model on: a folder of images, or a name.", **_OWN)
SIZES = define_sizes("Test sizes in pixels; those of each run unless given.", FLAGS)
CALIBRATION = flags.DEFINE_integer("calibration_batches", 200, "At each size; 0 for none.", lower_bound=0, **_OWN)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data lie now, if not where they lay.", **_OWN)
OUTPUT = flags.DEFINE_string("output", "runs/evaluate", "Folder for what is written.", **_OWN)


def main(arguments: Sequence[str]) -> None:
    """Evaluate what the flags name, print a table for each, and write the comparison."""
    folders = [*arguments, *(RUNS.value or [])]
    _check(folders)
    with doing("loading TensorFlow"):
        from keras_mixsize.cli import finished

    def load():
        for folder in folders:
            yield finished.of_run(folder, SIZES.value, DATA_DIR.value)
        if MODEL.value is not None:
            yield finished.of_file(MODEL.value, DATASET.value, SIZES.value, DATA_DIR.value)

    reports = []
    for network in load():  # one after the other, because each is as large as a network and its data
        reports.append(finished.measure(network, CALIBRATION.value))
        print(reports[-1].table(), flush=True)
    picture = Comparison.of(reports, folders).write(OUTPUT.value)
    print(f"picture in {picture}")


def _check(folders: Sequence[str]) -> None:
    if bool(folders) == (MODEL.value is not None):
        raise ValueError("name the folders of finished runs, as in `mixsize evaluate runs/train`, or a --model file")
    if MODEL.value is not None and (DATASET.value is None or SIZES.value is None):
        raise ValueError("--model needs --dataset and --sizes, as in --dataset=photos --sizes=96,128")
