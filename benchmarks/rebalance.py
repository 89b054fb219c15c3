"""Measures how far pixels are off as a proxy of a step's time, and how well rebalancing corrects it.

    python experiments/benchmark_rebalance.py --output=docs/benchmarks/rebalance.json

The steps of all buckets are timed in turns, then B is changed by `Regime.rebalance`, and the steps are timed again: as many rounds as
asked for. A bucket's time is divided by the mean of all buckets in the same turn, because the machine's own speed drifts; the
spread is the slowest bucket's median over the fastest's, less one. A batch can only come as close to a time as its divisor
allows: by half of it.
"""

import dataclasses
import json
import pathlib
import statistics

import keras
import rich.table
from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import console, replace_file, versions

MODEL = flags.DEFINE_enum("model", "resnet44", kms.models.names(), "Network.")
REGIME = flags.DEFINE_string("regime", "cifar/d+", "Preset.")
ROUNDS = flags.DEFINE_integer("rounds", 1, "Times to rebalance.", lower_bound=1)
TURNS = flags.DEFINE_integer("turns", 40, "Turns in which each bucket is timed.", lower_bound=3)
MULTIPLE = flags.DEFINE_integer("multiple_of", 1, "Divisor of every batch.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_rebalance.json", "File for the figures.")


def make_model() -> kms.MixSizeModel:
    """Return a compiled model."""
    model = kms.MixSizeModel(kms.models.build(MODEL.value, classes=10, channels=1), l2=1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"])
    return model


def measure(model: kms.MixSizeModel, regime: kms.Regime) -> list[dict[kms.Bucket, float]]:
    """Return the time of each bucket's step in seconds, turn by turn."""
    turns = [model.warm_up(regime) for _ in range(TURNS.value)]
    return [{measured.bucket: measured.step_seconds for measured in turn} for turn in turns]


def quartiles(values) -> list[float]:
    """Return [first quartile, median, third quartile]."""
    return statistics.quantiles(values, n=4, method="inclusive")


def facts(regime: kms.Regime, turns: list[dict[kms.Bucket, float]]) -> dict:
    """Return the figures of one round."""
    rows = [
        dataclasses.asdict(bucket)
        | {
            "cost": bucket.cost / regime.base.cost,
            "ms": quartiles(1000 * turn[bucket] for turn in turns),
            "relative": quartiles(turn[bucket] / statistics.mean(turn.values()) for turn in turns),
            "granularity": MULTIPLE.value / bucket.batch / 2,
        }
        for bucket in regime.buckets
    ]
    medians = [row["relative"][1] for row in rows]
    per_pixel = [row["relative"][1] / row["cost"] for row in rows]
    return {
        "buckets": rows,
        "spread": max(medians) / min(medians) - 1,
        "spread_per_pixel": max(per_pixel) / min(per_pixel) - 1,
    }


def show(title: str, figures: dict) -> None:
    """Print one round."""
    table = rich.table.Table(
        "S", "B", "D", "pixels of the base's", "ms", "of the mean", title=f"{title}: spread {figures['spread']:.1%}"
    )
    for row in figures["buckets"]:
        shape = [str(row[name]) for name in ("size", "batch", "duplicates")]
        table.add_row(*shape, f"{row['cost']:.3f}", f"{row['ms'][1]:.1f}", f"{row['relative'][1]:.3f}")
    console.print(table)


def main(_):
    model, regime, rounds = make_model(), kms.Regime.preset(REGIME.value), []
    for number in range(ROUNDS.value + 1):
        rounds.append(facts(regime, measure(model, regime)))
        show("equal pixels" if not number else f"rebalanced {number} x", rounds[-1])
        medians = [row["relative"][1] for row in rounds[-1]["buckets"]]  # shares of a time serve as well as seconds
        regime = regime.rebalance(dict(zip(regime.buckets, medians)), multiple_of=MULTIPLE.value)
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    settings = {"model": MODEL.value, "regime": REGIME.value, "turns": TURNS.value, "multiple_of": MULTIPLE.value}
    replace_file(output, json.dumps(settings | {"versions": versions(), "rounds": rounds}, indent=1))
    console.print(f"figures in {output}")


if __name__ == "__main__":
    app.run(main)
