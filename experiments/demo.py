"""The main job on embedded data: one size and mixed sizes at equal cost, and their accuracy at other test sizes.

    make demo          # or: python experiments/demo.py --output=runs/demo

Trains a small ResNet on 4,000 letters and digits twice, at 16 px and at sizes around it (B+, the last fifth of the
steps at 16 px), each for about the same number of pixels, and tests both at five sizes on 9,300 others, of unseen
fonts. Writes the picture, a CSV, and a JSON with everything that was measured. More seeds and data: docs/evidence.
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
from keras_mixsize.recipes.budget import equal_epochs

FLAGS = flags.FlagValues()
OUTPUT = flags.DEFINE_string("output", "runs/demo", "Folder for the results.", flag_values=FLAGS)
EPOCHS = flags.DEFINE_integer(
    "epochs", 60, "Epochs at one size; mixed sizes get the same cost.", lower_bound=1, flag_values=FLAGS
)
SEED = flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.", lower_bound=0, flag_values=FLAGS)
SMOKE = flags.DEFINE_boolean("smoke", False, "Seconds instead of minutes; the numbers mean nothing.", flag_values=FLAGS)
SIZES = (8, 12, 16, 20, 24)
POINT = 0.01
NAMES = {"baseline": "trained at 16 px only", "b+": "MixSize, B+"}


def configs(output: str = "runs/demo", *, epochs: int = 60, seed: int = 0, smoke: bool = False) -> list[RunConfig]:
    """Return the two runs, of about equal cost in pixels.

    Args:
        output: folder for the runs' folders.
        epochs: of the baseline.
        seed: of weights, order and augmentation.
        smoke: take few examples, one epoch and two sizes.
    """
    runs = [
        RunConfig(
            recipe=kms.recipes.find(f"glyphs/resnet14/{mode}"),
            name=name,
            output=f"{output}/{mode}",
            seed=seed,
            sizes=SIZES[1:3] if smoke else SIZES,
            calibration_batches=2 if smoke else 64,
            limit=512 if smoke else 4000,
            tensorboard=False,
        )
        for mode, name in NAMES.items()
    ]
    return [lasting(config, runs[0], 1 if smoke else epochs) for config in runs]


def lasting(config: RunConfig, baseline: RunConfig, epochs: int) -> RunConfig:
    """Return a run of the epochs that cost about what the baseline's do."""
    own = equal_epochs(config.regime, baseline.regime, config.limit, epochs)
    return RunConfig(**vars(config) | {"recipe": config.recipe.lasting(own)})


def summary(baseline: kms.SizeReport, mixed: kms.SizeReport) -> list[str]:
    """Return what came out, in words: at the base, where the gap is widest, and the compute for a point less."""
    base = baseline.at(16)
    widest = max(mixed.rows, key=lambda row: row.best.value - baseline.at(row.size).best.value)
    lines = [
        _at(mixed, baseline, 16) + ", the size of the baseline's training.",
        _at(mixed, baseline, widest.size) + ", the widest gap.",
    ]
    near = [row for row in mixed.rows if row.best.value >= base.best.value - POINT]
    goal = f"the baseline's {base.best.value:.1%} at {base.size} px"
    if not near:
        return [*lines, f"{mixed.name} does not come within a point of {goal} at any of these sizes."]
    row = min(near, key=lambda row: row.multiply_adds)
    share = row.multiply_adds / base.multiply_adds
    cheapest = f"at {row.size} px ({row.best.value:.1%}), with {share:.0%} of the compute."
    return [*lines, f"{mixed.name} comes within a point of {goal} {cheapest}"]


def _at(mixed: kms.SizeReport, baseline: kms.SizeReport, size: int) -> str:
    ours, theirs = mixed.at(size).best.value, baseline.at(size).best.value
    return f"At {size} px {ours:.1%} against {theirs:.1%}: {100 * (ours - theirs):+.1f} points"


def steps_in_words(runs: list[RunConfig]) -> str:
    """Return how many steps the runs take."""
    steps = [f"{config.name} {config.recipe.epochs * config.regime.steps_per_epoch(config.limit):,}" for config in runs]
    return f"Steps: {', '.join(steps)}, for about the same number of pixels."


def main(arguments: list[str]) -> None:
    """Train the two networks, and write and print what came out."""
    del arguments
    from keras_mixsize.cli.run import run  # here, because it loads TensorFlow

    start = time.perf_counter()
    output = pathlib.Path(OUTPUT.value)
    shutil.rmtree(output, ignore_errors=True)
    runs = configs(OUTPUT.value, epochs=EPOCHS.value, seed=SEED.value, smoke=SMOKE.value)
    reports = [run(config) for config in runs]
    title = "Letters of unseen fonts, 4,000 training images, ResNet-14: equal training cost"
    reports[0].plot(output / "accuracy_by_size.png", *reports[1:], title=title)
    with (output / "accuracy_by_size.csv").open("w") as table:
        for index, config in enumerate(runs):
            lines = pathlib.Path(config.output, "report.csv").read_text().splitlines(keepends=True)
            table.writelines(lines[index > 0 :])
    words = [steps_in_words(runs), *summary(*reports)]
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
