"""print the accuracies of finished runs side by side, and draw them in one picture

    mixsize report runs/baseline runs/b+ runs/d+ --output=runs/compare

Reads what the runs measured when they ended; `mixsize evaluate` measures them at other sizes. Shows
the calibrated accuracy where there is one, with its 95 % interval. With --output it writes
report.html, which holds all that the runs recorded, and comparison.md,
comparison.csv, reports.json and accuracy_by_size.png.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from absl import flags

from keras_mixsize.cli.comparison import Comparison
from keras_mixsize.cli.page import FILE, MISSING, has_jinja, write_page

FLAGS = flags.FlagValues()
OUTPUT = flags.DEFINE_string("output", None, "Folder for table, figures and picture.", flag_values=FLAGS)
HTML = flags.DEFINE_boolean(
    "html", None, "Write report.html; it is if jinja2 is installed, unless told.", flag_values=FLAGS
)


def main(arguments: Sequence[str]) -> None:
    """Print the table, and write the comparison where --output says."""
    if not arguments:
        raise ValueError("name the folders of finished runs, as in `mixsize report runs/train`")
    html = has_jinja() if HTML.value is None else HTML.value
    if html and not has_jinja():
        raise ValueError(f"{MISSING}, or leave --html out")
    comparison = Comparison.of_runs(arguments)
    print(comparison.table())
    if OUTPUT.value is not None:
        print(f"picture in {comparison.write(OUTPUT.value)}")
        if HTML.value is None and not html:
            print(f"no report.html: {MISSING}")
        if html:
            write_page(arguments, page := pathlib.Path(OUTPUT.value) / FILE)
            print(f"report in {page}")
