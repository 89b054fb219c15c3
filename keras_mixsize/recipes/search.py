"""Search: which regimes a search tries, what each may cost, and how it scores a size report.

Plain values, which load no TensorFlow and know no optimiser; `cli.trials` trains them. Neighbours: `folders` (sizes
around a base), `budget` (epochs of equal cost), `recipe`.

    goal = Goal.parse("mean")                               # or "16", or "5ms"
    candidate = Candidate(mode="b+", spread="wide", finish=0.2, rate=1.0)
    candidate.regime(base_size=32, base_batch=64, stride=4)
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from keras_mixsize.arguments import check_choice
from keras_mixsize.recipes.folders import RATIOS, regime_around
from keras_mixsize.recipes.recipe import finished
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.presets import MODES

if TYPE_CHECKING:
    from keras_mixsize.evaluation.report import SizeReport

SPREADS = {  # sizes relative to the base, with their probabilities
    "narrow": {1.0: 0.4, 1.25: 0.2, 0.75: 0.4},
    "usual": RATIOS,
    "wide": {1.0: 0.3, 1.5: 0.2, 0.75: 0.3, 0.5: 0.2},  # the paper's on CIFAR
}
FINISHES = (0.0, 0.2)  # shares of the steps that end a run at the base size
RATES = (0.25, 4.0)  # bounds of the factor for the recipe's learning rate


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a search maximises: accuracy at a size, the mean over the test sizes, or accuracy within a latency.

    Attributes:
        size: in pixels, or None.
        latency_ms: milliseconds for an image on this machine, or None.
    """

    size: int | None = None
    latency_ms: float | None = None

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Return the goal that a text means: `mean`, a size such as `16`, or a latency such as `5ms`.

        Raises:
            ValueError: another text.
        """
        if text == "mean":
            return cls()
        if re.fullmatch(r"[1-9]\d*(px)?", text):
            return cls(size=int(text.removesuffix("px")))
        if re.fullmatch(r"\d*\.?\d+ ?ms", text) and float(text.removesuffix("ms")) > 0:
            return cls(latency_ms=float(text.removesuffix("ms")))
        raise ValueError(f"goal must be mean, a size such as 16, or a latency such as 5ms, got {text!r}")

    def __str__(self) -> str:
        if self.size is not None:
            return f"accuracy at {self.size} px"
        if self.latency_ms is not None:
            return f"accuracy within {self.latency_ms:g} ms an image"
        return "mean accuracy over the test sizes"

    def score(self, report: SizeReport) -> float:
        """Return a report's score, a share in [0, 1].

        Raises:
            ValueError: the report lacks the size, its latencies, or any size that is fast enough.
        """
        if self.size is not None:
            return report.at(self.size).best.value
        if self.latency_ms is None:
            return sum(row.best.value for row in report.rows) / len(report.rows)
        times = {row.size: row.latency_ms for row in report.rows if row.latency_ms is not None}
        if not times:
            raise ValueError("the report must hold latencies for a goal in ms; evaluate with latency=True")
        if min(times.values()) > self.latency_ms:
            raise ValueError(
                f"no test size answers within {self.latency_ms:g} ms an image: {min(times, key=times.get)} px takes "
                f"{min(times.values()):.3g}; add smaller sizes, or allow more"
            )
        return max(row.best.value for row in report.rows if times.get(row.size, float("inf")) <= self.latency_ms)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A way to train that a search tries.

    Attributes:
        mode: `baseline`, `b+`, `d+` or `bd+`.
        spread: name in `SPREADS`; without effect on `baseline`.
        finish: share of the steps at the end that are at the base size; without effect on `baseline`.
        rate: factor for the recipe's learning rate.

    Raises:
        ValueError: an unknown mode or spread, or a number out of range.
    """

    mode: str
    spread: str = "usual"
    finish: float = 0.0
    rate: float = 1.0

    def __post_init__(self):
        check_choice("mode", self.mode, ("baseline", *MODES))
        check_choice("spread", self.spread, tuple(SPREADS))
        if not 0 <= self.finish < 1:
            raise ValueError(f"finish must be a share in [0, 1), got {self.finish!r}")
        if not self.rate > 0:
            raise ValueError(f"rate must be above 0, got {self.rate!r}")

    def regime(self, base_size: int, base_batch: int, stride: int) -> Mixture:
        """Return its regime or schedule around a base.

        Args:
            base_size: side in pixels, a multiple of `stride`.
            base_batch: images per step.
            stride: of the network.
        """
        regime = regime_around(self.mode, base_size, base_batch, stride, SPREADS[self.spread])
        return finished(regime, self.finish)
