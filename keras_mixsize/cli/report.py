"""print the accuracies of finished runs side by side, and draw them in one picture

    mixsize report runs/baseline runs/b+ runs/d+ --output=runs/compare

Reads what the runs measured when they ended; `mixsize evaluate` measures them at other sizes. Shows
the calibrated accuracy where there is one, with its 95 % interval. With --output it writes
comparison.md, comparison.csv, reports.json and accuracy_by_size.png.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from keras_mixsize.cli.comparison import Comparison

FLAGS = flags.FlagValues()
OUTPUT = flags.DEFINE_string("output", None, "Folder for table, figures and picture.", flag_values=FLAGS)


def main(arguments: Sequence[str]) -> None:
    """Print the table, and write the comparison where --output says."""
    if not arguments:
        raise ValueError("name the folders of finished runs, as in `mixsize report runs/train`")
    comparison = Comparison.of_runs(arguments)
    print(comparison.table())
    if OUTPUT.value is not None:
        print(f"picture in {comparison.write(OUTPUT.value)}")
