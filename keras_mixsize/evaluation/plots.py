"""Pictures of size reports: any objects with the fields of `report.SizeReport` and `report.CascadePoint`.

Imports matplotlib only, and only when something is drawn.

    accuracy_by_size([baseline_report, mixed_report], "accuracy.png")
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

_COLORS = ("#4c4c4c", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # Okabe and Ito's colour-blind set
_MARKERS = "osD^vP"


def accuracy_by_size(reports: Sequence, path: str | os.PathLike, *, title: str = "", cascades: Sequence = ()) -> None:
    """Draw accuracy against test image size and against compute, all reports in one picture.

    Full lines are accuracies with statistics calibrated for the size, with their 95 % intervals; dashed lines are
    without calibration. Cascades have no one size, so they are drawn against compute only.

    Args:
        reports: of one or several models.
        path: of the PNG (or any format that matplotlib knows by its suffix).
        title: above the picture.
        cascades: what size cascades reached (`report.CascadePoint`).

    Raises:
        ValueError: no report, or one without sizes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: matplotlib takes half a second to import
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    by_size, by_compute = figure.subplots(1, 2, sharey=True)
    if not reports or not all(report.rows for report in reports):
        raise ValueError("reports must hold at least one size each, got an empty one or none")
    for report, color, marker in zip(reports, itertools.cycle(_COLORS), itertools.cycle(_MARKERS)):
        style = {"color": color, "marker": marker, "label": report.name}
        _draw(by_size, [row.size for row in report.rows], report.rows, style)
        _draw(by_compute, [row.multiply_adds / 1e6 for row in report.rows], report.rows, style)
    _draw_cascades(by_compute, sorted(cascades, key=lambda point: point.multiply_adds))
    sizes = sorted({row.size for report in reports for row in report.rows})
    by_size.set(xlabel="test image size (px)", ylabel="accuracy (%)", xticks=sizes)
    by_compute.set(xlabel="compute per image (million multiply-adds)", xscale="log")
    by_compute.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    by_compute.xaxis.set_major_formatter("{x:g}")
    by_compute.xaxis.set_minor_locator(NullLocator())
    for axes in (by_size, by_compute):
        axes.grid(alpha=0.25)
    by_size.plot([], [], color="grey", linestyle="--", label="without calibration")
    by_size.legend(loc="lower right")
    if title:
        figure.suptitle(title)
    figure.savefig(path, dpi=130)


def _draw(axes, x: list[float], rows: Sequence, style: dict) -> None:
    if any(row.calibrated for row in rows):
        uncalibrated = [100 * row.accuracy.value for row in rows]
        axes.plot(x, uncalibrated, color=style["color"], linestyle="--", alpha=0.5)
    _draw_intervals(axes, x, [row.best for row in rows], markersize=5, **style)


def _draw_cascades(axes, points: Sequence) -> None:
    if not points:
        return
    x = [point.multiply_adds / 1e6 for point in points]
    style = {"color": "#d55e00", "marker": "*", "markersize": 9, "linestyle": ":", "label": "size cascade"}
    _draw_intervals(axes, x, [point.accuracy for point in points], **style)
    axes.legend(loc="lower right")


def _draw_intervals(axes, x: list[float], accuracies: Sequence, **style) -> None:
    values = [100 * accuracy.value for accuracy in accuracies]
    below = [100 * (accuracy.value - accuracy.low) for accuracy in accuracies]
    above = [100 * (accuracy.high - accuracy.value) for accuracy in accuracies]
    axes.errorbar(x, values, yerr=[below, above], capsize=3, **style)
