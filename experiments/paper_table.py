"""Prints the paper's rows beside what the library makes of them: size of the networks, and steps of every regime.

    python experiments/paper_table.py

Steps are epochs times the plan's steps per epoch, for both meanings of the probabilities. Nothing is trained.
"""

from __future__ import annotations

import sys

from absl import flags

import keras_mixsize as kms
from keras_mixsize.cli import command
from keras_mixsize.recipes.paper import PAPER, PaperRow
from keras_mixsize.regimes.presets import FAMILIES

FLAGS = flags.FlagValues()
MODES = ("baseline", "b+", "d+")


def steps(row: PaperRow, mode: str, **options) -> float:
    """Return the steps of a run, in thousands."""
    regime = kms.Regime.preset(f"{row.family}/{mode}", **options)
    return row.epochs * regime.steps_per_epoch(row.examples) / 1000


def network_sizes(row: PaperRow) -> tuple[str, str]:
    """Return parameters in millions and multiply-adds at the base size in millions."""
    from keras_mixsize.training.complexity import multiply_adds  # here, because it loads TensorFlow

    model = kms.models.build(row.network, classes=row.classes)
    return f"{model.count_params() / 1e6:.2f}", f"{multiply_adds(model, FAMILIES[row.family].base_size) / 1e6:,.0f}"


HEADER = ("network", "data", "M params", "M mult-adds", "paper", "share=steps", "share=samples", "authors' rounding")
WHY = """Steps in thousands: baseline / B+ / D+. Where they differ: the paper's B+ counts lie between the two meanings
of p. With share=steps small sizes take more samples per step, so an epoch is shorter; with share=samples the small
batches of the large sizes need most of the steps. D+ keeps the baseline's batch in the paper; within the budget 48 px
and 24 px take smaller ones here. "authors' rounding" is share=samples with rounding=nearest."""


def main(arguments: list[str]) -> None:
    """Print the table and why the columns differ."""
    del arguments
    lines = [HEADER, ["---"] * len(HEADER)]
    for row in PAPER:
        ours = [
            [steps(row, mode, **options) for mode in MODES]
            for options in ({}, {"share": "samples"}, {"share": "samples", "rounding": "nearest"})
        ]
        counts = [" / ".join(f"{count:.0f}" for count in counts) for counts in (row.steps, *ours)]
        lines.append([row.network, row.dataset, *network_sizes(row), *counts])
    print("\n".join("| " + " | ".join(line) + " |" for line in lines))
    print(f"\n{WHY}")


if __name__ == "__main__":
    sys.exit(command.run(sys.modules[__name__], sys.argv))
