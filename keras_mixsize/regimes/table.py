"""Table: a regime or a schedule as text, a line per bucket, to be read before anything is trained.

Used by `mixture`, as the method `table` of regimes and schedules.

    print(table(Regime.preset("cifar/d+"), num_examples=50_000))
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from keras_mixsize.regimes.bucket import Bucket
    from keras_mixsize.regimes.by_size import BySize
    from keras_mixsize.regimes.mixture import Mixture
    from keras_mixsize.regimes.regime import Regime

_HEADER = "    S     B   D   cost   steps  samples  compute"


def table(
    run: Mixture,
    num_examples: int | None = None,
    epochs: int | None = None,
    by_size: Mapping[str, BySize] = types.MappingProxyType({}),
) -> str:
    """Return the buckets with their shares, the means over steps, and what an epoch takes.

    Of a schedule there is a block of lines for each stage; costs are relative to the base of the whole.

    Args:
        run: what to show, a regime or a schedule.
        num_examples: number of training examples; adds the line on an epoch.
        epochs: of the run; adds, with `num_examples`, the steps of each stage.
        by_size: name -> a setting that depends on the size; adds a column for each.
    """
    steps = None if num_examples is None or epochs is None else epochs * run.steps_per_epoch(num_examples)
    lines = [line for stage in range(len(run.stages)) for line in _stage(run, stage, steps, by_size)]
    if len(run.stages) > 1:
        lines.append(f"whole run{'' if steps is None else f' of {steps} steps'}: {_means(run, run.base)}")
    return "\n".join(lines if num_examples is None else [*lines, _epoch(run, num_examples)])


def _stage(run: Mixture, number: int, steps: int | None, by_size: Mapping[str, BySize]) -> list[str]:
    share, regime = run.stages[number]
    header = _HEADER + "".join(f"  {name}" for name in by_size)
    lines = [header, *_rows(regime, run.base, by_size), _means(regime, run.base)]
    if len(run.stages) == 1:
        return lines
    which = f"stage {number + 1} of {len(run.stages)}: {share:.1%} of the steps"
    if steps is not None:
        first, end = run.bounds(steps)[number : number + 2]
        which += f", {first} to {end - 1}"
    return [which, *lines]


def _rows(regime: Regime, base: Bucket, by_size: Mapping[str, BySize]) -> list[str]:
    costs = np.array([bucket.cost for bucket in regime.buckets], float) / base.cost
    compute = regime.step_shares * costs / (regime.step_shares @ costs)
    columns = zip(regime.buckets, costs, regime.step_shares, regime.sample_shares, compute)
    return [
        f"{bucket.size:5d} {bucket.batch:5d} {bucket.duplicates:3d} {cost:6.3f} "
        f"{of_steps:7.1%} {of_samples:8.1%} {of_compute:8.1%}"
        + "".join(f"  {value(bucket.size):{len(name)}.4g}" for name, value in by_size.items())
        for bucket, cost, of_steps, of_samples, of_compute in columns
    ]


def _means(run: Mixture, base: Bucket) -> str:
    cost = run.mean_cost * run.base.cost / base.cost
    return f"mean size {run.mean_size:.1f} px, mean batch {run.mean_batch:.1f}, mean cost {cost:.3f}"


def _epoch(run: Mixture, num_examples: int) -> str:
    steps = run.steps_per_epoch(num_examples)
    base_steps = num_examples / run.base.batch
    return (
        f"{steps} steps per epoch of {num_examples} examples (base: {base_steps:.0f}), "
        f"epoch cost {steps * run.mean_cost / base_steps:.3f} of the base's"
    )
