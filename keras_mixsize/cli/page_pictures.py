"""The pictures of a run's page, as text of SVG: its schedule, its epochs, its sizes and what these reach.

Each takes plain values, has a transparent ground and is narrow enough for a telephone. Neighbours: `page` (shows them),
`evaluation.plots` (draws reports).

    schedule(config.regime)                                 # '<?xml ... <svg ...'
    epochs({"loss_16": [1.0, 0.6], "loss_24": [0.9, 0.5]}, "loss")
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from keras_mixsize.evaluation import plots

if TYPE_CHECKING:
    from keras_mixsize.evaluation.report import SizeReport
    from keras_mixsize.recipes.schedules import CosineDecay, StepDecay
    from keras_mixsize.regimes import Mixture


def schedule(regime: Mixture) -> str:
    """Return the share of the steps that each size has, over the steps of the run."""
    figure, axes = _panel()
    ends = [0.0]
    for share, _ in regime.stages:
        ends.append(ends[-1] + 100 * share)
    for size, style in zip(regime.sizes, plots.styles()):
        heights = [100 * _share(stage, size) for _, stage in regime.stages]
        below = [
            100 * sum(_share(stage, other) for other in regime.sizes if other < size) for _, stage in regime.stages
        ]
        widths = [end - start for start, end in zip(ends, ends[1:])]
        options = {"color": style["color"], "align": "edge", "label": f"{size} px", "alpha": 0.85}
        axes.bar(ends[:-1], heights, widths, bottom=below, **options)
    axes.set(xlabel="share of the run's steps (%)", ylabel="share of steps by size (%)", xlim=(0, 100), ylim=(0, 100))
    return _finished(figure)


def learning_rate(schedule: StepDecay | CosineDecay, epochs: int) -> str:
    """Return the learning rate over the epochs of a run, as its recipe says."""
    figure, axes = _panel()
    places = [epochs * number / 400 for number in range(401)]
    axes.plot(places, [rate_at(schedule, epochs, place) for place in places], color="#0072b2")
    axes.set(xlabel="epoch", ylabel="learning rate", xlim=(0, epochs), ylim=(0, None))
    axes.grid(alpha=0.25)
    return _finished(figure, legend=False)


def rate_at(schedule: StepDecay | CosineDecay, epochs: float, place: float) -> float:
    """Return the learning rate of a schedule at a place, in epochs, of a run of so many."""
    decays = getattr(schedule, "epochs", None)
    if decays is not None:
        return schedule.learning_rate * schedule.factor ** sum(place >= epoch for epoch in decays)
    rise = schedule.warmup_share * epochs
    if place < rise:
        return schedule.learning_rate * place / rise
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * (place - rise) / (epochs - rise)))


def epochs(history: Mapping[str, Sequence[float]], metric: str) -> str | None:
    """Return a metric of training by size over the epochs; None where the history has none by size.

    Args:
        history: a list for each metric, such as `loss_24`.
        metric: `loss` or `accuracy`.
    """
    by_size = {int(size): history[name] for name, size in _sized(history, metric)}
    if not by_size:
        return None
    figure, axes = _panel()
    for size, style in zip(sorted(by_size), plots.styles()):
        values = by_size[size]
        axes.plot(range(1, len(values) + 1), values, markersize=4, **style, label=f"{size} px")
    axes.set(xlabel="epoch", ylabel=f"{metric} in training")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlim(0.5, max(map(len, by_size.values())) + 0.5)
    axes.grid(alpha=0.25)
    return _finished(figure)


def accuracy_by_size(reports: Sequence[SizeReport]) -> str:
    """Return accuracy against test size, with intervals."""
    figure, axes = _panel()
    plots.draw_by_size(axes, reports)
    return _finished(figure)


def accuracy_by_compute(reports: Sequence[SizeReport]) -> str:
    """Return accuracy against compute, with intervals."""
    figure, axes = _panel()
    plots.draw_by_compute(axes, reports)
    return _finished(figure)


def choice(report: SizeReport, within: float) -> str:
    """Return accuracy against latency with the cheapest size marked that is within so much of the best."""
    figure, axes = _panel()
    plots.draw_choice(axes, report, report.choose(within), within)
    return _finished(figure)


def _share(regime, size: int) -> float:
    return sum(share for bucket, share in zip(regime.buckets, regime.step_shares) if bucket.size == size)


def _sized(history: Mapping[str, Sequence[float]], metric: str) -> list[tuple[str, str]]:
    names = [(name, name.removeprefix(f"{metric}_")) for name in history]
    return [(name, size) for name, size in names if name != size and size.isdecimal()]


def _panel():
    figure = plots.new_figure(4.8, 3.7)
    return figure, figure.subplots()


def _finished(figure, legend: bool = True) -> str:
    if legend:
        plots.legend_below(figure)
    return plots.svg(figure)
