"""SizeReport: what a model reaches and takes at each image size, as a value that prints, saves and draws itself.

Made by `evaluate.evaluate_sizes`; drawn by `plots`.

    print(report); report.to_csv("report.csv"); report.plot("report.png", baseline_report)
    report.choose(within=0.01).size; report.plot_choice("choice.png", within=0.01)
    SizeReport.from_json(pathlib.Path("report.json").read_text())
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Sequence

from keras_mixsize.arguments import is_number
from keras_mixsize.evaluation import plots


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """A share of correct answers with its 95 % interval, all in [0, 1].

    Attributes:
        value: the share.
        low, high: bounds of the Wilson score interval.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, correct: int, count: int) -> Accuracy:
        """Return the accuracy of `correct` right answers out of `count`.

        Raises:
            ValueError: `count` below 1, or `correct` outside [0, count].

        Source: E. B. Wilson, JASA 22 (1927), with z = 1.96.
        """
        if count < 1 or not 0 <= correct <= count:
            raise ValueError(f"correct must lie in [0, count] and count be at least 1, got {correct} of {count}")
        share, z = correct / count, 1.959964
        center = (share + z**2 / (2 * count)) / (1 + z**2 / count)
        half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
        return cls(share, min(share, max(0.0, center - half)), max(share, min(1.0, center + half)))

    def __str__(self) -> str:
        return f"{self.value:.1%} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclasses.dataclass(frozen=True)
class SizeRow:
    """One size of a report.

    Attributes:
        size: side of the test images in pixels.
        accuracy: with the model's own batch-norm statistics.
        loss: mean over the test images, with the same.
        calibrated: accuracy with statistics calibrated for the size; None if that was not asked for.
        calibrated_loss: the loss with them, or None.
        multiply_adds: of convolutions and matrix products, per image.
        latency_ms: median time per image in milliseconds, measured; None if not asked for.
        calibration_batches: after which the statistics had settled, or that there were; None without calibration.
    """

    size: int
    accuracy: Accuracy
    loss: float
    calibrated: Accuracy | None
    calibrated_loss: float | None
    multiply_adds: int
    latency_ms: float | None
    calibration_batches: int | None = None

    @property
    def best(self) -> Accuracy:
        """The calibrated accuracy where there is one, else the other."""
        return self.calibrated or self.accuracy


@dataclasses.dataclass(frozen=True)
class CascadePoint:
    """What a size cascade reached, for a report's picture.

    Attributes:
        accuracy: on data that did not fit it.
        multiply_adds: mean per image.
    """

    accuracy: Accuracy
    multiply_adds: float


@dataclasses.dataclass(frozen=True)
class SizeReport:
    """Accuracy and work of one model over test sizes; printed, it is its table.

    Attributes:
        name: of the model, for tables and pictures.
        rows: one per size, ascending.
        about: how it was measured: number of images, interpolation, calibration, device.
    """

    name: str
    rows: tuple[SizeRow, ...]
    about: dict[str, object] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        accuracies = ", ".join(f"{row.size} px: {row.best.value:.1%}" for row in self.rows)
        return f"<SizeReport of {self.name!r}, {accuracies or 'no sizes'}>"

    def at(self, size: int) -> SizeRow:
        """Return the row of a size.

        Raises:
            ValueError: the size was not measured.
        """
        for row in self.rows:
            if row.size == size:
                return row
        raise ValueError(f"size must be one of {[row.size for row in self.rows]}, got {size}")

    def choose(self, within: float = 0.01) -> SizeRow:
        """Return the cheapest size whose accuracy is at most `within` below the best one.

        Accuracies are the calibrated ones where there are such. Cheap means a low latency, as measured; if a size was
        not timed, few multiply-adds. Of equally cheap sizes it is the more accurate one.

        Args:
            within: a share, in [0, 1]: 0.01 is one point of percent.

        Raises:
            ValueError: a share out of range, or a report without sizes.
        """
        if not is_number(within) or not 0 <= within <= 1:
            raise ValueError(f"within must be a share in [0, 1], got {within!r}; 0.01 is one point of percent")
        if not self.rows:
            raise ValueError("the report must hold at least one size to choose from, got none")
        timed = all(row.latency_ms is not None for row in self.rows)
        floor = max(row.best.value for row in self.rows) - within - 1e-9  # 0.9 - 0.01 is a hair above 0.89
        enough = [row for row in self.rows if row.best.value >= floor]
        return min(enough, key=lambda row: (row.latency_ms if timed else row.multiply_adds, -row.best.value))

    def table(self) -> str:
        """Return the report as text, a line per size."""
        header = f"{self.name}\n  size  accuracy [95 %]        calibrated [95 %]       loss  Mmult-adds  ms/image "
        lines = [header]
        for row in self.rows:
            loss = row.loss if row.calibrated_loss is None else row.calibrated_loss
            latency = "-" if row.latency_ms is None else f"{row.latency_ms:.3f}"
            lines.append(
                f"{row.size:6d}  {row.accuracy!s:22}  {row.calibrated or '-'!s:22} {loss:5.3f} "
                f"{row.multiply_adds / 1e6:11.2f} {latency:>9}"
            )
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return the report as JSON; `from_json` gives an equal one back."""
        fields = dataclasses.asdict(self)
        for row in fields["rows"]:
            if row["calibration_batches"] is None:
                del row["calibration_batches"]  # which version 0.1.0 did not have
        return json.dumps(fields, indent=1)

    @classmethod
    def from_json(cls, text: str) -> SizeReport:
        """Return the report that `to_json` wrote.

        Raises:
            ValueError: the text is no such JSON.
        """
        try:
            fields = json.loads(text)
            rows = tuple(_row(**row) for row in fields["rows"])
            return cls(fields["name"], rows, fields["about"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"report JSON cannot be read ({error}); write it with SizeReport.to_json()") from error

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write the rows as CSV: size, accuracy with its bounds, the same calibrated, losses, work."""
        with pathlib.Path(path).open("w", newline="") as stream:
            writer = csv.writer(stream)
            intervals = [f"{kind}{bound}" for kind in ("accuracy", "calibrated") for bound in ("", "_low", "_high")]
            writer.writerow(["name", "size", *intervals, "loss", "calibrated_loss", "multiply_adds", "latency_ms"])
            for row in self.rows:
                before = dataclasses.astuple(row.accuracy)
                after = dataclasses.astuple(row.calibrated) if row.calibrated else (None,) * 3
                rest = (row.loss, row.calibrated_loss, row.multiply_adds, row.latency_ms)
                writer.writerow([self.name, row.size, *before, *after, *rest])

    def plot(
        self, path: str | os.PathLike, *others: SizeReport, title: str = "", cascades: Sequence[CascadePoint] = ()
    ) -> None:
        """Draw accuracy against size and against compute; see `plots.accuracy_by_size`.

        Args:
            path: of the picture.
            *others: reports to draw beside this one.
            title: above the picture.
            cascades: of this report's network, drawn against compute.
        """
        plots.accuracy_by_size([self, *others], path, title=title, cascades=cascades)

    def plot_choice(self, path: str | os.PathLike, within: float = 0.01, *, title: str = "") -> None:
        """Draw accuracy against latency as it was measured, and mark the size that `choose` returns.

        Where a size was not timed, accuracy is drawn against multiply-adds.

        Args:
            path: of the picture.
            within: as in `choose`.
            title: above the picture.

        Raises:
            ValueError: as in `choose`.
        """
        plots.choice(self, self.choose(within), path, within=within, title=title)


def _row(accuracy: dict, calibrated: dict | None, **fields) -> SizeRow:
    return SizeRow(accuracy=Accuracy(**accuracy), calibrated=Accuracy(**calibrated) if calibrated else None, **fields)
