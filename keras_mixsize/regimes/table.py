"""Table: a regime as text, a line per bucket, to be read before anything is trained.

Used by `regime`, as `Regime.table`.

    print(table(Regime.preset("cifar/d+"), num_examples=50_000))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from keras_mixsize.regimes.regime import Regime

_HEADER = "    S     B   D   cost   steps  samples  compute"


def table(regime: Regime, num_examples: int | None = None) -> str:
    """Return the regime's buckets with their shares, the means over steps, and what an epoch takes.

    Args:
        regime: what to show.
        num_examples: number of training examples; adds the line on an epoch.
    """
    lines = [_HEADER, *_rows(regime), _means(regime)]
    return "\n".join(lines if num_examples is None else [*lines, _epoch(regime, num_examples)])


def _rows(regime: Regime) -> list[str]:
    costs = np.array([bucket.cost for bucket in regime.buckets], float) / regime.base.cost
    compute = regime.step_shares * costs / (regime.step_shares @ costs)
    columns = zip(regime.buckets, costs, regime.step_shares, regime.sample_shares, compute)
    return [
        f"{bucket.size:5d} {bucket.batch:5d} {bucket.duplicates:3d} {cost:6.3f} "
        f"{of_steps:7.1%} {of_samples:8.1%} {of_compute:8.1%}"
        for bucket, cost, of_steps, of_samples, of_compute in columns
    ]


def _means(regime: Regime) -> str:
    return f"mean size {regime.mean_size:.1f} px, mean batch {regime.mean_batch:.1f}, mean cost {regime.mean_cost:.3f}"


def _epoch(regime: Regime, num_examples: int) -> str:
    steps = regime.steps_per_epoch(num_examples)
    base_steps = num_examples / regime.base.batch
    return (
        f"{steps} steps per epoch of {num_examples} examples (base: {base_steps:.0f}), "
        f"epoch cost {steps * regime.mean_cost / base_steps:.3f} of the base's"
    )
