"""Measures what `callbacks.Resume` costs while training, and how long a resumed run takes to its first step.

    python benchmarks/resume.py --rounds=0 --output=docs/benchmarks/resume.json       # the cost
    python benchmarks/resume.py --networks= --output=docs/benchmarks/resume.json      # the start; keeps the cost

Cost: a checkpoint is made every 2 W steps. The W steps after it, with the time that training is held for the copy, are
compared with the next W, by which it is written. The difference is what one checkpoint costs, and one a minute slows
training by so many seconds a minute. A whole minute with against one without would differ by less than this machine's
noise.

Start: fresh processes in turns, each from `fit` to the end of its first step: with no checkpoint, with one at step 10,
and with one at step 1,000,000.
"""

import functools
import math
import pathlib
import shutil
import tempfile
import time

import keras
import measuring
import numpy as np
from absl import app, flags
from measuring import Spread, alternate, console, ratios
from step_contenders import mixed

import keras_mixsize as kms

NETWORKS = flags.DEFINE_list(
    "networks", ["resnet44:32:10", "wrn28_10:4:6"], "Each as name:batch:W; none keeps what the file has."
)
PAIRS = flags.DEFINE_integer("pairs", 10, "Checkpoints per network.", lower_bound=3)
START = flags.DEFINE_enum("start", "resnet44", kms.models.names(), "Network of the starts.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Starts of each kind; 0 keeps what the file has.", lower_bound=0)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_resume.json", "File for the figures.")
CHILD = flags.DEFINE_string("child", None, "Folder of the checkpoints of a start that this process measures.")
SAVE_AT = flags.DEFINE_integer("save_at", None, "With --child: end with a checkpoint at this step instead.")
STARTS = {"cold": 0, "step 10": 10, "step 1,000,000": 1_000_000}


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
    """Return a compiled model, made as for CIFAR; its rate is low enough for the widest."""
    return mixed(network, rate=0.01)


def make_data(batch: int) -> kms.MixSizeDataset:
    """Return the embedded data in steps of one shape, so that all steps take the same."""
    return kms.MixSizeDataset.from_embedded("train", regime=kms.Regime.fixed(32, batch))


# The cost of a checkpoint


def measure_cost(network: str, batch: int, window: int) -> dict:
    """Return what one checkpoint costs, from pairs of windows with and without."""
    steps = 2 * window * (PAIRS.value + 1)
    with tempfile.TemporaryDirectory() as directory:
        resume = TimedResume(directory, every_steps=2 * window, every_minutes=None, keep=1)
        noted = Ends(resume)
        make_model(network).fit(make_data(batch), epochs=1, steps_per_epoch=steps, verbose=0, callbacks=[noted, resume])
        size = sum(path.stat().st_size for path in resume.last_checkpoint.iterdir())
    made = range(2 * window, steps, 2 * window)
    check_window(network, window, noted, made)
    about = {"network": network, "batch": batch, "window": window, "state_mib": size / 2**20}
    return (
        about | figures_of(noted, window) | {"held_ms": Spread.quartiles(1000 * resume.held[index] for index in made)}
    )


def check_window(network: str, window: int, noted: Ends, made: range) -> None:
    """Raise a ValueError if a checkpoint was not written within the window after it was made."""
    written = [
        next(i for i in range(index, len(noted.seen)) if noted.seen[i] != noted.seen[index - 1]) for index in made
    ]
    late = max(end - index for index, end in zip(made, written))
    if late >= window:
        raise ValueError(f"networks must give {network} a W above the {late} steps that a write took, got {window}")


def figures_of(noted: Ends, window: int) -> dict:
    """Return the cost of a checkpoint: each window after one against the next without."""
    times = 1000 * np.diff(noted.ends, prepend=np.nan).reshape(-1, window)  # a row per window
    extra = times[2:-1:2].sum(1) - times[3::2].sum(1)
    return {
        "checkpoints": len(extra),
        "step_ms": float(np.median(times[3::2])),
        "cost_ms": Spread.quartiles(extra),
        "standard_error_ms": float(np.std(extra, ddof=1)) / math.sqrt(len(extra)),
        "mean_cost_ms": float(np.mean(extra)),
    }


# Starts


def start_here() -> None:
    """Measure one start in this process, or make the checkpoint to start from."""
    model, data = make_model(START.value), make_data(32)
    resume = kms.callbacks.Resume(CHILD.value, every_steps=10, every_minutes=None)
    noted = Ends(resume)
    stop = StopAt((SAVE_AT.value or resume_step(CHILD.value)) + 1)
    if SAVE_AT.value:
        data = data.starting_at(SAVE_AT.value - 10)
    start = time.perf_counter()
    try:
        model.fit(data, epochs=1, verbose=0, callbacks=[noted, stop, resume])
    except StoppedError:
        measuring.write_part(OUTPUT.value, {"seconds": noted.ends[0] - start, "position": model.position})


def resume_step(directory: str) -> int:
    """Return the step of the checkpoint in a folder, 0 if there is none."""
    found = sorted(pathlib.Path(directory).glob("step-*"))
    return int(found[-1].name.rsplit("-", 1)[1]) if found else 0


def start_apart(saved: pathlib.Path, step: int) -> float:
    """Return the seconds from fit to the end of the first step, of a process with a copy of the checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        used = pathlib.Path(folder, "used")
        if step:
            shutil.copytree(saved, used)
        measured = measuring.measure_apart(f"--child={used}", f"--start={START.value}")
    if measured["position"] != step + 1:
        raise ValueError(f"the start must be at step {step}, got {measured}")
    return measured["seconds"]


def measure_starts() -> dict:
    """Return seconds from fit to the end of the first step, cold and resumed, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        saved = {name: pathlib.Path(folder, str(step)) for name, step in STARTS.items()}
        for name, step in STARTS.items():
            if step:
                measuring.measure_apart(f"--child={saved[name]}", f"--start={START.value}", f"--save_at={step}")
        contenders = {name: functools.partial(start_apart, saved[name], step) for name, step in STARTS.items()}
        seconds = alternate(contenders, ROUNDS.value, watch=measuring.say_turn)
    return {
        "network": START.value,
        "rounds": ROUNDS.value,
        "seconds": {name: Spread.quartiles(values) for name, values in seconds.items()},
        "ratio_to_cold": {name: ratios(values, seconds["cold"]) for name, values in seconds.items()},
    }


def main(_):
    if CHILD.value:
        start_here()
        return
    costs = []
    for network, batch, window in (entry.split(":") for entry in NETWORKS.value):
        costs.append(measure_cost(network, int(batch), int(window)))
        console.print(costs[-1])
    facts = measuring.read_results(OUTPUT.value)
    facts |= {"cost": costs} if costs else {}
    facts |= {"start": measure_starts()} if ROUNDS.value else {}
    measuring.write_results(OUTPUT.value, facts)


if __name__ == "__main__":
    app.run(main)
