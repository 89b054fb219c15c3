"""Compares two workers, a core each, with one process on one core and on two: the same global batches, in turns.

    python benchmarks/workers.py --output=docs/benchmarks/workers.json

Every turn starts the processes anew, traces every bucket first, and times the steps of `fit` after that. Efficiency is
what two workers reach of twice the speed of one.
"""

import functools
import json
import os
import subprocess
import sys
import time

import keras
import tensorflow as tf
from absl import app, flags
from measuring import Spread, alternate, console, say_turn, write_results
from step_contenders import mixed

import keras_mixsize as kms

NETWORK = flags.DEFINE_enum("network", "resnet44", kms.models.names(), "Network.")
BATCH = flags.DEFINE_integer("batch", 32, "Base batch at 32 px.", lower_bound=4)
STEPS = flags.DEFINE_integer("steps", 40, "Steps timed in a turn.", lower_bound=4)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_workers.json", "File for the figures.")
CORES = flags.DEFINE_integer("cores", None, "Be a process that trains on so many cores.")

ONE, TWO, BOTH = "one worker, one core", "two workers, one core each", "one worker, two cores"
SETUPS = {ONE: (1, 1), TWO: (2, 1), BOTH: (1, 2)}  # workers, and cores of each


class Clock(keras.callbacks.Callback):
    """Notes when each step ended."""

    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        """Note the time."""
        self.times.append(time.perf_counter())


def train_here() -> None:
    """Train on this process's cores and print the seconds that a step took."""
    strategy = (
        tf.distribute.MultiWorkerMirroredStrategy() if "TF_CONFIG" in os.environ else tf.distribute.get_strategy()
    )
    train = kms.MixSizeDataset.from_embedded(regime=regime())
    with strategy.scope():
        model = mixed(NETWORK.value)
    model.warm_up(train)
    clock = Clock()
    model.fit(train, epochs=1, steps_per_epoch=STEPS.value + 2, callbacks=[clock], verbose=0)
    print(json.dumps((clock.times[-1] - clock.times[1]) / STEPS.value))


def regime() -> kms.Regime:
    """Return what all of them train with."""
    return kms.Regime.preset("cifar/b+", base_batch=BATCH.value)


def seconds_per_step(workers: int, cores: int) -> float:
    """Return the mean seconds of a step of so many workers on so many cores each."""
    command = [sys.executable, __file__, f"--cores={cores}", f"--network={NETWORK.value}"]
    command += [f"--batch={BATCH.value}", f"--steps={STEPS.value}"]
    if workers > 1:
        command = [sys.executable, "-m", "keras_mixsize", "launch", f"--workers={workers}", "--pin", "--", *command]
    own = sorted(os.sched_getaffinity(0))[: workers * cores]
    options = {"capture_output": True, "text": True, "preexec_fn": lambda: os.sched_setaffinity(0, own)}
    done = subprocess.run(command, timeout=900, **options)
    if done.returncode:
        raise RuntimeError(f"a worker failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("[0] ") or workers == 1]
    return float(lines[-1].removeprefix("[0] "))


def efficiency(alone: list[float], together: list[float]) -> Spread:
    """Return what two cores reach of twice the speed of one, turn by turn."""
    return Spread.extremes(one / (2 * two) for one, two in zip(alone, together))


def main(_):
    if CORES.value is not None:
        train_here()
        return
    if len(os.sched_getaffinity(0)) < 2:
        raise app.UsageError("this benchmark needs two cores")
    contenders = {name: functools.partial(seconds_per_step, *setup) for name, setup in SETUPS.items()}
    seconds = alternate(contenders, ROUNDS.value, watch=say_turn)
    settings = {"network": NETWORK.value, "regime": str(regime()), "steps": STEPS.value, "rounds": ROUNDS.value}
    results = settings | {
        "seconds": {name: Spread.extremes(times) for name, times in seconds.items()},
        "efficiency": efficiency(seconds[ONE], seconds[TWO]),
        "efficiency_of_threads": efficiency(seconds[ONE], seconds[BOTH]),
    }
    console.print(results)
    write_results(OUTPUT.value, results)


if __name__ == "__main__":
    app.run(main)
