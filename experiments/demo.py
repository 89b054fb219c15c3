"""The main job on the embedded data: baseline, B+ and D+ at equal cost, and their accuracy at many test sizes.

    make demo          # or: python experiments/demo.py --output=runs/demo

Trains a small ResNet on 10,000 Fashion-MNIST images three times, each for about the same number of pixels, and tests on
2,000 others at eight sizes, four of which the mixed regimes train on. Writes the picture, a CSV, and a JSON with
everything that was measured.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import sys
import time

from absl import flags

import keras_mixsize as kms
from keras_mixsize.cli import command
from keras_mixsize.cli.config import RunConfig
from keras_mixsize.cli.results import console, replace_file, versions

FLAGS = flags.FlagValues()
OUTPUT = flags.DEFINE_string("output", "runs/demo", "Folder for the results.", flag_values=FLAGS)
EPOCHS = flags.DEFINE_integer(
    "epochs", 9, "Epochs of the baseline; the others get the same cost.", lower_bound=1, flag_values=FLAGS
)
SEED = flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.", lower_bound=0, flag_values=FLAGS)
SMOKE = flags.DEFINE_boolean("smoke", False, "Seconds instead of minutes; the numbers mean nothing.", flag_values=FLAGS)
SIZES = (12, 16, 20, 24, 28, 32, 40, 48)
MODES = ("baseline", "b+", "d+")
TOLERANCE = 0.03  # a size "holds up" if the network loses less than this there against its own best


def configs(output: str = "runs/demo", *, epochs: int = 9, seed: int = 0, smoke: bool = False) -> list[RunConfig]:
    """Return the three runs, of about equal cost in pixels.

    Args:
        output: folder for the runs' folders.
        epochs: of the baseline.
        seed: of weights, order and augmentation.
        smoke: take few examples, one epoch and two sizes.
    """
    examples = 512 if smoke else 10_000
    recipes = {mode: kms.recipes.find(f"embedded/resnet8/{mode}") for mode in MODES}
    regimes = {mode: kms.Regime.preset(recipe.regime) for mode, recipe in recipes.items()}
    costs = {mode: regime.steps_per_epoch(examples) * regime.mean_cost for mode, regime in regimes.items()}
    budget = (1 if smoke else epochs) * costs["baseline"]
    return [
        RunConfig(
            recipe=recipes[mode].lasting(max(1, round(budget / costs[mode]))),
            name=mode.upper() if mode != "baseline" else "baseline, 32 px",
            output=f"{output}/{mode}",
            seed=seed,
            sizes=SIZES[:2] if smoke else SIZES,
            calibration_batches=2 if smoke else 25,
            limit=examples,
            tensorboard=False,
        )
        for mode in MODES
    ]


def summary(baseline: kms.SizeReport, mixed: kms.SizeReport) -> list[str]:
    """Return what came out, in words: how much of the size range holds up, and the compute for the same accuracy."""
    own = baseline.at(32 if 32 in [row.size for row in baseline.rows] else SIZES[0])  # of a smoke run the smallest
    name = mixed.name
    lines = [
        f"Within {100 * TOLERANCE:.0f} points of its own best accuracy, the baseline holds up at "
        f"{_sizes(held_up(baseline))}, {name} at {_sizes(held_up(mixed))}."
    ]
    reaching = [row for row in mixed.rows if row.best.value >= own.best.value]
    if reaching:
        row = min(reaching, key=lambda row: row.multiply_adds)
        share = row.multiply_adds / own.multiply_adds
        goal = f"the baseline's {own.best.value:.1%} at {own.size} px"
        lines.append(f"{name} reaches {goal} at {row.size} px ({row.best.value:.1%}) with {share:.0%} of the compute.")
    else:
        row = max(mixed.rows, key=lambda row: row.best.value)
        below = 100 * (own.best.value - row.best.value)
        share = row.multiply_adds / own.multiply_adds
        lines.append(
            f"{name} stays {below:.1f} points below the baseline's {own.best.value:.1%} at {own.size} px: its best is "
            f"{row.best.value:.1%}, at {row.size} px with {share:.0%} of the compute."
        )
    worst = max(mixed.rows, key=lambda row: row.best.value - baseline.at(row.size).best.value)
    other = baseline.at(worst.size)
    lines.append(f"Widest gap: {name} {worst.best.value:.1%} against {other.best.value:.1%} at {worst.size} px.")
    return lines


def held_up(report: kms.SizeReport) -> list[int]:
    """Return the sizes at which a network comes close to its own best accuracy."""
    best = max(row.best.value for row in report.rows)
    return [row.size for row in report.rows if row.best.value >= best - TOLERANCE]


def _sizes(sizes: list[int]) -> str:
    return f"{len(sizes)} of {len(SIZES)} sizes ({', '.join(map(str, sizes))} px)" if sizes else "no size"


def steps_in_words(runs: list[RunConfig]) -> str:
    """Return how many steps an epoch takes under each regime."""
    steps = {config.name: config.regime.steps_per_epoch(config.limit) for config in runs}
    baseline, batch_grown = steps[runs[0].name], steps[runs[1].name]
    counts = ", ".join(f"{name} {count}" for name, count in steps.items())
    saved = 1 - batch_grown / baseline
    return f"Steps per epoch: {counts}; B+ takes {saved:.0%} fewer steps than the baseline for the same examples."


def main(arguments: list[str]) -> None:
    """Train the three networks, and write and print what came out."""
    del arguments
    from keras_mixsize.cli.run import run  # here, because it loads TensorFlow

    start = time.perf_counter()
    output = pathlib.Path(OUTPUT.value)
    shutil.rmtree(output, ignore_errors=True)
    runs = configs(OUTPUT.value, epochs=EPOCHS.value, seed=SEED.value, smoke=SMOKE.value)
    reports = [run(config) for config in runs]
    title = "Fashion-MNIST, 10,000 images, ResNet-8: equal training cost"
    reports[0].plot(output / "accuracy_by_size.png", *reports[1:], title=title)
    with (output / "accuracy_by_size.csv").open("w") as table:
        for index, config in enumerate(runs):
            lines = pathlib.Path(config.output, "report.csv").read_text().splitlines(keepends=True)
            table.writelines(lines[index > 0 :])
    words = [steps_in_words(runs)] + [line for report in reports[1:] for line in summary(reports[0], report)]
    seconds = time.perf_counter() - start
    fields = {"seconds": round(seconds), "versions": versions(), "words": words}
    fields["reports"] = [json.loads(report.to_json()) for report in reports]
    replace_file(output / "demo.json", json.dumps(fields, indent=1))
    console.rule("accuracy by test size, calibrated")
    console.print(comparison(reports))
    for line in words:
        console.print(f"- {line}")
    console.print(f"{seconds / 60:.1f} minutes. Picture, CSV and JSON are in {output}/")


def comparison(reports: list[kms.SizeReport]) -> str:
    """Return one table of all reports, as Markdown that reads well in a terminal too."""
    lines = ["| size | " + " | ".join(report.name for report in reports) + " |", "|---:|" + "---:|" * len(reports)]
    for row in reports[0].rows:
        cells = [f"{report.at(row.size).best.value:.1%}" for report in reports]
        lines.append(f"| {row.size} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(command.run(sys.modules[__name__], sys.argv))
