"""Measures how far pixels are off as a proxy of a step's time, and how well rebalancing corrects it.

    python benchmarks/rebalance.py --output=docs/benchmarks/rebalance.json

The steps of all buckets are timed in turns, then B is changed by `Regime.rebalance`, and the steps are timed again: as
many rounds as asked for. A bucket's time is divided by the mean of all buckets in the same turn, because the machine's
own speed drifts; the spread is the slowest bucket's median over the fastest's, less one. A batch can only come as close
to a time as its divisor allows: by half of it.
"""

import dataclasses
import statistics

from absl import app, flags
from measuring import Spread, show_table, write_results
from step_contenders import mixed

import keras_mixsize as kms

MODEL = flags.DEFINE_enum("model", "resnet44", kms.models.names(), "Network.")
REGIME = flags.DEFINE_string("regime", "cifar/d+", "Preset.")
ROUNDS = flags.DEFINE_integer("rounds", 1, "Times to rebalance.", lower_bound=1)
TURNS = flags.DEFINE_integer("turns", 40, "Turns in which each bucket is timed.", lower_bound=3)
MULTIPLE = flags.DEFINE_integer("multiple_of", 1, "Divisor of every batch.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_rebalance.json", "File for the figures.")


def measure(model: kms.MixSizeModel, regime: kms.Regime) -> list[dict[kms.Bucket, float]]:
    """Return the time of each bucket's step in seconds, turn by turn."""
    turns = [model.warm_up(regime) for _ in range(TURNS.value)]
    return [{measured.bucket: measured.step_seconds for measured in turn} for turn in turns]


def figures_of(regime: kms.Regime, turns: list[dict[kms.Bucket, float]]) -> dict:
    """Return the figures of one round."""
    rows = [
        dataclasses.asdict(bucket)
        | {
            "cost": bucket.cost / regime.base.cost,
            "ms": Spread.quartiles(1000 * turn[bucket] for turn in turns),
            "relative": Spread.quartiles(turn[bucket] / statistics.mean(turn.values()) for turn in turns),
            "granularity": MULTIPLE.value / bucket.batch / 2,
        }
        for bucket in regime.buckets
    ]
    medians = [row["relative"].median for row in rows]
    per_pixel = [median / row["cost"] for median, row in zip(medians, rows)]
    return {
        "buckets": rows,
        "spread": max(medians) / min(medians) - 1,
        "spread_per_pixel": max(per_pixel) / min(per_pixel) - 1,
    }


def show(title: str, figures: dict) -> None:
    """Print one round."""
    header, rows = ["S", "B", "D", "pixels of the base's", "ms", "of the mean"], []
    for row in figures["buckets"]:
        shape = [str(row[name]) for name in ("size", "batch", "duplicates")]
        rows.append([*shape, f"{row['cost']:.3f}", row["ms"].text(1), row["relative"].text()])
    show_table(f"{title}: spread {figures['spread']:.1%}", header, rows)


def main(_):
    model, regime, rounds = mixed(MODEL.value), kms.Regime.preset(REGIME.value), []
    for number in range(ROUNDS.value + 1):
        rounds.append(figures_of(regime, measure(model, regime)))
        show("equal pixels" if not number else f"rebalanced {number} x", rounds[-1])
        medians = [row["relative"].median for row in rounds[-1]["buckets"]]  # shares of a time serve as well as seconds
        regime = regime.rebalance(dict(zip(regime.buckets, medians)), multiple_of=MULTIPLE.value)
    settings = {"model": MODEL.value, "regime": REGIME.value, "turns": TURNS.value, "multiple_of": MULTIPLE.value}
    write_results(OUTPUT.value, settings | {"rounds": rounds})


if __name__ == "__main__":
    app.run(main)
