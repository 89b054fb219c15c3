"""Reports under names that differ; what is written of them is tested in test_report.py."""

import pytest

from keras_mixsize.cli.comparison import Comparison
from keras_mixsize.evaluation.report import SizeReport


@pytest.mark.parametrize(
    ("names", "folders", "expected"),
    [
        (["a", "b"], ["runs/x", "runs/y"], ["a", "b"]),
        (["a", "a", "b"], ["runs/x", "runs/y", "runs/z"], ["a (x)", "a (y)", "b"]),
        (["a", "a"], ["one/x", "two/x"], ["a (1)", "a (2)"]),
        (["a"], [], ["a"]),
    ],
)
def test_names_that_are_equal_get_the_folder_or_a_number(names, folders, expected):
    reports = [SizeReport(name, ()) for name in names]
    assert [report.name for report in Comparison.of(reports, folders).reports] == expected
