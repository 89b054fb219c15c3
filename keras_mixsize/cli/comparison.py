"""Several size reports side by side: as a table in text or Markdown, as CSV, and as one picture. Loads no TensorFlow.

    comparison = Comparison.of_runs(["runs/baseline", "runs/d+"])
    print(comparison.table())
    comparison.write("runs/compare")                    # reports.json, comparison.csv, comparison.md, a picture

Neighbours: `report` and `evaluate`, which show one.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_mixsize.files import replaced

if TYPE_CHECKING:
    from keras_mixsize.evaluation.report import SizeReport, SizeRow

PICTURE = "accuracy_by_size.png"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Reports of different names.

    Attributes:
        reports: one for each network.
    """

    reports: tuple[SizeReport, ...]

    @classmethod
    def of(cls, reports: Sequence[SizeReport], folders: Sequence[str | os.PathLike] = ()) -> Comparison:
        """Return reports under names that differ: those of equal names get their folder's name, or a number.

        Args:
            reports: at least one.
            folders: where each comes from.
        """
        names = [report.name for report in reports]
        tails = [pathlib.Path(folder).name for folder in folders] or [""] * len(reports)
        named = []
        for number, (report, tail) in enumerate(zip(reports, tails), 1):
            unique = names.count(report.name) == 1
            by_folder = f"{report.name} ({tail})" if tails.count(tail) == 1 else f"{report.name} ({number})"
            named.append(report if unique else dataclasses.replace(report, name=by_folder))
        return cls(tuple(named))

    @classmethod
    def of_runs(cls, folders: Sequence[str | os.PathLike]) -> Comparison:
        """Return the reports that finished runs left in results.json, or other programs in report.json.

        Raises:
            FileNotFoundError: a folder without such a file.
            ValueError: a file that holds no report.
        """
        return cls.of([read_report(pathlib.Path(folder)) for folder in folders], folders)

    @property
    def sizes(self) -> list[int]:
        """Every size in pixels that a report has, ascending."""
        return sorted({row.size for report in self.reports for row in report.rows})

    def table(self) -> str:
        """Return the accuracies as text: a line for each size, a column for each report."""
        columns = [["size"]] + [[report.name] for report in self.reports]
        for size in self.sizes:
            columns[0].append(f"{size} px")
            for column, report in zip(columns[1:], self.reports):
                column.append(text_of(row_of(report, size)))
        widths = [max(map(len, column)) for column in columns]
        rows = (zip(line, widths) for line in zip(*columns))
        return "\n".join("  ".join(cell.rjust(width) for cell, width in row) for row in rows)

    def markdown(self) -> str:
        """Return the accuracies as a table in Markdown."""
        lines = [f"| test size | {' | '.join(report.name for report in self.reports)} |"]
        lines.append(f"| ---: |{' ---: |' * len(self.reports)}")
        for size in self.sizes:
            lines.append(f"| {size} px | {' | '.join(text_of(row_of(report, size)) for report in self.reports)} |")
        return "\n".join(lines) + "\n"

    def write(self, folder: str | os.PathLike) -> pathlib.Path:
        """Write the reports as JSON, CSV and Markdown, draw them in one picture, and return the picture's path.

        Args:
            folder: made if it does not exist.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        reports = [json.loads(report.to_json()) for report in self.reports]
        for name, text in (("reports.json", json.dumps(reports, indent=1)), ("comparison.md", self.markdown())):
            with replaced(folder / name) as stream:
                stream.write(text.encode())
        self.to_csv(folder / "comparison.csv")
        self.reports[0].plot(folder / PICTURE, *self.reports[1:])
        return folder / PICTURE

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a row for each report and size; accuracies are shares, with the bounds of their 95 % intervals."""
        bounds = [f"{kind}{bound}" for kind in ("accuracy", "calibrated") for bound in ("", "_low", "_high")]
        with pathlib.Path(path).open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["name", "size", *bounds, "multiply_adds", "latency_ms"])
            for report in self.reports:
                for row in report.rows:
                    after = dataclasses.astuple(row.calibrated) if row.calibrated else (None,) * 3
                    costs = (row.multiply_adds, row.latency_ms)
                    writer.writerow([report.name, row.size, *dataclasses.astuple(row.accuracy), *after, *costs])


def read_report(folder: pathlib.Path) -> SizeReport:
    """Return the report in a folder's results.json, or in its report.json.

    Raises:
        FileNotFoundError: neither is there.
        ValueError: the file holds no report.
    """
    from keras_mixsize.evaluation.report import SizeReport

    for name in ("results.json", "report.json"):
        file = folder / name
        if not file.is_file():
            continue
        try:
            found = json.loads(file.read_text())
            return SizeReport.from_json(json.dumps(found["report"] if name == "results.json" else found))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} holds no report that can be read: {error}") from error
    raise FileNotFoundError(_why_nothing(folder))


def _why_nothing(folder: pathlib.Path) -> str:
    """Return what is wrong with a folder that holds no report."""
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if (folder / "run.json").is_file():
        return f"the run in {folder} has not ended: it has no results.json; go on with `mixsize train --resume`"
    return f"{folder} has no results.json, so it is no run; `mixsize train` writes it at the end of one"


def row_of(report: SizeReport, size: int) -> SizeRow | None:
    """Return the row of a size, if it was measured."""
    return next((row for row in report.rows if row.size == size), None)


def text_of(row: SizeRow | None) -> str:
    """Return a row's accuracy in percent with its interval; `-` for no row."""
    return "-" if row is None else f"{100 * row.best.value:.1f} % [{100 * row.best.low:.1f}, {100 * row.best.high:.1f}]"
