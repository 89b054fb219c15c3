"""What a run leaves in its folder: settings, results, report; and what any measurement notes beside its figures.

Loads no TensorFlow. Neighbours: `run` (writes a run's files), `config` (its settings).

    load_run("runs/d+").sizes                       # the settings of a finished run
    replace_file("figures.json", json.dumps({"versions": versions()}))
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import platform
import sys

import numpy as np
import rich.console

import keras_mixsize as kms
from keras_mixsize.cli.config import RunConfig, read_config
from keras_mixsize.files import replaced

FILE = "results.json"
console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)


def load_run(folder: str | os.PathLike) -> RunConfig:
    """Return the settings of a finished run.

    Args:
        folder: that `mixsize train` wrote, this version's or an earlier one's.

    Raises:
        FileNotFoundError: no run has ended there.
    """
    file = pathlib.Path(folder) / FILE
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist; `mixsize train` writes it at the end of a run")
    return read_config(file)


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on, and the machine."""
    found = {}
    for package in ("tensorflow", "tensorflow-cpu", "keras", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return found | {"keras_mixsize": kms.__version__, "python": platform.python_version(), "machine": machine}


def command() -> str:
    """Return what started this process: the script's name, without its folder, and what it was given."""
    return " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])


def replace_file(path: str | os.PathLike, text: str) -> None:
    """Write a file whole or not at all."""
    with replaced(path) as stream:
        stream.write(text.encode())


def write_results(config: RunConfig, train, model, history, report, seconds: float, speed=None) -> None:
    """Write results.json, report.json, report.csv of a run into its folder.

    Args:
        config: the run's.
        train: the MixSizeDataset.
        model: the trained MixSizeModel.
        history: a list for each metric, of Keras.
        report: the SizeReport.
        seconds: that training took.
        speed: plain values on step times, by name, to note beside it.
    """
    output = pathlib.Path(config.output)
    results = {
        "command": command(),
        "config": config.to_dict(),
        "versions": versions(),
        "plan_fingerprint": train.plan.fingerprint(),
        "steps": model.position,
        "steps_per_epoch": train.steps_per_epoch,
        "train_seconds": round(seconds, 1),
        **(speed or {}),
        "damaged": [str(damaged) for damaged in train.source.damage_report()],
        "history": {name: [float(np.float32(value)) for value in values] for name, values in history.items()},
        "report": json.loads(report.to_json()),
    }
    replace_file(output / FILE, json.dumps(results, indent=1))
    replace_file(output / "report.json", report.to_json())
    report.to_csv(output / "report.csv")
