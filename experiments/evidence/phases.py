"""Phases: an arm's stages in a setting, with the steps at which each begins and ends.

Neighbours: `arms`, `budget`, `training`.

    common, forks = make_phases(ARMS["d+finish"], setting, make_dataset)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

import keras_mixsize as kms
from evidence.arms import Arm, Sizes
from evidence.budget import baseline, choose_lengths, spent
from evidence.settings import Setting


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps with one regime, and where they lie in the run.

    Attributes:
        train: their batches.
        first: step of the run, and of the plan, at which it begins.
        last: step before which it ends.
        progress: shares of the whole run that are done at both.
    """

    train: kms.MixSizeDataset
    first: int
    last: int
    progress: tuple[float, float]

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return self.last - self.first

    def spent(self, unit: str) -> int:
        """Return the pixels or samples of its steps."""
        return spent(self.train.plan, self.first, self.last, unit)

    def describe(self) -> dict:
        """Return its regime and what it spends, as the result holds it."""
        regime = {"regime": str(self.train.plan.regime), "share": self.train.plan.regime.share}
        return regime | {"steps": self.steps, "pixels": self.spent("pixels"), "samples": self.spent("samples")}


def make_phases(
    arm: Arm, setting: Setting, make_dataset: Callable[[Sizes], kms.MixSizeDataset]
) -> tuple[list[Phase], dict[int, Phase]]:
    """Return the phases that follow each other, and by test size in pixels the forks after them, if the arm has any.

    Args:
        arm: its stages and what they may cost.
        setting: the baseline's base size, batch and epochs.
        make_dataset: function from sizes to training batches.
    """
    shares = [stage.share for stage in arm.stages]
    datasets = [make_dataset(stage.sizes) for stage in arm.stages]
    plans = [dataset.plan for dataset in datasets]
    examples = plans[0].num_examples
    budget = arm.cost * baseline(examples, setting.epochs, setting.base_size, setting.base_batch, arm.equal)
    common = min(1.0, sum(shares))
    lengths = choose_lengths(plans, [share / common for share in shares], common * budget, arm.equal)
    edges, done = np.cumsum([0, *lengths]).tolist(), np.cumsum([0.0, *shares]).tolist()
    phases = [Phase(*parts) for parts in zip(datasets, edges, edges[1:], zip(done, done[1:]))]
    if not arm.forks:
        return phases, {}
    left = budget - sum(phase.spent(arm.equal) for phase in phases)
    forks = {}
    for scale, size in setting.test_sizes.items():
        dataset = make_dataset(Sizes(((scale, 1.0),)))
        (steps,) = choose_lengths([dataset.plan], [1.0], left, arm.equal)
        forks[size] = Phase(dataset, edges[-1], edges[-1] + steps, (common, 1.0))
    return phases, forks
