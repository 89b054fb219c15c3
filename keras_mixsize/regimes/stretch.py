"""Stretch: steps of a run in blocks, in each of which every bucket has its whole number of steps.

A stage of a schedule is a stretch of blocks as long as an epoch, and a block for what is left of it. Used by `plan`,
which shuffles each block, and by `input.drawing`. Neighbour: `mixture`, whose stages are cut here.

    run = Schedule.parse("0.5*32x64x1:0.5,16x256x1:0.5; 0.5*32x64x1:1")
    [stretch.start for stretch in stretches_of(run, block_steps=100, epochs=3)]     # [0, 100, 150, 250, 300]
"""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_mixsize.regimes.hashing import WORD
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.regime import Regime


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Blocks of equal length, one after the other; they end where the next stretch starts, the last stretch's never.

    Attributes:
        regime: of all its steps.
        start: its first step.
        block_steps: steps of a block.
        first_block: number of its first block; blocks are counted over the whole run.
        first_bucket: index of the regime's first bucket among those of all stages.
    """

    regime: Regime
    start: int
    block_steps: int
    first_block: int
    first_bucket: int

    @property
    def counts(self) -> np.ndarray:
        """Steps of each of the regime's buckets in a block: int64 `[buckets]`."""
        return apportion(self.regime.step_shares, self.block_steps)

    @property
    def block_samples(self) -> int:
        """Samples that the steps of a block take."""
        return int(self.counts @ [bucket.batch for bucket in self.regime.buckets])

    def edges(self, sampling: str) -> np.ndarray:
        """Return the upper bounds, last one excluded, that cut a step's draw into buckets: int64 `[buckets - 1]`.

        Args:
            sampling: `"shuffled"` draws a place in the block, `"independent"` a 32-bit word.
        """
        if sampling == "independent":
            return (np.cumsum(self.regime.step_shares)[:-1] * WORD).astype(np.int64)
        return np.cumsum(self.counts)[:-1]


def stretches_of(run: Mixture, block_steps: int, epochs: int | None) -> tuple[Stretch, ...]:
    """Return the stretches of a run in their order, the last one without an end.

    Args:
        run: its stages' shares are of all steps.
        block_steps: steps of a block and of an epoch.
        epochs: of the run. A single regime needs none, because nothing changes at its end.
    """
    stages = run.stages
    bounds = run.bounds(block_steps * (epochs or 0)) if len(stages) > 1 else (0, 0)
    found: list[Stretch] = []
    block = bucket = 0
    for (_, regime), first, end in zip(stages, bounds, bounds[1:]):
        blocks, rest = divmod(end - first, block_steps)
        if blocks:
            found.append(Stretch(regime, first, block_steps, block, bucket))
        if rest:
            found.append(Stretch(regime, end - rest, rest, block + blocks, bucket))
        block += blocks + bool(rest)
        bucket += len(regime.buckets)
    last = stages[-1][1]
    return (*found, Stretch(last, bounds[-1], block_steps, block, bucket - len(last.buckets)))


def apportion(shares: np.ndarray, steps: int) -> np.ndarray:
    """Return whole steps per bucket that sum to `steps`: largest remainder, one step at least if there are enough.

    Args:
        shares: float64 `[buckets]`, sums to 1.
        steps: to divide.

    Source: the method of Hamilton for seats in proportion to votes.
    """
    least = int(steps >= len(shares))
    spare = steps - least * len(shares)
    wanted = np.maximum(shares * steps - least, 0)
    if wanted.sum() > 0:
        wanted *= spare / wanted.sum()
    counts = np.floor(wanted + 1e-9).astype(np.int64)
    missing = spare - counts.sum()
    counts[np.argsort(counts - wanted, kind="stable")[:missing]] += 1
    return counts + least
