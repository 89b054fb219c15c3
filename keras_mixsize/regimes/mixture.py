"""Mixture: buckets with their shares of the steps, which is what a regime and a schedule both are.

Neighbours: `regime` (one stage), `schedule` (several, one after the other), `plan` (draws steps from either).

    Regime.preset("cifar/d+").mean_cost
    Schedule.finish(Regime.preset("cifar/d+")).steps_per_epoch(50_000)
"""

from __future__ import annotations

import abc
import math
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_mixsize.arguments import check_count, is_number
from keras_mixsize.regimes.bucket import Bucket
from keras_mixsize.regimes.by_size import BySize
from keras_mixsize.regimes.table import table

if TYPE_CHECKING:
    from keras_mixsize.regimes.regime import Regime


class Mixture(abc.ABC):
    """Buckets, how often each is used over a run, and what that amounts to.

    Attributes:
        buckets: those of all stages, one stage after the other.
        base: the fixed-size bucket whose cost is the budget of a step.
        stages: the regimes of a run in their order, each with its share of all steps; the shares sum to 1.
    """

    if TYPE_CHECKING:  # each is a field of one subclass and a property of the other

        @property
        def buckets(self) -> tuple[Bucket, ...]: ...

        @property
        def base(self) -> Bucket: ...

        @property
        def stages(self) -> tuple[tuple[float, Regime], ...]: ...

    @property
    @abc.abstractmethod
    def step_shares(self) -> np.ndarray:
        """Expected share of the steps that use each bucket: float64 `[buckets]`, sums to 1."""

    @abc.abstractmethod
    def to_json(self) -> str:
        """Return the regime or schedule as JSON."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The different sizes in pixels, ascending."""
        return tuple(sorted({bucket.size for bucket in self.buckets}))

    @property
    def mean_batch(self) -> float:
        """Expected number of different images in a step."""
        return float(self.step_shares @ [bucket.batch for bucket in self.buckets])

    @property
    def mean_size(self) -> float:
        """Expected size of a step in pixels."""
        return float(self.step_shares @ [bucket.size for bucket in self.buckets])

    @property
    def mean_cost(self) -> float:
        """Expected cost of a step, relative to the base."""
        return float(self.step_shares @ [bucket.cost for bucket in self.buckets]) / self.base.cost

    def steps_per_epoch(self, num_examples: int) -> int:
        """Return the steps after which about `num_examples` samples have been seen, the mean over the run.

        They are at least the buckets of any stage, because each has a step in every epoch.
        """
        check_count("num_examples", num_examples)
        return max(round(num_examples / self.mean_batch), *(len(regime.buckets) for _, regime in self.stages))

    def bounds(self, steps: int) -> tuple[int, ...]:
        """Return the first step of each stage in a run of so many steps, and the step after the last.

        Raises:
            ValueError: a stage's share of the steps is none.
        """
        check_count("steps", steps)
        shares = [share for share, _ in self.stages]
        bounds = [round(math.fsum(shares[:stage]) * steps) for stage in range(len(shares))] + [steps]
        for share, first, end in zip(shares, bounds, bounds[1:]):
            if first >= end:
                raise ValueError(
                    f"stages must have a step each, got the share {share:g} of {steps} steps; use more epochs, or "
                    f"leave "
                    "the stage out"
                )
        return tuple(bounds)

    def table(
        self,
        num_examples: int | None = None,
        epochs: int | None = None,
        by_size: Mapping[str, BySize] = types.MappingProxyType({}),
    ) -> str:
        """Return the regime or schedule as text, a line per bucket of each stage, before anything is trained.

        Args:
            num_examples: number of training examples; adds the steps and the cost of an epoch.
            epochs: of the run; adds, with `num_examples`, the steps of each stage of a schedule.
            by_size: name -> a setting that depends on the size, such as a padding; adds a column for each.

        Returns:
            Columns S, B, D, cost of a step relative to the base, and shares of steps, samples and compute; of a
            schedule for each stage, and the means over the run.
        """
        return table(self, num_examples, epochs, by_size)

    def check_replicas(self, replicas: int) -> None:
        """Raise a ValueError if a bucket's B * D images cannot be split evenly over `replicas`."""
        check_count("replicas", replicas)
        for bucket in self.buckets:
            if bucket.images % replicas:
                raise ValueError(
                    f"B*D must be divisible by the {replicas} replicas in every bucket, got "
                    f"{bucket.batch}*{bucket.duplicates}={bucket.images} at size {bucket.size}; "
                    f"solve the regime with multiple_of={math.lcm(8, replicas)} and a base_batch that it divides"
                )

    def check_workers(self, workers: int) -> None:
        """Raise a ValueError if a bucket's B examples cannot be split evenly over `workers`: each reads its own."""
        check_count("workers", workers)
        for bucket in self.buckets:
            if bucket.batch % workers:
                raise ValueError(
                    f"the batch must be divisible by the {workers} workers in every bucket, got {bucket.batch} at "
                    f"size {bucket.size}; solve the regime with a multiple_of that {workers} divides"
                )

    def usual_seconds(self, seconds: Mapping[Bucket, float]) -> float:
        """Return the time of a step of the base's shape, or else the median over the buckets.

        Args:
            seconds: measured time of a step of every bucket.

        Raises:
            ValueError: a bucket without a time, or a time that is not above 0.
        """
        for bucket in self.buckets:
            if not (is_number(seconds.get(bucket)) and seconds[bucket] > 0):
                raise ValueError(f"seconds must have a time above 0 for bucket {bucket}, got {seconds.get(bucket)!r}")
        shapes = {(bucket.size, bucket.images): seconds[bucket] for bucket in self.buckets}
        median = float(np.median([seconds[bucket] for bucket in self.buckets]))
        return shapes.get((self.base.size, self.base.images), median)


def check_shares(name: str, shares: list[float], part: str) -> None:
    """Raise a ValueError unless the shares are numbers above 0 that sum to 1.

    Args:
        name: what they are called where the user gave them, in the plural.
        shares: what the user gave.
        part: what each is the share of: a size or a stage.
    """
    for share in shares:
        if not is_number(share):
            raise ValueError(f"{name} must be numbers, got {share!r} in {shares}")
        if not share >= 0:
            raise ValueError(f"{name} must not be negative, got {share!r} in {shares}")
    total = math.fsum(shares)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise ValueError(f"{name} must sum to 1, got {shares} with the sum {total:g}")
    if 0 in shares:
        raise ValueError(f"{name} must be above 0, got {shares}; leave the unused {part} out")
