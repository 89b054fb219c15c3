"""Budget: for how many steps an arm trains, so that it costs what the baseline does.

Pure functions of regimes and plans. Neighbours: `arms`, `runs`.

    lengths = choose_lengths(plans, shares=[0.8, 0.2], budget=60_000_000, unit="pixels")       # steps of each stage
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import keras_mixsize as kms

SPENT = {"pixels": lambda bucket: bucket.cost, "samples": lambda bucket: bucket.batch}


def spent(plan: kms.Plan, first: int, last: int, unit: str) -> int:
    """Return the pixels, or samples without their copies, of a plan's steps from `first` up to `last`."""
    each = np.array([SPENT[unit](bucket) for bucket in plan.regime.buckets], np.int64)
    return int(each[plan.buckets(np.arange(first, last))].sum())


def baseline(num_examples: int, epochs: int, base_size: int, base_batch: int, unit: str) -> int:
    """Return what training at the base size spends: pixels or samples of all its steps."""
    plan = kms.Plan(kms.Regime.fixed(base_size, base_batch), num_examples)
    return spent(plan, 0, epochs * plan.steps_per_epoch, unit)


def choose_lengths(plans: Sequence[kms.Plan], shares: Sequence[float], budget: float, unit: str) -> list[int]:
    """Return the steps of each stage whose sum spends what comes closest to the budget.

    Args:
        plans: of the stages. Stage i takes its plan's steps from where the stages before it end.
        shares: of the steps; they sum to 1.
        budget: pixels or samples.
        unit: `"pixels"` or `"samples"`.
    """
    each = [np.array([SPENT[unit](bucket) for bucket in plan.regime.buckets], np.int64) for plan in plans]
    means = [plan.regime.step_shares @ costs for plan, costs in zip(plans, each)]
    expected = budget / np.dot(shares, means)
    margin = max(0.05 * expected, 4)
    totals = np.arange(max(len(plans), int(expected - margin)), int(expected + margin) + 2)
    edges = np.rint(np.cumsum([0.0, *shares])[:, None] * totals).astype(np.int64)
    steps = np.arange(totals[-1])
    sums = [np.concatenate([[0], np.cumsum(costs[plan.buckets(steps)])]) for plan, costs in zip(plans, each)]
    whole = sum(stage[end] - stage[start] for stage, start, end in zip(sums, edges, edges[1:]))
    return np.diff(edges[:, np.argmin(abs(whole - budget))]).tolist()
