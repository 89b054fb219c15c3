"""Measures how far pixels are off as a proxy of a step's time, and how well rebalancing corrects it.

    python experiments/benchmark_rebalance.py --output=docs/benchmarks/rebalance.json

The steps of all buckets are timed in turns, then B is changed by `Regime.rebalance`, and the steps are timed again: as many rounds as
asked for. The spread is the slowest bucket's median over the fastest's, less one.
"""

import dataclasses
import json
import pathlib
import statistics

import keras
import rich.table
from absl import app, flags

import keras_mixsize as kms
from one_run import console, replace_file, versions

MODEL = flags.DEFINE_enum("model", "resnet14", kms.models.names(), "Network.")
REGIME = flags.DEFINE_string("regime", "cifar/d+", "Preset.")
ROUNDS = flags.DEFINE_integer("rounds", 2, "Times to rebalance.", lower_bound=1)
TURNS = flags.DEFINE_integer("turns", 7, "Turns in which each bucket is timed.", lower_bound=3)
MULTIPLE = flags.DEFINE_integer("multiple_of", 2, "Divisor of every batch.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_rebalance.json", "File for the figures.")


def make_model() -> kms.MixSizeModel:
    """Return a compiled model."""
    model = kms.MixSizeModel(kms.models.build(MODEL.value, classes=10, channels=1), l2=1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"])
    return model


def measure(model: kms.MixSizeModel, regime: kms.Regime) -> dict[kms.Bucket, float]:
    """Return the median time of each bucket's step in seconds; turns go over all buckets, so that drift hits all alike."""
    turns = [model.warm_up(regime, repeats=3) for _ in range(TURNS.value)]
    times = {}
    for measured in (item for turn in turns for item in turn):
        times.setdefault(measured.bucket, []).append(measured.step_seconds)
    return {bucket: statistics.median(values) for bucket, values in times.items()}


def facts(regime: kms.Regime, seconds: dict[kms.Bucket, float]) -> dict:
    """Return the figures of one round."""
    rows = [
        dataclasses.asdict(bucket) | {"cost": bucket.cost / regime.base.cost, "ms": 1000 * seconds[bucket]}
        for bucket in regime.buckets
    ]
    per_pixel = [row["ms"] / row["cost"] for row in rows]
    spread = max(seconds.values()) / min(seconds.values()) - 1
    return {"buckets": rows, "spread": spread, "spread_per_pixel": max(per_pixel) / min(per_pixel) - 1}


def show(title: str, figures: dict) -> None:
    """Print one round."""
    table = rich.table.Table(
        "S", "B", "D", "pixels of the base's", "ms", title=f"{title}: spread {figures['spread']:.1%}"
    )
    for row in figures["buckets"]:
        shape = [str(row[name]) for name in ("size", "batch", "duplicates")]
        table.add_row(*shape, f"{row['cost']:.3f}", f"{row['ms']:.1f}")
    console.print(table)


def main(_):
    model, regime, rounds = make_model(), kms.Regime.preset(REGIME.value), []
    for number in range(ROUNDS.value + 1):
        seconds = measure(model, regime)
        rounds.append(facts(regime, seconds))
        show("equal pixels" if not number else f"rebalanced {number} x", rounds[-1])
        regime = regime.rebalance(seconds, multiple_of=MULTIPLE.value)
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    settings = {"model": MODEL.value, "regime": REGIME.value, "turns": TURNS.value, "multiple_of": MULTIPLE.value}
    replace_file(output, json.dumps(settings | {"versions": versions(), "rounds": rounds}, indent=1))
    console.print(f"figures in {output}")


if __name__ == "__main__":
    app.run(main)
