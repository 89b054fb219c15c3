"""Regime: which image sizes a training run uses, how often, and with what batch and duplicates.

A regime is a closed list of buckets: every shape that the trainer will ever see is in it. NumPy only. Neighbours:
`solving` (batch and duplicates of a size), `notation` (its text), `presets` (the named ones), `mixture` (its
means, checks and table, which a `schedule` of several regimes shares), `plan` (draws steps from it).

    regime = Regime.solve({32: .3, 48: .2, 24: .3, 16: .2}, base_size=32, base_batch=64, grow="duplicates")
    print(regime.table(num_examples=50_000))
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mixsize.arguments import check_choice, check_count
from keras_mixsize.regimes import presets
from keras_mixsize.regimes.bucket import Bucket
from keras_mixsize.regimes.mixture import Mixture, check_shares
from keras_mixsize.regimes.notation import gives_batch, shapes_of
from keras_mixsize.regimes.solving import GROW, fit_nearest, fit_within_budget, stretched

SHARE = ("steps", "samples")
ROUNDING = ("within_budget", "nearest")


_COSTLIEST: Any = None  # stands for the costliest bucket until `Regime.__post_init__` puts that there


@dataclasses.dataclass(frozen=True)
class Regime(Mixture):
    """A discrete distribution over buckets, all of about the same cost.

    Attributes:
        buckets: the buckets, in the order given; sizes may repeat with other B and D.
        share: what the probabilities are shares of: `"steps"` (p is the probability that a step uses the bucket) or
            `"samples"` (p is the bucket's share of an epoch's samples, the rule of the authors' code).
        base: the fixed-size bucket whose cost is the budget; the costliest bucket unless given.
        rounding: `"within_budget"` (no bucket costs more than the base) or `"nearest"` (buckets may).

    Raises:
        ValueError: probabilities that do not sum to 1, a bucket above the budget, no bucket, unknown choices.

    Source: Hoffer et al., "Mix & Match", arXiv 1908.08986.
    """

    buckets: tuple[Bucket, ...]
    share: str = "steps"
    base: Bucket = _COSTLIEST
    rounding: str = "within_budget"

    def __post_init__(self):
        if not isinstance(self.buckets, (list, tuple)) or not all(isinstance(b, Bucket) for b in self.buckets):
            raise ValueError(f"buckets must be a list of Bucket, got {self.buckets!r}")
        if not self.buckets:
            raise ValueError("buckets must hold at least one Bucket, got none")
        object.__setattr__(self, "buckets", tuple(self.buckets))
        check_choice("share", self.share, SHARE)
        check_choice("rounding", self.rounding, ROUNDING)
        check_shares("probabilities", [bucket.probability for bucket in self.buckets], "size")
        if self.base is None:
            costliest = max(self.buckets, key=lambda bucket: bucket.cost)
            object.__setattr__(self, "base", dataclasses.replace(costliest, probability=1.0))
        if self.rounding == "within_budget":
            _check_budget(self.buckets, self.base)

    # Ways to make one

    @classmethod
    def solve(
        cls,
        sizes: Mapping[int, float],
        base_size: int,
        base_batch: int,
        base_duplicates: int = 1,
        *,
        grow: str = "batch",
        share: str = "steps",
        rounding: str = "within_budget",
        multiple_of: int = 8,
    ) -> Regime:
        """Return the regime that spends the base's budget S0^2 * B0 * D0 at every size.

        What a small size saves is spent on what `grow` names. A size above the base takes fewer images: first fewer
        duplicates, then a smaller batch. The options are keywords, because a user types one or two of them at a time.

        - `"batch"` (B+): B = B0 * (S0/S)^2.
        - `"duplicates"` (D+): D = D0 * (S0/S)^2, B at most B0.
        - `"both"`: B = B0 * S0/S and D = D0 * S0/S.
        - `"none"`: B0 and D0 stay, and small sizes are simply cheaper steps.

        Args:
            sizes: side in pixels -> probability; the probabilities sum to 1.
            base_size: side in pixels of the baseline (S0).
            base_batch: different images per step of the baseline (B0).
            base_duplicates: copies per image of the baseline (D0).
            grow: see above.
            share: what the probabilities are shares of, `"steps"` or `"samples"`.
            rounding: `"within_budget"` rounds D to the nearest integer (down if no batch fits otherwise) and then B
                down to a multiple of `multiple_of`, so that no step costs more than the base. `"nearest"` rounds both
                to the nearest integer as the authors' code does: steps then cost from about 0.7 to 1.65 of the base.
            multiple_of: divisor of every batch under `"within_budget"`; a multiple of the number of replicas.

        Raises:
            ValueError: arguments out of range, or a size at which the budget holds less than one batch.
        """
        check_choice("grow", grow, GROW)
        check_choice("rounding", rounding, ROUNDING)
        counts = {"base_size": base_size, "base_batch": base_batch, "base_duplicates": base_duplicates}
        for name, value in (counts | {"multiple_of": multiple_of}).items():
            check_count(name, value)
        if not isinstance(sizes, Mapping) or not sizes:
            raise ValueError(f"sizes must map sizes to probabilities, such as {{32: 0.5, 24: 0.5}}, got {sizes!r}")
        check_shares("probabilities", list(sizes.values()), "size")
        base = Bucket(base_size, base_batch, base_duplicates)
        if rounding == "within_budget" and base_batch % multiple_of:
            raise ValueError(
                f"base_batch must be a multiple of multiple_of={multiple_of}, got {base_batch}; "
                f"use {math.ceil(base_batch / multiple_of) * multiple_of} or another multiple_of"
            )
        fit = fit_within_budget if rounding == "within_budget" else fit_nearest
        shapes = {size: fit(Bucket(size, 1).size, base, grow, multiple_of) for size in sizes}
        buckets = tuple(Bucket(size, *shapes[size], probability) for size, probability in sizes.items())
        return cls(buckets, share=share, base=base, rounding=rounding)

    @classmethod
    def fixed(cls, size: int, batch: int, duplicates: int = 1) -> Regime:
        """Return the regime of one bucket: ordinary training at one size, the baseline."""
        return cls((Bucket(size, batch, duplicates),))

    @classmethod
    def preset(cls, name: str, **solve_options: Any) -> Regime:
        """Return a named regime: `family/mode`, such as `"cifar/d+"` or `"imagenet144/baseline"`.

        Args:
            name: one of `presets.preset_names()`.
            **solve_options: passed on to `solve`, for instance `share="samples"` or `base_batch=128`.

        Raises:
            ValueError: an unknown name; the message lists the known ones.
        """
        check_choice("preset", name, presets.preset_names())
        family_name, mode = name.split("/")
        family = presets.FAMILIES[family_name]
        options = {"base_size": family.base_size, "base_batch": family.base_batch} | solve_options
        if mode == "baseline":
            return cls.solve({options["base_size"]: 1.0}, grow="none", **options)
        return cls.solve(family.sizes, grow=presets.MODES[mode], **options)

    @classmethod
    def parse(cls, text: str, **solve_options: Any) -> Regime:
        """Return the regime that a compact text says, for command-line flags.

        `"32:0.3,48:0.2,24:0.3,16:0.2"` names sizes and probabilities and is solved with `solve_options`;
        `"32x64x1:0.5,16x64x4:0.5"` names size x batch x duplicates and is taken as written (x1 may be left out).

        Args:
            text: entries separated by commas.
            **solve_options: `solve`'s arguments for the short form; only `share` for the written one.

        Raises:
            ValueError: an entry that cannot be read, forms that are mixed, or options that the form does not take.
        """
        shapes = shapes_of(text)
        if not gives_batch(shapes[0][0]):
            if not {"base_size", "base_batch"} <= solve_options.keys():
                raise ValueError(f"regime text {text!r} gives no batches, so base_size and base_batch are needed")
            return cls.solve({size: probability for (size,), probability in shapes}, **solve_options)
        if unused := solve_options.keys() - {"share"}:
            raise ValueError(f"regime text {text!r} gives the batches, so it does not take {', '.join(sorted(unused))}")
        return cls(tuple(Bucket(*shape, probability=probability) for shape, probability in shapes), **solve_options)

    # Text and JSON

    def __str__(self) -> str:
        """Return the buckets as the compact text that `parse` reads; `share`, `base` and `rounding` are not in it."""
        return ",".join(map(str, self.buckets))

    def __repr__(self) -> str:
        return f"Regime({str(self)!r}, share={self.share!r}, base={str(self.base)!r}, rounding={self.rounding!r})"

    def to_json(self) -> str:
        """Return the regime as JSON; `from_json` gives an equal one back."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Regime:
        """Return the regime that `to_json` wrote.

        Raises:
            ValueError: the text is no such JSON.
        """
        try:
            fields = json.loads(text)
            buckets = tuple(Bucket(**bucket) for bucket in fields.pop("buckets"))
            base = Bucket(**fields.pop("base"))
            return cls(buckets, base=base, **fields)
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"regime JSON cannot be read ({error!r}); write it with Regime.to_json()") from error

    # What it amounts to

    @property
    def stages(self) -> tuple[tuple[float, Regime], ...]:
        """The regime alone, for all steps: it is a schedule of one stage."""
        return ((1.0, self),)

    @property
    def step_shares(self) -> np.ndarray:
        """Expected share of the steps that use each bucket: float64 `[buckets]`, sums to 1."""
        return self._shares(per_step=self.share == "steps", weight=lambda bucket: 1.0 / bucket.batch)

    @property
    def sample_shares(self) -> np.ndarray:
        """Expected share of the samples that each bucket sees: float64 `[buckets]`, sums to 1."""
        return self._shares(per_step=self.share == "samples", weight=lambda bucket: bucket.batch)

    def _shares(self, per_step: bool, weight) -> np.ndarray:
        probabilities = np.array([bucket.probability for bucket in self.buckets])
        weights = 1.0 if per_step else np.array([weight(bucket) for bucket in self.buckets])
        return probabilities * weights / np.sum(probabilities * weights)

    def rebalance(
        self,
        seconds: Mapping[Bucket, float],
        *,
        change: str = "batch",
        multiple_of: int = 8,
        target: float | None = None,
    ) -> Regime:
        """Return the regime with B (or D) changed so that measured step times agree, not pixels.

        Pixels are a proxy: overhead per image and per step, and the device's favourite shapes, make a step of the same
        cost up to some ten percent longer or shorter. A bucket's time is taken to grow in proportion to its images;
        measure again and repeat where it does not.

        Args:
            seconds: measured time of a step of every bucket, as `MixSizeModel.warm_up` gives it:
                `{measured.bucket: measured.step_seconds for measured in model.warm_up(regime, repeats=5)}`.
            change: `"batch"` or `"duplicates"`; the latter can only come as close as whole copies allow.
            multiple_of: divisor of every batch; a multiple of the number of replicas. The smaller, the closer.
            target: seconds that a step shall take; those of the base's bucket, or else the median, unless given.

        Raises:
            ValueError: a bucket without a time, or a time that is not above 0.
        """
        check_choice("change", change, ("batch", "duplicates"))
        check_count("multiple_of", multiple_of)
        usual = self.usual_seconds(seconds)
        target = usual if target is None else target
        buckets = tuple(stretched(bucket, target / seconds[bucket], change, multiple_of) for bucket in self.buckets)
        return dataclasses.replace(self, buckets=buckets, rounding="nearest")


def _check_budget(buckets: tuple[Bucket, ...], base: Bucket) -> None:
    for bucket in buckets:
        if bucket.cost > base.cost:
            raise ValueError(
                f"bucket S={bucket.size} B={bucket.batch} D={bucket.duplicates} costs {bucket.cost} pixels, above the "
                f"budget of {base.cost} (S={base.size} B={base.batch} D={base.duplicates}); "
                f'take fewer images, or rounding="nearest" to allow it'
            )
