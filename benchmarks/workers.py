"""Compares two workers, a core each, with one process on one core and on two: the same global batches, in turns.

python experiments/benchmark_workers.py --output=docs/benchmarks/workers.json

Every turn starts the processes anew, traces every bucket first, and times the steps of `fit` after that. Efficiency is what
two workers reach of twice the speed of one.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import keras
import tensorflow as tf
from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import replace_file, versions

NETWORK = flags.DEFINE_enum("network", "resnet44", kms.models.names(), "Network.")
BATCH = flags.DEFINE_integer("batch", 32, "Base batch at 32 px.", lower_bound=4)
STEPS = flags.DEFINE_integer("steps", 40, "Steps timed in a turn.", lower_bound=4)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", None, "JSON file for the results.")
CORES = flags.DEFINE_integer("cores", None, "Be a process that trains on so many cores.")

LAUNCH = pathlib.Path(__file__).parents[1] / "experiments" / "launch.py"
SETUPS = {"one worker, one core": (1, 1), "two workers, one core each": (2, 2), "one worker, two cores": (1, 2)}


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
    regime = kms.Regime.preset("cifar/b+", base_batch=BATCH.value)
    train = kms.MixSizeDataset.from_embedded(regime=regime)
    with strategy.scope():
        model = kms.MixSizeModel.from_model(kms.models.build(NETWORK.value, classes=10, channels=1), l2=1e-4)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"])
    model.warm_up(train)
    clock = Clock()
    model.fit(train, epochs=1, steps_per_epoch=STEPS.value + 2, callbacks=[clock], verbose=0)
    print(json.dumps((clock.times[-1] - clock.times[1]) / STEPS.value))


def seconds_per_step(workers: int, cores: int) -> float:
    """Return the mean seconds of a step of so many workers on so many cores together."""
    command = [sys.executable, __file__, f"--cores={cores}", f"--network={NETWORK.value}"]
    command += [f"--batch={BATCH.value}", f"--steps={STEPS.value}"]
    if workers > 1:
        command = [sys.executable, str(LAUNCH), f"--workers={workers}", "--pin", "--", *command]
    own = sorted(os.sched_getaffinity(0))[:cores]
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, own), timeout=900
    )
    if done.returncode:
        raise RuntimeError(f"a worker failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("[0] ") or workers == 1]
    return float(lines[-1].removeprefix("[0] "))


def spread(values: list[float]) -> list[float]:
    """Return the least, the median and the greatest."""
    return [min(values), statistics.median(values), max(values)]


def main(_):
    if CORES.value is not None:
        train_here()
        return
    if len(os.sched_getaffinity(0)) < 2:
        raise app.UsageError("this benchmark needs two cores")
    seconds = {name: [] for name in SETUPS}
    for turn in range(ROUNDS.value):
        for name, setup in SETUPS.items():
            seconds[name].append(seconds_per_step(*setup))
        print(f"turn {turn + 1}: " + ", ".join(f"{name} {times[-1]:.3f} s" for name, times in seconds.items()))
    one, two, both = seconds.values()
    results = {
        "command": " ".join(["python", f"benchmarks/{pathlib.Path(__file__).name}", *sys.argv[1:]]),
        "versions": versions(),
        "network": NETWORK.value,
        "regime": str(kms.Regime.preset("cifar/b+", base_batch=BATCH.value)),
        "steps": STEPS.value,
        "rounds": ROUNDS.value,
        "seconds": {name: spread(times) for name, times in seconds.items()},
        "efficiency": spread([alone / (2 * together) for alone, together in zip(one, two)]),
        "efficiency_of_threads": spread([alone / (2 * together) for alone, together in zip(one, both)]),
    }
    print(json.dumps(results, indent=1))
    if OUTPUT.value:
        replace_file(pathlib.Path(OUTPUT.value), json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
