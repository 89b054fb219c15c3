"""Runs: one training run of an arm in a setting, and everything that is written down of it.

Neighbours: `arms` and `settings` (what to do), `phases` and `training` (how), `grid` (which run is next).

    result = run_one(Run("glyphs", "d+", learning_rate=0.1, seed=0), SETTINGS["glyphs"], data)
    result["test"]["16"]["correct"], result["test"]["16"]["count"]

The keys of a result, which is a file of JSON:

- `setting`, `arm`, `learning_rate`, `seed`: which run it is; `command` makes it, `versions` says with what.
- `steps`, `pixels`, `samples` (without copies): what it spent, the mean over its forks if it has any;
  `pixels_of_baseline` is what the baseline spends. `phases` and `forks` hold regime and cost of each part.
- `test`, `validation`, `train`: by size in pixels, `count` images, of which `raw` were right with the running
  batch-norm statistics and `correct` with those calibrated for the size. `multiply_adds`: by size, for one image.
- `history`: loss and accuracy on training batches by epoch, of the phases.
- `seconds`, `cpu_seconds`: of training and of testing; the second are the ones to compare on a busy machine.
- `settings_of_arm`, `about`: what else the run depended on.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import platform
import subprocess
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import keras_mixsize as kms
from evidence.arms import ARMS, BASE, Arm, Sizes
from evidence.budget import baseline
from evidence.phases import Phase, make_phases
from evidence.settings import Data, Setting
from evidence.training import Average, Rates, build, fit

SETTINGS_OF_ARM = ("smoothing", "l2", "decay", "ema", "padding", "by_batch")
CALIBRATION_BATCHES = 64  # about one pass over 4,000 images


@dataclasses.dataclass(frozen=True)
class Run:
    """Which run it is: a row of the grid.

    Attributes:
        setting: name in `SETTINGS`.
        arm: name in `ARMS`.
        learning_rate: the highest of the schedule.
        seed: of weights, order and augmentation.
    """

    setting: str
    arm: str
    learning_rate: float
    seed: int

    @property
    def file(self) -> str:
        """Its file below the folder of results."""
        return f"{self.setting}/{self.arm}/{self.learning_rate:g}_{self.seed}.json"

    @property
    def command(self) -> str:
        """The command that makes it."""
        chosen = f"--settings={self.setting} --arms={self.arm} --rates={self.learning_rate:g} --seeds={self.seed}"
        return f"python experiments/evidence.py run {chosen}"


class Clock:
    """Measures seconds, and seconds of the processor, between one stop and the next."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._last = time.monotonic(), time.process_time()

    def stop(self, name: str) -> None:
        """Add the time since the last stop to `name`."""
        now = time.monotonic(), time.process_time()
        for times, start, end in zip((self.seconds, self.cpu_seconds), self._last, now):
            times[name] = round(times.get(name, 0.0) + end - start, 1)
        self._last = now


# A run


def run_one(run: Run, setting: Setting, data: Data, keep: Callable | None = None) -> dict:
    """Train a run from its seed, test it, and return its result, ready to be written as JSON.

    Args:
        run: which one.
        setting: of the run's name.
        data: what the setting loads.
        keep: called with the tested model and the batches that calibrate it, to keep its weights.
    """
    arm, clock = ARMS[run.arm], Clock()
    keras.utils.clear_session()
    keras.utils.set_random_seed(run.seed)
    make_dataset = functools.partial(_make_dataset, arm, setting, data, run.seed)
    phases, forks = make_phases(arm, setting, make_dataset)
    model = build(arm, setting, data)
    average = Average(model.network, arm.ema) if arm.ema is not None else None
    epoch_steps = max(1, round(phases[-1].last / phases[-1].progress[1] / setting.epochs))

    def train(phase: Phase) -> dict[str, list[float]]:
        callbacks = [Rates(arm, run.learning_rate, phase), *([average] if average else [])]
        return fit(model, phase, epoch_steps, callbacks)

    history = [train(phase) for phase in phases]
    if average:
        average.use()
    clock.stop("train")
    test = functools.partial(evaluate, model, data, make_dataset(Sizes(BASE)), setting.base_size)
    report = _try_forks(model, forks, train, test) if forks else test(list(setting.test_sizes.values()))
    clock.stop("evaluate")
    if keep is not None:
        keep(model, make_dataset(Sizes(BASE)))
    return (
        dataclasses.asdict(run)
        | _cost(arm, setting, phases, forks)
        | report
        | {
            "history": {name: sum((part[name] for part in history), []) for name in history[0]},
            "seconds": clock.seconds,
            "cpu_seconds": clock.cpu_seconds,
            "about": describe(setting, data, model),
            "command": run.command,
            "versions": versions(),
        }
    )


def _make_dataset(arm: Arm, setting: Setting, data: Data, seed: int, sizes: Sizes) -> kms.MixSizeDataset:
    side = data.train.images.shape[1]
    padding = kms.BySize({round(scale * setting.base_size): share * side for scale, share in arm.padding})
    augmentation = kms.PadCropFlip(padding, flip=data.flip)
    regime = sizes.regime(setting.base_size, setting.base_batch)
    return kms.MixSizeDataset.from_source(data.train, regime=regime, seed=seed, augmentation=augmentation)


def _cost(arm: Arm, setting: Setting, phases: list[Phase], forks: dict[int, Phase]) -> dict:
    """Return steps, pixels and samples of the run, in all (the mean over its forks) and by phase."""
    ends = list(forks.values()) or [None]
    paths = [[*phases, *([end] if end else [])] for end in ends]
    totals = {unit: np.mean([sum(p.spent(unit) for p in path) for path in paths]) for unit in ("pixels", "samples")}
    example_count = phases[0].train.plan.num_examples
    fixed = baseline(example_count, setting.epochs, setting.base_size, setting.base_batch, "pixels")
    return {
        "steps": round(np.mean([path[-1].last for path in paths])),
        "pixels": round(totals["pixels"]),
        "samples": round(totals["samples"]),
        "pixels_of_baseline": fixed,
        "settings_of_arm": {name: getattr(arm, name) for name in SETTINGS_OF_ARM},
        "phases": [phase.describe() for phase in phases],
        "forks": {str(size): phase.describe() for size, phase in forks.items()},
    }


# Its accuracy


def evaluate(model, data: Data, calibration: kms.MixSizeDataset, base_size: int, sizes: list[int]) -> dict:
    """Return right answers by size: on test images raw and calibrated, on validation and training images calibrated.

    Args:
        model: trained.
        data: its three sources.
        calibration: training batches.
        base_size: at which training images are tried, if it is among the sizes.
        sizes: in pixels.
    """
    options = {"calibrate": calibration, "batches": CALIBRATION_BATCHES, "latency": False}
    test = kms.evaluate_sizes(model, data.test, sizes, **options)
    validation = kms.evaluate_sizes(model, data.validation, sizes, **options)
    report = {
        "test": {str(row.size): _counts(row, data.test) for row in test.rows},
        "validation": {str(row.size): _counts(row, data.validation) for row in validation.rows},
        "train": {},
        "multiply_adds": {str(row.size): row.multiply_adds for row in test.rows},
    }
    if base_size in sizes:
        (row,) = kms.evaluate_sizes(model, data.train, [base_size], **options).rows
        report["train"][str(base_size)] = _counts(row, data.train)
    return report


def _counts(row, source) -> dict[str, int]:
    count = source.num_examples
    return {
        "count": count,
        "raw": round(row.accuracy.value * count),
        "correct": round(row.calibrated.value * count),
    }


def _try_forks(model, forks: dict[int, Phase], train: Callable, test: Callable) -> dict:
    """Return the report of each fork at its own size; all of them start from the model as it is now."""
    variables = [*model.variables, *model.optimizer.variables]
    before = [variable.numpy() for variable in variables]
    report: dict[str, dict] = {}
    for size, phase in forks.items():
        for variable, value in zip(variables, before):
            variable.assign(value)
        train(phase)
        for name, found in test([size]).items():
            report.setdefault(name, {}).update(found)
    return report


# What it depends on


def describe(setting: Setting, data: Data, model) -> dict:
    """Return what the run's setting was."""
    counts = {name: getattr(data, name).num_examples for name in ("train", "validation", "test")}
    fields = {name: getattr(setting, name) for name in ("base_size", "base_batch", "epochs", "network")}
    picture = {"side": data.train.images.shape[1], "flip": data.flip, "classes": data.classes}
    calibration = {"calibration_batches": CALIBRATION_BATCHES, "parameters": model.network.count_params()}
    return fields | {"images": counts} | picture | calibration


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    found = {"keras_mixsize": kms.__version__, "commit": _commit(), "python": platform.python_version()}
    found |= {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return found | {
        "machine": platform.machine(),
        "threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
    }


def _commit() -> str:
    """Return the library's commit, or `unknown` outside a checkout."""
    folder = pathlib.Path(kms.__file__).parent
    asked = subprocess.run(["git", "-C", folder, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True)
    return asked.stdout.strip() or "unknown"
