"""Measures what `callbacks.Resume` costs while training, and how long a resumed run takes to its first step.

    python experiments/benchmark_resume.py --rounds=0 --output=docs/benchmarks/resume.json       # the cost
    python experiments/benchmark_resume.py --networks= --output=docs/benchmarks/resume.json      # the start; keeps the cost

Cost: a checkpoint is made every 2 W steps. The W steps after it, with the time that training is held for the copy, are compared
with the next W, by which it is written. The difference is what one checkpoint costs, and one a minute slows training
by so many seconds a minute. A whole minute with against one without would differ by less than this machine's noise.

Start: fresh processes in turns, each from `fit` to the end of its first step: with no checkpoint, with one at step 10, and with
one at step 1,000,000.
"""

import json
import math
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import console, replace_file, versions

NETWORKS = flags.DEFINE_list(
    "networks", ["resnet44:32:10", "wrn28_10:4:6"], "Each as name:batch:W; none keeps what the file has."
)
PAIRS = flags.DEFINE_integer("pairs", 10, "Checkpoints per network.", lower_bound=3)
START = flags.DEFINE_enum("start", "resnet44", kms.models.names(), "Network of the starts.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Starts of each kind; 0 keeps what the file has.", lower_bound=0)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_resume.json", "File for the figures.")
CHILD = flags.DEFINE_string("child", None, "Folder of the checkpoints of a start that this process measures.")
SAVE_AT = flags.DEFINE_integer("save_at", None, "With --child: end with a checkpoint at this step instead.")


class TimedResume(kms.callbacks.Resume):
    """A Resume that notes how long each call before a step held the training."""

    held = ()

    def on_train_batch_begin(self, batch, logs=None):
        """Save if it is time to."""
        start = time.perf_counter()
        super().on_train_batch_begin(batch, logs)
        self.held = [*self.held, time.perf_counter() - start]


class Ends(keras.callbacks.Callback):
    """Notes when each step ended, and the newest checkpoint then."""

    def __init__(self, resume):
        super().__init__()
        self.resume, self.ends, self.seen = resume, [], []

    def on_train_batch_end(self, batch, logs=None):
        """Note the time and the checkpoint."""
        self.ends.append(time.perf_counter())
        self.seen.append(str(self.resume.last_checkpoint))


class StoppedError(Exception):
    """A training was stopped on purpose; Keras takes a StopIteration for the end of the data."""


class StopAt(keras.callbacks.Callback):
    """Ends the training before a step of the plan."""

    def __init__(self, position):
        super().__init__()
        self.position = position

    def on_train_batch_begin(self, batch, logs=None):
        """Raise if the step has come."""
        if self.model.position == self.position:
            raise StoppedError(f"at step {self.position}")


def make_model(network: str) -> kms.MixSizeModel:
    """Return a compiled model, made as for CIFAR."""
    model = kms.MixSizeModel(kms.models.build(network, classes=10, channels=1), l2=1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, ["accuracy"])
    return model


def make_data(batch: int) -> kms.MixSizeDataset:
    """Return the embedded data in steps of one shape, so that all steps take the same."""
    return kms.MixSizeDataset.from_embedded("train", regime=kms.Regime.fixed(32, batch))


def quartiles(values) -> list[float]:
    """Return [first quartile, median, third quartile]."""
    return statistics.quantiles(map(float, values), n=4, method="inclusive")


def measure_cost(network: str, batch: int, window: int) -> dict:
    """Return what one checkpoint costs, from pairs of windows with and without."""
    model = make_model(network)
    with tempfile.TemporaryDirectory() as directory:
        resume = TimedResume(directory, every_steps=2 * window, every_minutes=None, keep=1)
        noted = Ends(resume)
        steps = 2 * window * (PAIRS.value + 1)
        data = make_data(batch)
        model.fit(data, epochs=1, steps_per_epoch=steps, verbose=0, callbacks=[noted, resume])
        size = sum(path.stat().st_size for path in resume.last_checkpoint.iterdir())
    times = np.diff(noted.ends, prepend=np.nan).reshape(-1, window)  # a row per window
    extra = [times[row].sum() - times[row + 1].sum() for row in range(2, len(times) - 1, 2)]
    made = [index for index in range(2 * window, steps) if index % (2 * window) == 0]
    written = [next(i for i in range(index, steps) if noted.seen[i] != noted.seen[index - 1]) for index in made]
    late = max(end - index for index, end in zip(made, written))
    if late >= window:
        raise ValueError(f"networks must give {network} a W above the {late} steps that a write took, got {window}")
    usual = float(np.median(times[3::2]))
    return {
        "network": network,
        "batch": batch,
        "window": window,
        "checkpoints": len(extra),
        "state_mib": size / 2**20,
        "step_ms": 1000 * usual,
        "held_ms": quartiles(1000 * np.array([resume.held[index] for index in made])),
        "cost_ms": quartiles(1000 * np.array(extra)),
        "standard_error_ms": 1000 * float(np.std(extra, ddof=1)) / math.sqrt(len(extra)),
        "mean_cost_ms": 1000 * float(np.mean(extra)),
    }


def start_here() -> None:
    """Measure one start in this process, or make the checkpoint to start from, and print the seconds."""
    model, data = make_model(START.value), make_data(32)
    resume = kms.callbacks.Resume(CHILD.value, every_steps=10, every_minutes=None)
    noted = Ends(resume)
    stop = StopAt(SAVE_AT.value + 1 if SAVE_AT.value else (resume_step(CHILD.value) + 1))
    if SAVE_AT.value:
        data = data.starting_at(SAVE_AT.value - 10)
    start = time.perf_counter()
    try:
        model.fit(data, epochs=1, verbose=0, callbacks=[noted, stop, resume])
    except StoppedError:
        print(json.dumps({"seconds": noted.ends[0] - start, "position": model.position}))


def resume_step(directory: str) -> int:
    """Return the step of the checkpoint in a folder, 0 if there is none."""
    found = sorted(pathlib.Path(directory).glob("step-*"))
    return int(found[-1].name.rsplit("-", 1)[1]) if found else 0


def child(directory: pathlib.Path, *flags_: str) -> dict:
    """Run this script in a process of its own and return what it printed."""
    command = [sys.executable, __file__, f"--child={directory}", f"--start={START.value}", *flags_]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_starts() -> dict:
    """Return seconds from fit to the end of the first step, cold and resumed, in turns."""
    kinds = {"cold": 0, "step 10": 10, "step 1,000,000": 1_000_000}
    seconds = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as folder:
        saved = {name: pathlib.Path(folder) / str(step) for name, step in kinds.items()}
        for name, step in kinds.items():
            if step:
                child(saved[name], f"--save_at={step}")
        for turn in range(ROUNDS.value):
            for name, step in kinds.items():
                used = pathlib.Path(folder) / "used"
                if step:
                    shutil.copytree(saved[name], used)
                measured = child(used)
                shutil.rmtree(used)
                if measured["position"] != step + 1:
                    raise ValueError(f"the start must be at step {step}, got {measured}")
                seconds[name].append(measured["seconds"])
            console.print(
                f"turn {turn}: " + ", ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items())
            )
    cold = np.array(seconds["cold"])
    return {
        "network": START.value,
        "rounds": ROUNDS.value,
        "seconds": {name: quartiles(values) for name, values in seconds.items()},
        "ratio_to_cold": {name: quartiles(np.array(values) / cold) for name, values in seconds.items()},
    }


def main(_):
    if CHILD.value:
        return start_here()
    costs = []
    for network, batch, window in (entry.split(":") for entry in NETWORKS.value):
        costs.append(measure_cost(network, int(batch), int(window)))
        console.print(costs[-1])
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    facts = json.loads(output.read_text()) if output.exists() else {}
    facts |= {"cost": costs} if costs else {}
    facts |= {"start": measure_starts()} if ROUNDS.value else {}
    replace_file(output, json.dumps(facts | {"versions": versions()}, indent=1))
    console.print(f"figures in {output}")


if __name__ == "__main__":
    app.run(main)
