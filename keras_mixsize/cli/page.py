"""A report of finished runs as one HTML file, which needs no network and nothing beside it. Loads no TensorFlow.

It shows what is in the folders: settings, sizes, epochs, step times, accuracies and example pictures. What a run has
not recorded, as those of version 0.1.0 did not, is said there. Neighbours: `report.html` (the form), `page_pictures`,
`comparison`.

    write_page(["runs/baseline", "runs/d+"], "runs/compare/report.html")
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras_mixsize as kms
from keras_mixsize.cli import page_pictures
from keras_mixsize.cli.comparison import Comparison, row_of, text_of
from keras_mixsize.cli.config import RunConfig, read_config
from keras_mixsize.evaluation.report import SizeReport
from keras_mixsize.files import replaced

FILE = "report.html"
MISSING = "report.html needs the package jinja2: pip install 'keras_mixsize[report]'"
WITHIN = 0.01  # of the best accuracy, for the choice of a size
_BESIDE = ("recipe", "regime", "output", "name", "sizes")  # settings that are shown elsewhere, or below


def has_jinja() -> bool:
    """Return whether jinja2, which fills in the form, is installed."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        return False
    return True


def write_page(folders: Sequence[str | os.PathLike], path: str | os.PathLike) -> None:
    """Write the report of runs.

    Args:
        folders: of finished runs, at least one.
        path: of the HTML file.

    Raises:
        FileNotFoundError: no finished run, as in `Comparison.of_runs`.
        ValueError: jinja2 is missing, or a file that holds no report.
    """
    if not has_jinja():
        raise ValueError(MISSING)
    import jinja2

    comparison = Comparison.of_runs(folders)
    text = pathlib.Path(__file__).with_name("report.html").read_text()
    options: dict[str, Any] = {"autoescape": True, "undefined": jinja2.StrictUndefined, "trim_blocks": True}
    page = jinja2.Environment(**options).from_string(text).render(content(comparison, folders))
    with replaced(path) as stream:
        stream.write(page.encode())


def content(comparison: Comparison, folders: Sequence[str | os.PathLike]) -> dict[str, Any]:
    """Return what the page shows, by the names that report.html has for it."""
    reports = comparison.reports
    return {
        "title": " · ".join(report.name for report in reports),  # names may hold commas
        "version": kms.__version__,
        "accuracies": [(size, [text_of(row_of(report, size)) for report in reports]) for size in comparison.sizes],
        "by_size": embedded(page_pictures.accuracy_by_size(reports)),
        "by_compute": embedded(page_pictures.accuracy_by_compute(reports)),
        "runs": [run_of(report, pathlib.Path(folder)) for report, folder in zip(reports, folders)],
    }


def run_of(report: SizeReport, folder: pathlib.Path) -> dict[str, Any]:
    """Return what the page shows of one run, by name; None or nothing for what the run has not recorded."""
    file = folder / "results.json"
    results = json.loads(file.read_text()) if file.is_file() else {}
    config = read_config(file) if "config" in results else None
    history, chosen = results.get("history", {}), report.choose(WITHIN)
    return {
        "name": report.name,
        "choice": embedded(page_pictures.choice(report, WITHIN)),
        "choice_words": f"{chosen.size} px is the cheapest size within {100 * WITHIN:g} point of the best",
        "regime": config and config.regime.table(by_size=config.recipe.by_size),
        "schedule": embedded(config and page_pictures.schedule(config.regime)),
        "learning_rate": embedded(config and page_pictures.learning_rate(config.recipe.schedule, config.recipe.epochs)),
        "loss": embedded(page_pictures.epochs(history, "loss")),
        "training_accuracy": embedded(page_pictures.epochs(history, "accuracy")),
        "events": events(results),
        "steps": step_rows(results),
        "speed": speed(results),
        "examples": examples(folder),
        "settings": settings(results, config),
    }


def embedded(svg: str | None) -> str | None:
    """Return a picture as the address of an `<img>` that holds it whole."""
    return svg and f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def events(results: dict) -> list[str]:
    """Return a line on skipped steps and one on damaged images."""
    history = results.get("history", {})
    skipped = int(sum(history["skipped_steps"])) if "skipped_steps" in history else None
    lines = [f"Skipped steps, because gradients were not finite: {'not recorded' if skipped is None else skipped}."]
    if "damaged" not in results:
        return [*lines, "Damaged images: not recorded."]
    damaged = results["damaged"]
    return [*lines, f"Damaged images that were skipped: {len(damaged)}.", *damaged[:20]]


def step_rows(results: dict) -> list[list[str]]:
    """Return a row for each bucket: size, batch, copies, seconds to compile, ms of a step, images a second, MiB."""
    rows = []
    for warmed in results.get("warm_up", []):
        images = warmed["batch"] * warmed["duplicates"]
        seconds, peak = warmed["step_seconds"], warmed["peak_bytes"] / 2**20
        times = [f"{warmed['compile_seconds']:.1f}", f"{1000 * seconds:.1f}", f"{images / seconds:,.0f}", f"{peak:.0f}"]
        rows.append([f"{warmed['size']} px", str(warmed["batch"]), str(warmed["duplicates"]), *times])
    return rows


def speed(results: dict) -> list[str]:
    """Return lines on steps and time, as far as they were recorded."""
    lines = []
    if {"steps", "train_seconds"} <= results.keys():
        lines.append(f"{results['steps']:,} steps, {results['train_seconds']:,.1f} s of training.")
    if means := [1000 * seconds / results["steps_per_epoch"] for seconds in results.get("epoch_seconds", [])]:
        shown = f"{min(means):.1f} to {max(means):.1f}" if len(means) > 1 else f"{means[0]:.1f}"
        lines.append(f"Mean step of an epoch, with its input: {shown} ms.")
    return lines


def examples(folder: pathlib.Path) -> list[tuple[str, str, int]]:
    """Return address, words and width in pixels of the example pictures in a run's folder, by size."""
    found = []
    for file in (folder / "examples").glob("*x*x*.png"):
        size, batch, duplicates = map(int, file.stem.split("x"))
        png = file.read_bytes()
        width = int.from_bytes(png[16:20], "big")  # in the header of every PNG
        words = f"{size} px, batch {batch}, {duplicates} {'copy' if duplicates == 1 else 'copies'} of each image"
        address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        found.append(((size, batch, duplicates), (address, words, width * max(1, 64 // size))))
    return [entry for _, entry in sorted(found)]


def settings(results: dict, config: RunConfig | None) -> list[tuple[str, str]]:
    """Return names and values of settings and versions, as far as they were recorded."""
    lines = [("command", results["command"])] if "command" in results else []
    if config is not None:
        lines += [(name, str(value)) for name, value in vars(config.recipe).items() if value not in (None, {}, "")]
        lines += [(name, str(value)) for name, value in vars(config).items() if name not in _BESIDE]
    lines += list(results.get("versions", {}).items())
    return list(dict(lines).items())
