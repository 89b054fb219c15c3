"""Arms: every way to train that the evidence compares, as plain data.

Neighbours: `budget` (for how many steps), `runs` (trains them). Sizes are relative to the base, so an arm is the same
at 16 px and at 32 px. A new arm is one entry of `ARMS`; a name says what it adds to what: `d+finish_ema` is D+ whose
last fifth is at the base, with averaged weights.

    ARMS["d+finish"].stages[0].sizes.regime(base_size=16, base_batch=64)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras_mixsize as kms

MIXED = ((1.0, 0.3), (1.5, 0.2), (0.75, 0.3), (0.5, 0.2))  # the paper's sizes on CIFAR, as (size / base, share)
BASE = ((1.0, 1.0),)
TEST_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5)
RATES = (0.1, 0.2)  # to begin with; the grid goes on beyond the better one
ALL_RATES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """A regime relative to the base size S0 and its batch B0.

    Attributes:
        shares: pairs of (size / S0, probability).
        grow: of `Regime.solve`; or `"constant"`, B0 images at every size, larger ones included.
        share: of `Regime.solve`.
        rounding: of `Regime.solve`.
        duplicates: copies per image at the base, which then takes B0 / duplicates different images.
    """

    shares: tuple[tuple[float, float], ...] = MIXED
    grow: str = "constant"
    share: str = "steps"
    rounding: str = "within_budget"
    duplicates: int = 1

    def regime(self, base_size: int, base_batch: int) -> kms.Regime:
        """Return the regime for a base size in pixels and its batch."""
        sizes = {round(scale * base_size): probability for scale, probability in self.shares}
        batch = base_batch // self.duplicates
        if self.grow == "constant":
            buckets = (kms.Bucket(size, batch, self.duplicates, probability) for size, probability in sizes.items())
            return kms.Regime(tuple(buckets), share=self.share)
        options = {"grow": self.grow, "share": self.share, "rounding": self.rounding}
        return kms.Regime.solve(sizes, base_size, batch, self.duplicates, **options)


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the run with one regime.

    Attributes:
        share: of all steps, in (0, 1].
        sizes: the regime.
    """

    share: float
    sizes: Sizes


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: of its folder of results.
        stages: one after the other; their shares sum to 1, or to less where `forks` holds the rest.
        fixed: trained at one size that does not depend on the test size: a baseline.
        forks: at the end, for each test size on its own, the rest of the budget is spent at that size (FixRes).
        smoothing: momentum of the gradient smoothing, or None.
        l2: strength of the weight decay.
        decay: `"cosine"`, or `"steps"` as the paper's ResNet-44.
        ema: momentum of the averaged weights that are tested, or None to test the last ones.
        equal: what is as in the baseline: `"pixels"`, or `"samples"` (equal epochs).
        cost: share of the baseline's pixels or samples.
        rates: learning rates to begin the choice with, of `ALL_RATES`.
        padding: pairs of (size / S0, padding as a share of a picture's side), with straight lines between them; the
            same at every size unless there are several.
        by_batch: power of B / B0 by which each step's learning rate is multiplied: 0, 0.5 or 1.
    """

    name: str
    stages: tuple[Stage, ...]
    fixed: bool = False
    forks: bool = False
    smoothing: float | None = 0.9
    l2: float = 5e-4
    decay: str = "cosine"
    ema: float | None = None
    equal: str = "pixels"
    cost: float = 1.0
    rates: tuple[float, ...] = RATES
    padding: tuple[tuple[float, float], ...] = ((1.0, 1 / 8),)
    by_batch: float = 0.0


def fixed(name: str, sizes: Sizes = Sizes(BASE), **options) -> Arm:
    """Return an arm of one size, without smoothing, which the authors use for mixed sizes only."""
    return Arm(name, (Stage(1.0, sizes),), smoothing=None, fixed=True, **options)


def mixed(name: str, grow: str, share: str = "steps", *, finish: float = 0.0, **options) -> Arm:
    """Return an arm of the paper's sizes, whose last steps, a share `finish` of all, are at the base."""
    stages = [Stage(1.0 - finish, Sizes(grow=grow, share=share))] + [Stage(finish, Sizes(BASE))] * (finish > 0)
    return Arm(name, tuple(stages), **options)


FINISH = 0.2
EMA = 0.995  # over 200 steps, about a twentieth of a run
GROWING_PADDING = ((0.5, 1 / 16), (1.5, 3 / 16))  # an eighth at the base, as everywhere
GROW = {"b+": "batch", "d+": "duplicates", "bd+": "both"}
_PAPER = {"share": "samples", "rounding": "nearest"}
_GROWING = (Stage(0.25, Sizes(((0.5, 1.0),))), Stage(0.25, Sizes(((0.75, 1.0),))), Stage(0.5, Sizes(BASE)))

CORE = (
    fixed("fixed"),
    mixed("d+", "duplicates"),
    mixed("b+", "batch"),
    mixed("d+finish", "duplicates", finish=FINISH),
    mixed("b+finish", "batch", finish=FINISH),
)
OTHERS = (
    fixed("fixed_d2", Sizes(BASE, duplicates=2)),  # as many pixels a step as `fixed`, of half as many images
    Arm("finetuned", (Stage(1.0 - FINISH, Sizes(BASE)),), smoothing=None, forks=True),
    mixed("random_size", "constant"),
    Arm("progressive", _GROWING, smoothing=None),
    mixed("bd+", "both"),
    mixed("bd+finish", "both", finish=FINISH),
    fixed("fixed_ema", ema=EMA),
    mixed("d+ema", "duplicates", ema=EMA),
    mixed("b+ema", "batch", ema=EMA),
    mixed("d+finish_ema", "duplicates", finish=FINISH, ema=EMA),
    mixed("b+finish_ema", "batch", finish=FINISH, ema=EMA),
    *(
        Arm(f"paper_{mode}", (Stage(1.0, Sizes(grow=GROW[mode], **_PAPER)),), l2=1e-4, decay="steps")
        for mode in ("d+", "b+")
    ),
    # regularisation by size, and the learning rate by the batch
    *(mixed(f"{mode}padding", GROW[mode], padding=GROWING_PADDING) for mode in ("d+", "b+")),
    mixed("d+finish_padding", "duplicates", finish=FINISH, padding=GROWING_PADDING),
    mixed("b+sqrt", "batch", by_batch=0.5),
    mixed("b+linear", "batch", by_batch=1.0),
    # equal epochs instead of equal pixels
    *(mixed(f"{mode}epochs", GROW[mode], equal="samples") for mode in ("d+", "b+")),
    mixed("b+finish_epochs", "batch", finish=FINISH, equal="samples"),
    # one ingredient taken away
    *(mixed(f"{mode}unsmoothed", GROW[mode], smoothing=None) for mode in ("d+", "b+")),
    # at most 0.6 of the cost
    fixed("fixed_cheap", cost=0.6),
    mixed("b+finish_cheap", "batch", finish=FINISH, cost=0.6),
    *(mixed(f"{mode}samples", grow, "samples") for mode, grow in GROW.items()),
    *(mixed(f"{mode}samples_finish", grow, "samples", finish=FINISH) for mode, grow in GROW.items()),
)
ARMS: Mapping[str, Arm] = {arm.name: arm for arm in (*CORE, *OTHERS)}
