"""Collects finished runs into the paper's table of accuracies, with empty cells for what has not been run.

    python experiments/collect_results.py --runs=runs --output=docs/results/accuracy.json

Looks for results.json in every folder below --runs, however deep. A row of the paper shows its own accuracies and,
below, those of finished runs of the same recipe, calibrated, at the regime's base size: the mean over seeds, with how
many. Runs of other recipes and data sets follow. Runs with changed settings (fewer epochs, another data set) are
listed under what they were, never as the paper's row.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import sys

from absl import flags

import keras_mixsize as kms
from keras_mixsize.cli import command
from keras_mixsize.cli.names import short_name
from keras_mixsize.cli.results import console, replace_file
from keras_mixsize.recipes.paper import PAPER
from keras_mixsize.recipes.recipe import Recipe
from keras_mixsize.recipes.table import RECIPES
from keras_mixsize.regimes.presets import FAMILIES

FLAGS = flags.FlagValues()
_OWN = {"flag_values": FLAGS}
RUNS = flags.DEFINE_string("runs", "runs", "Folder that holds the folders of finished runs.", **_OWN)
OUTPUT = flags.DEFINE_string("output", "runs/accuracy.json", "File for the table's figures.", **_OWN)
MODES = ("baseline", "b+", "d+")


def load_runs(folder: pathlib.Path) -> list[dict]:
    """Return what is needed of every finished run below a folder.

    Raises:
        FileNotFoundError: none is there.
    """
    files = sorted(folder.rglob("results.json"))
    if not files:
        raise FileNotFoundError(f"--runs: no results.json below {folder}; train.py writes it at the end of a run")
    return [facts_of(json.loads(file.read_text())) for file in files]


def facts_of(results: dict) -> dict:
    """Return name, seed, accuracy by size, steps and time of one run, and whether its recipe was followed."""
    config, recipe = results["config"], Recipe.from_dict(results["config"]["recipe"])
    followed = RECIPES.get(recipe.name) == recipe and config["limit"] is None and config["dataset"] == recipe.dataset
    rows = results["report"]["rows"]
    return {
        "recipe": recipe.name
        if followed
        else f"{short_name(config['dataset'])}/{recipe.network}/{recipe.mode}, changed",
        "paper": followed and any((row.dataset, row.network) == (recipe.dataset, recipe.network) for row in PAPER),
        "base_size": config["regime"]["base"]["size"],
        "epochs": recipe.epochs,
        "seed": config["seed"],
        "steps": results["steps"],
        "train_seconds": results["train_seconds"],
        "accuracy": {str(row["size"]): 100 * (row["calibrated"] or row["accuracy"])["value"] for row in rows},
        "report": results["report"],
        "command": results["command"],
        "versions": results["versions"],
    }


def draw(runs: list[dict], folder: pathlib.Path) -> None:
    """Draw the first seed of every mode of a network on a data set in one picture."""
    groups: dict[str, dict[str, dict]] = {}
    for run in runs:
        start, _, mode = run["recipe"].rpartition("/")
        groups.setdefault(start, {}).setdefault(mode, run)
    for start, by_mode in groups.items():
        ordered = sorted(by_mode, key=lambda mode: (*MODES, mode).index(mode))
        reports = [kms.SizeReport.from_json(json.dumps(by_mode[mode]["report"])) for mode in ordered]
        reports[0].plot(folder / f"{start.replace('/', '_')}.png", *reports[1:], title=start)


def cell(runs: list[dict], size: int) -> str:
    """Return the mean accuracy of runs at a size, with the number of seeds, or nothing."""
    values = [run["accuracy"][str(size)] for run in runs if str(size) in run["accuracy"]]
    if not values:
        return ""
    return f"{statistics.mean(values):.2f} ({len(values)} seed{'s' if len(values) > 1 else ''})"


def table(runs: list[dict]) -> str:
    """Return the table as Markdown: the paper's rows, then every other."""
    by_recipe: dict[str, list[dict]] = {}
    for run in runs:
        by_recipe.setdefault(run["recipe"], []).append(run)
    lines = ["| network | data | whose | baseline | B+ | D+ |", "|---|---|---|---:|---:|---:|"]
    for row in PAPER:
        names = [f"{row.dataset}/{row.network}/{mode}" for mode in MODES]
        cells = [cell(by_recipe.pop(name, []), FAMILIES[row.family].base_size) for name in names]
        printed = " | ".join(f"{value:.2f}" for value in row.accuracy)
        lines += [f"| {row.network} | {row.dataset} | paper | {printed} |"]
        lines += [f"| | | ours | {' | '.join(cells)} |"]
    others = dict.fromkeys(tuple(name.split("/")[:2]) for name in by_recipe)
    for dataset, network in others:
        cells = [others_cell(by_recipe, f"{dataset}/{network}/{mode}") for mode in MODES]
        lines.append(f"| {network} | {dataset} | ours | {' | '.join(cells)} |")
    return "\n".join(lines)


def others_cell(by_recipe: dict, name: str) -> str:
    """Return the cell of a recipe that is not in the paper, changed or not."""
    runs, changed = by_recipe.get(name, []), by_recipe.get(f"{name}, changed", [])
    parts = [cell(group, group[0]["base_size"]) for group in (runs, changed) if group]
    return ", changed: ".join(parts) if runs else "".join(f"changed: {part}" for part in parts)


def main(arguments: list[str]) -> None:
    """Print the table, draw each network's modes, and write the figures."""
    del arguments
    runs = load_runs(pathlib.Path(RUNS.value))
    console.print(table(runs))
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(runs, output.parent)
    runs = [{key: value for key, value in run.items() if key != "report"} for run in runs]
    replace_file(output, json.dumps({"table": table(runs), "runs": runs}, indent=1))
    console.print(f"figures in {output}")


if __name__ == "__main__":
    sys.exit(command.run(sys.modules[__name__], sys.argv))
