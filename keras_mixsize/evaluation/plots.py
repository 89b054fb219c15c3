"""Pictures of size reports: any objects with the fields of `report.SizeReport` and `report.CascadePoint`.

Imports matplotlib only, and only when something is drawn.

    accuracy_by_size([baseline_report, mixed_report], "accuracy.png")
    choice(report, report.choose(within=0.01), "choice.png", within=0.01)
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator, Sequence

_COLORS = ("#4c4c4c", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # Okabe and Ito's colour-blind set
_MARKERS = "osD^vP"
_DASHED = "without calibration"


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
    if not reports or not all(report.rows for report in reports):
        raise ValueError("reports must hold at least one size each, got an empty one or none")
    figure = new_figure(11, 5)
    by_size, by_compute = figure.subplots(1, 2, sharey=True)
    draw_by_size(by_size, reports)
    draw_by_compute(by_compute, reports, cascades)
    by_compute.set_ylabel("")
    legend_below(figure)
    if title:
        figure.suptitle(title)
    figure.savefig(path, dpi=130)


def choice(report, chosen, path: str | os.PathLike, *, within: float, title: str = "") -> None:
    """Draw accuracy against the cost of an image into a file; see `draw_choice`.

    Args:
        report: of one model, with at least one size.
        chosen: its row that `SizeReport.choose` returned.
        path: of the PNG (or any format that matplotlib knows by its suffix).
        within: how far below the best accuracy the line lies, a share.
        title: above the picture.
    """
    figure = new_figure(7, 5)
    draw_choice(figure.subplots(), report, chosen, within)
    legend_below(figure)
    if title:
        figure.suptitle(title)
    figure.savefig(path, dpi=130)


def draw_choice(axes, report, chosen, within: float) -> None:
    """Draw accuracy against the cost of an image, with the chosen size marked and the line that it had to reach."""
    measured = all(row.latency_ms is not None for row in report.rows)
    costs = {row.size: row.latency_ms if measured else row.multiply_adds / 1e6 for row in report.rows}
    rows = sorted(report.rows, key=lambda row: costs[row.size])
    points = 100 * within
    floor = 100 * (max(row.best.value for row in rows) - within)
    axes.axhline(
        floor, color=_COLORS[3], linestyle=":", label=f"best less {points:g} point{'' if points == 1 else 's'}"
    )
    style = {"color": _COLORS[1], "marker": "o", "linestyle": "-", "label": report.name}
    _draw_intervals(axes, [costs[row.size] for row in rows], [row.best for row in rows], **style)
    spot = (costs[chosen.size], 100 * chosen.best.value)
    ring = {"s": 220, "facecolors": "none", "edgecolors": _COLORS[2], "linewidths": 2, "zorder": 3}
    axes.scatter(*spot, label=f"cheapest above it: {chosen.size} px, {chosen.best.value:.1%}", **ring)
    for number, row in enumerate(rows):  # above and below in turn, since neighbours may lie close together
        where, shift = (100 * row.best.low, -14) if number % 2 else (100 * row.best.high, 5)
        options = {"textcoords": "offset points", "ha": "center", "fontsize": 9}
        axes.annotate(f"{row.size} px", (costs[row.size], where), (0, shift), **options)
    axes.margins(x=0.1, y=0.15)
    unit = "latency per image on this machine (ms)" if measured else "compute per image (million multiply-adds)"
    axes.set(xlabel=unit, ylabel="accuracy (%)")
    axes.grid(alpha=0.25)


def new_figure(width: float, height: float):
    """Return an empty figure of so many inches that no window shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: matplotlib takes half a second to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def svg(figure) -> str:
    """Return a figure as SVG on no ground, the same text each time."""
    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "keras_mixsize"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue()


def legend_below(figure) -> None:
    """Give a figure one legend below its axes, where no line can be; each name stands in it once."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    named = {label: handle for handles, labels in found for handle, label in zip(handles, labels)}
    named |= {_DASHED: named.pop(_DASHED)} if _DASHED in named else {}  # it is about all lines, so it comes last
    columns = 1 if max(map(len, named), default=0) > 24 else max(1, min(4, int(figure.get_figwidth() / 2)))
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns, fontsize=9, frameon=False)


def draw_by_size(axes, reports: Sequence) -> None:
    """Draw reports' accuracies against the test size, each with a name for a legend."""
    for report, style in zip(reports, styles()):
        _draw(axes, [row.size for row in report.rows], report.rows, style | {"label": report.name})
    if any(row.calibrated for report in reports for row in report.rows):
        axes.plot([], [], color="grey", linestyle="--", label=_DASHED)
    sizes = sorted({row.size for report in reports for row in report.rows})
    axes.set(xlabel="test image size (px)", ylabel="accuracy (%)", xticks=sizes)
    axes.grid(alpha=0.25)


def draw_by_compute(axes, reports: Sequence, cascades: Sequence = ()) -> None:
    """Draw reports' accuracies against the work of an image, and those of cascades."""
    from matplotlib.ticker import LogLocator, NullLocator

    for report, style in zip(reports, styles()):
        works = [row.multiply_adds / 1e6 for row in report.rows]
        _draw(axes, works, report.rows, style | {"label": report.name})
    _draw_cascades(axes, sorted(cascades, key=lambda point: point.multiply_adds))
    axes.set(xlabel="compute per image (million multiply-adds)", ylabel="accuracy (%)", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.25)


def styles() -> Iterator[dict]:
    """Yield colour and marker of each line, over and over."""
    for color, marker in zip(itertools.cycle(_COLORS), itertools.cycle(_MARKERS)):
        yield {"color": color, "marker": marker}


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


def _draw_intervals(axes, x: list[float], accuracies: Sequence, **style) -> None:
    values = [100 * accuracy.value for accuracy in accuracies]
    below = [100 * (accuracy.value - accuracy.low) for accuracy in accuracies]
    above = [100 * (accuracy.high - accuracy.value) for accuracy in accuracies]
    axes.errorbar(x, values, yerr=[below, above], capsize=3, **style)
