"""`mixsize report`: finished runs side by side, from their files alone."""

import csv
import json
import sys

import pytest

from keras_mixsize.cli import command, report


def mixsize_report(*arguments):
    return command.run(report, ["mixsize report", *map(str, arguments)])


def write_results(folder, name, accuracies, file="results.json"):
    """Write what a run leaves of its accuracies, percent by size."""
    rows = [
        {
            "size": size,
            "accuracy": {"value": value / 200, "low": 0.0, "high": 1.0},
            "loss": 1.0,
            "calibrated": {"value": value / 100, "low": value / 100 - 0.01, "high": value / 100 + 0.01},
            "calibrated_loss": 1.0,
            "multiply_adds": 1000 * size**2,
            "latency_ms": None,
        }
        for size, value in accuracies.items()
    ]
    found = {"name": name, "rows": rows, "about": {}}
    folder.mkdir()
    (folder / file).write_text(json.dumps({"report": found} if file == "results.json" else found))
    return folder


@pytest.fixture
def runs(tmp_path):
    return [
        write_results(tmp_path / "first", "b+", {16: 80.0, 24: 85.5}),
        write_results(tmp_path / "second", "b+", {24: 90.0, 32: 95.25}, "report.json"),
    ]


def test_runs_stand_side_by_side_under_names_that_differ(runs, capsys):
    assert mixsize_report(*runs) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[0] == ["size", "b+ (first)", "b+ (second)"]
    assert cells[1:3] == [
        ["16 px", "80.0 % [79.0, 81.0]", "-"],
        ["24 px", "85.5 % [84.5, 86.5]", "90.0 % [89.0, 91.0]"],
    ]


def test_table_figures_and_picture_are_written(runs, tmp_path):
    assert mixsize_report(*runs, f"--output={tmp_path / 'new/out'}") == 0
    out = tmp_path / "new/out"
    assert "| 32 px | - | 95.2 % [94.2, 96.2] |" in (out / "comparison.md").read_text()
    with (out / "comparison.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["name"], row["size"], row["calibrated"]) for row in rows][-1] == ("b+ (second)", "32", "0.9525")
    assert (out / "accuracy_by_size.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((out / "reports.json").read_text())) == 2
    assert "95.2 % [94.2, 96.2]" in (out / "report.html").read_text()


def test_without_jinja2_all_but_the_page_can_be_had(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert mixsize_report(*runs, f"--output={tmp_path / 'out'}", "--html") == 2
    assert "keras_mixsize[report]" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert mixsize_report(*runs, f"--output={tmp_path / 'out'}") == 0
    assert "no report.html" in capsys.readouterr().out
    assert not (tmp_path / "out/report.html").exists() and (tmp_path / "out/comparison.md").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "results.json holds no report"), ("[]", "holds no report"), ('{"report": {"rows": 1}}', "holds no report")],
)
def test_a_broken_file_is_named(tmp_path, capsys, text, message):
    (tmp_path / "results.json").write_text(text)
    assert mixsize_report(tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error and str(tmp_path) in error and len(error.splitlines()) == 1


def test_nothing_to_report_is_said(tmp_path, capsys):
    assert mixsize_report() == 2 and mixsize_report(tmp_path) == 2
    assert "name the folders" in (error := capsys.readouterr().err) and "has no results.json" in error
