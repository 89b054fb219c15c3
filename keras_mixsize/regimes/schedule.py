"""Schedule: regimes one after the other, each for its share of a run's steps.

One `fit` goes through all stages: an epoch keeps its number of steps, so learning-rate schedules, callbacks and bars
see steps of one kind. NumPy only. Neighbours: `regime` (a stage's), `mixture` (means, checks and table of both),
`notation` (its text), `plan` (draws steps from it).

    schedule = Schedule.finish(Regime.preset("cifar/d+"))               # the last fifth of the steps at the base size
    train = MixSizeDataset.from_arrays(images, labels, regime=schedule, epochs=200)
    model.fit(train, epochs=200)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mixsize.arguments import is_number
from keras_mixsize.regimes.bucket import Bucket
from keras_mixsize.regimes.mixture import Mixture, check_shares
from keras_mixsize.regimes.notation import stages_of
from keras_mixsize.regimes.regime import Regime


@dataclasses.dataclass(frozen=True)
class Schedule(Mixture):
    """Stages of a run, each a share of all steps and the regime that holds in them.

    A run of E epochs has `E * steps_per_epoch` steps; a stage begins at the share of them that lies before it, rounded
    to a step. A schedule of one stage is the same as its regime.

    Attributes:
        stages: (share, regime) in the order of the run; the shares sum to 1.

    Raises:
        ValueError: no stage, one that is no such pair, or shares that do not sum to 1.

    Source: sizes that grow: Tan and Le, "EfficientNetV2", arXiv 2104.00298; a last phase at the test size: Touvron et
    al., "Fixing the train-test resolution discrepancy", arXiv 1906.06423.
    """

    stages: tuple[tuple[float, Regime], ...]

    def __post_init__(self):
        if not isinstance(self.stages, (list, tuple)) or not all(map(_is_stage, self.stages)):
            raise ValueError(f"stages must be a list of pairs (share of all steps, Regime), got {self.stages!r}")
        if not self.stages:
            raise ValueError("stages must hold at least one (share of all steps, Regime), got none")
        check_shares("shares", [share for share, _ in self.stages], "stage")
        object.__setattr__(self, "stages", tuple((float(share), regime) for share, regime in self.stages))

    # Ways to make one

    @classmethod
    def finish(cls, regime: Regime, share: float = 0.2) -> Schedule:
        """Return the regime with a last stage at its base, the fixed size that a run without mixed sizes would have.

        Args:
            regime: of the steps before.
            share: of the last stage in all steps, in (0, 1).

        Raises:
            ValueError: a share out of range.
        """
        if not is_number(share) or not 0 < share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {share!r}; 0.2 is the last fifth of the steps")
        before = round(1 - share, 12)  # 1 - 0.9 is not 0.1, and the text of a schedule is read by people
        return cls(((before, regime), (share, Regime((dataclasses.replace(regime.base, probability=1.0),)))))

    @classmethod
    def growing(
        cls,
        sizes: Sequence[int],
        base_batch: int,
        *,
        shares: Sequence[float] | None = None,
        base_size: int | None = None,
        **solve_options: Any,
    ) -> Schedule:
        """Return a schedule of one size a stage, from small to large, each within the budget of the base.

        Args:
            sizes: side in pixels of each stage, ascending.
            base_batch: different images per step at the base's size.
            shares: of each stage in all steps; equal unless given.
            base_size: side in pixels of the base; the largest size unless given.
            **solve_options: for `Regime.solve`, such as `grow="duplicates"`, or `grow="none"` for steps that are
                cheaper
                while the images are small, as in EfficientNetV2.

        Raises:
            ValueError: sizes that do not grow, another number of shares than of sizes, or what `Regime.solve` refuses.
        """
        sizes = list(sizes)
        if not sizes or any(low >= high for low, high in zip(sizes, sizes[1:])):
            raise ValueError(f"sizes must grow from stage to stage, got {sizes}; sort them, each once")
        shares = [1 / len(sizes)] * len(sizes) if shares is None else list(shares)
        if len(shares) != len(sizes):
            raise ValueError(f"shares must be one for each of the {len(sizes)} sizes, got {shares}")
        solve_options |= {"base_size": sizes[-1] if base_size is None else base_size, "base_batch": base_batch}
        regimes = [Regime.solve({size: 1.0}, **solve_options) for size in sizes]
        return cls(tuple(zip(shares, regimes)))

    @classmethod
    def parse(cls, text: str, **solve_options) -> Schedule:
        """Return the schedule that a compact text says, for command-line flags, where it needs quotes.

        `"0.8*cifar/d+; 0.2*32x64x1:1"` holds a share and a regime for each stage: the name of a preset, or what
        `Regime.parse` reads. One regime without a share is a schedule of one stage.

        Args:
            text: stages separated by semicolons.
            **solve_options: `Regime.solve`'s arguments for presets and for stages that give no batches.

        Raises:
            ValueError: a stage that cannot be read, or shares that do not sum to 1.
        """
        return cls(tuple((share, _regime_of(regime, solve_options)) for share, regime in stages_of(text)))

    # Text and JSON

    def __str__(self) -> str:
        """Return the compact text that `parse` reads; the regimes' `share`, `base` and `rounding` are not in it."""
        if len(self.stages) == 1:
            return str(self.stages[0][1])
        return ";".join(f"{share!r}*{regime}" for share, regime in self.stages)

    def __repr__(self) -> str:
        return f"Schedule({str(self)!r})"

    def to_json(self) -> str:
        """Return the schedule as JSON, of one stage that of its regime; `from_json` gives an equal one back."""
        if len(self.stages) == 1:
            return self.stages[0][1].to_json()
        stages = [{"share": share, "regime": json.loads(regime.to_json())} for share, regime in self.stages]
        return json.dumps({"stages": stages})

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Return the schedule that `to_json` wrote; a regime's JSON is a schedule of one stage.

        Raises:
            ValueError: the text is no such JSON.
        """
        try:
            fields = json.loads(text)
            stages = fields.get("stages", [{"share": 1.0, "regime": fields}])
            return cls(tuple((stage["share"], Regime.from_json(json.dumps(stage["regime"]))) for stage in stages))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"schedule JSON cannot be read ({error!r}); write it with Schedule.to_json()") from error

    # What it amounts to

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The buckets of all stages, one stage after the other."""
        return tuple(bucket for _, regime in self.stages for bucket in regime.buckets)

    @property
    def base(self) -> Bucket:
        """The costliest of the stages' bases."""
        return max((regime.base for _, regime in self.stages), key=lambda base: base.cost)

    @property
    def step_shares(self) -> np.ndarray:
        """Expected share of the run's steps that use each bucket: float64 `[buckets]`, sums to 1."""
        return np.concatenate([share * regime.step_shares for share, regime in self.stages])

    def rebalance(self, seconds: Mapping[Bucket, float], *, target: float | None = None, **options) -> Schedule:
        """Return the schedule with each stage's regime changed so that step times agree, see `Regime.rebalance`.

        Args:
            seconds: measured time of a step of every bucket of every stage.
            target: seconds that a step shall take in all stages; those of the base's bucket, or else the median,
                unless given.
            **options: of `Regime.rebalance`.

        Raises:
            ValueError: a bucket without a time, or a time that is not above 0.
        """
        usual = self.usual_seconds(seconds)
        target = usual if target is None else target
        regimes = [(share, regime.rebalance(seconds, target=target, **options)) for share, regime in self.stages]
        return Schedule(tuple(regimes))


def _is_stage(stage) -> bool:
    return isinstance(stage, (list, tuple)) and len(stage) == 2 and isinstance(stage[1], Regime)


def _regime_of(text: str, solve_options: dict) -> Regime:
    if ":" not in text:
        return Regime.preset(text, **solve_options)
    taken = {"share"} if "x" in text else solve_options.keys()  # a text that gives the batches is not solved
    return Regime.parse(text, **{name: value for name, value in solve_options.items() if name in taken})
