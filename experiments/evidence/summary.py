"""Summary: accuracies of every seed and differences paired by seed, from the files of finished runs.

Neighbours: `grid` (the files), `tables` (which shows it).

    summary = summarize(Results("docs/evidence/runs"), ["glyphs", "fashion4k"])
    summary["settings"]["glyphs"]["arms"]["d+"]["difference"]["16"]       # mean, low, high, by seed, in points
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from evidence.arms import ARMS, Arm
from evidence.grid import FINAL_SEEDS, SEEDS, Results
from evidence.runs import Run

# Student's t at 97.5 % for 1, 2, ... degrees of freedom; Abramowitz and Stegun, table 26.10
T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % t-interval of the mean of 2 to 10 values; None for one value, which says nothing of its spread.

    Source: Student, Biometrika 6 (1908).
    """
    if len(values) < 2:
        return None
    half = T_QUANTILES[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.mean(values)
    return mean - half, mean + half


def spread(by_seed: Mapping[str, float]) -> dict:
    """Return mean, interval and the values by seed, rounded to a hundredth of what a test image changes."""
    values = list(by_seed.values())
    low, high = interval(values) or (None, None)
    found = {"mean": statistics.mean(values), "low": low, "high": high}
    rounded = {name: value if value is None else round(value, 4) for name, value in found.items()}
    return rounded | {"by_seed": {seed: round(value, 4) for seed, value in by_seed.items()}}


def summarize(results: Results, settings: Sequence[str]) -> dict:
    """Return the summary of the settings that have finished runs of the baseline."""
    found = {setting: _setting(results, setting) for setting in settings}
    return {
        "command": "python experiments/evidence.py tables",
        "unit": "percent of test images, calibrated; differences in points, paired by seed; 95 % t-intervals",
        "settings": {setting: summary for setting, summary in found.items() if summary},
    }


def _setting(results: Results, setting: str) -> dict | None:
    """Return the summary of one setting: what it is, its best fixed-size arm, and every arm with a chosen rate."""
    runs = {name: _finished(results, setting, arm) for name, arm in ARMS.items()}
    runs = {name: by_seed for name, by_seed in runs.items() if by_seed}
    if "fixed" not in runs:
        return None
    reference = _reference(runs)
    baseline = {size: _accuracies(runs[reference], size) for size in _sizes(runs[reference])}
    arms = {name: _arm(by_seed, baseline) for name, by_seed in runs.items()}
    about = next(iter(runs["fixed"].values()))["about"]
    return {"about": about, "reference": reference, "arms": arms}


def _finished(results: Results, setting: str, arm: Arm) -> dict[str, dict]:
    """Return the results of an arm at its chosen learning rate by seed; none while the rate is not chosen."""
    rate = results.chosen_rate(setting, arm)
    if rate is None:
        return {}
    found = {str(seed): results.read(Run(setting, arm.name, rate, seed)) for seed in (*SEEDS, *FINAL_SEEDS)}
    return {seed: result for seed, result in found.items() if result is not None}


def _reference(runs: Mapping[str, dict]) -> str:
    """Return the fixed-size arm at the baseline's cost that is best on validation images at the base.

    Arms that have fewer of the first seeds than the baseline would be compared on other seeds; they wait.
    """
    seeds = [str(seed) for seed in SEEDS if str(seed) in runs["fixed"]]
    able = [name for name in runs if ARMS[name].fixed and ARMS[name].cost == 1.0 and set(seeds) <= set(runs[name])]
    return max(able, key=lambda name: statistics.mean(_validation(runs[name][seed]) for seed in seeds))


def _validation(result: dict) -> float:
    row = result["validation"][str(result["about"]["base_size"])]
    return row["correct"] / row["count"]


def _sizes(by_seed: Mapping[str, dict]) -> list[str]:
    return sorted(next(iter(by_seed.values()))["test"], key=int)


def _accuracies(by_seed: Mapping[str, dict], size: str, which: str = "correct") -> dict[str, float]:
    return {seed: 100 * result["test"][size][which] / result["test"][size]["count"] for seed, result in by_seed.items()}


def _arm(by_seed: Mapping[str, dict], baseline: Mapping[str, Mapping[str, float]]) -> dict:
    first = next(iter(by_seed.values()))
    base = str(first["about"]["base_size"])
    accuracy, raw, difference = {}, {}, {}
    for size in _sizes(by_seed):
        values = _accuracies(by_seed, size)
        accuracy[size], raw[size] = spread(values), spread(_accuracies(by_seed, size, "raw"))
        paired = {seed: values[seed] - baseline[size][seed] for seed in values if seed in baseline[size]}
        if paired:
            difference[size] = spread(paired)
    train = {seed: 100 * r["train"][base]["correct"] / r["train"][base]["count"] for seed, r in by_seed.items()}
    return {
        "learning_rate": first["learning_rate"],
        "steps": first["steps"],
        "pixels": first["pixels"],
        "pixels_of_baseline": round(first["pixels"] / first["pixels_of_baseline"], 4),
        "train_cpu_seconds": round(statistics.median(result["cpu_seconds"]["train"] for result in by_seed.values())),
        "train_accuracy": spread(train),
        "accuracy": accuracy,
        "accuracy_uncalibrated": raw,
        "difference": difference,
        "multiply_adds": first["multiply_adds"],
    }
