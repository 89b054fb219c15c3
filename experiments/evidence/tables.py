"""Tables: the summary as Markdown and as a picture.

Neighbour: `summary`.

    write(summarize(results, settings), pathlib.Path("docs/evidence"))
"""

from __future__ import annotations

import json
import os
import pathlib

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_BASE, _HALF = "#0072b2", "#d55e00"  # of Okabe and Ito's colour-blind set


def write(summary: dict, folder: pathlib.Path) -> None:
    """Write summary.json, tables.md and difference.png."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    _replace(folder / "tables.md", markdown(summary))
    if summary["settings"]:
        draw(summary, folder / "difference.png")


def _replace(path: pathlib.Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    os.replace(temporary, path)


# Markdown


def markdown(summary: dict) -> str:
    """Return a table for each setting: arms down, accuracy by test size across, then the differences with intervals."""
    parts = [f"Made by `{summary['command']}`. Accuracy: {summary['unit']}."]
    parts += [_table(name, setting) for name, setting in summary["settings"].items()]
    return "\n\n".join(parts) + "\n"


def _table(name: str, setting: dict) -> str:
    base, half = _base_and_half(setting)
    sizes = list(setting["arms"]["fixed"]["accuracy"])
    images = setting["about"]["images"]
    head = ["arm", "rate", "seeds", "steps", "pixels", "train", *(f"{size} px" for size in sizes)]
    head += [f"difference at {base} px", f"at {half} px"]
    lines = [
        f"## {name}",
        "",
        f"{images['train']:,} training and {images['test']:,} test images, {setting['about']['network']}, "
        f"{setting['about']['epochs']} epochs at {base} px. Differences are to `{setting['reference']}`, the best "
        "fixed-size arm on validation images.",
        "",
        f"| {' | '.join(head)} |",
        "|---|" + "---:|" * (len(head) - 1),
    ]
    for arm, found in setting["arms"].items():
        compared = () if arm == setting["reference"] else (base, half)
        lines.append(f"| {' | '.join(_row(arm, found, sizes, compared))} |")
    return "\n".join(lines)


def _row(name: str, arm: dict, sizes: list[str], compared: tuple[str, ...]) -> list[str]:
    cells = [f"`{name}`", f"{arm['learning_rate']:g}", str(len(arm["train_accuracy"]["by_seed"])), f"{arm['steps']:,}"]
    cells += [f"{arm['pixels_of_baseline']:.2f}", f"{arm['train_accuracy']['mean']:.1f}"]
    cells += [f"{arm['accuracy'][size]['mean']:.2f}" for size in sizes]
    return cells + ([_difference(arm["difference"].get(size)) for size in compared] or ["reference", ""])


def _difference(found: dict | None) -> str:
    if found is None:
        return ""
    if found["low"] is None:
        return f"{found['mean']:+.2f}"
    return f"{found['mean']:+.2f} [{found['low']:+.2f}, {found['high']:+.2f}]"


def _base_and_half(setting: dict) -> tuple[str, str]:
    base = setting["about"]["base_size"]
    return str(base), str(base // 2)


# The picture


def draw(summary: dict, path: pathlib.Path) -> None:
    """Draw each arm's difference to the best fixed size, at the base and at half of it, a column for each setting."""
    settings = summary["settings"]
    names = list(dict.fromkeys(name for setting in settings.values() for name in setting["arms"]))
    figure = Figure(figsize=(1.8 + 5.2 * len(settings), 2.0 + 0.28 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 * len(settings), sharey=True, squeeze=False)[0]
    for column, (title, setting) in enumerate(settings.items()):
        base, half = _base_and_half(setting)
        _panel(axes[2 * column], setting, names, base, f"{title}, {base} px (the base)", _BASE)
        _panel(axes[2 * column + 1], setting, names, half, f"{title}, {half} px (half)", _HALF)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    figure.supxlabel(
        "difference to the best fixed-size arm, points of accuracy, with 95 % interval (open: one seed)", fontsize=10
    )
    figure.savefig(path, dpi=110)


def _panel(axes, setting: dict, names: list[str], size: str, title: str, color: str) -> None:
    for place, name in enumerate(names):
        found = setting["arms"].get(name, {}).get("difference", {}).get(size)
        if found is None:
            continue
        if found["low"] is None:
            axes.plot(found["mean"], place, "o", markerfacecolor="none", color=color)
            continue
        error = [[found["mean"] - found["low"]], [found["high"] - found["mean"]]]
        axes.errorbar(found["mean"], place, xerr=error, fmt="o", color=color, capsize=3, markersize=4)
    axes.axvline(0.0, color="grey", linewidth=1)
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
