"""The scripts that measure an export run on one, and write what they promise."""

import json
import pathlib
import subprocess
import sys

import pytest
from finished_run import write_run

from keras_mixsize.cli import command, export

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    output = tmp_path_factory.mktemp("exported")
    assert command.run(export, ["export", str(finished), f"--output={output}", "--calibration_batches=1"]) == 0
    return output


def run(name, *flags):
    """Run a script of benchmarks/."""
    done = subprocess.run([sys.executable, f"benchmarks/{name}", *flags], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]


def test_the_export_is_compared_with_kerass(finished, exported, tmp_path):
    options = ["--rounds=10", "--batches=1", "--cold_starts=1", f"--output={tmp_path / 'figures.json'}"]
    run("serving.py", f"--run={finished}", f"--exported={exported}", *options)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [entry["size"] for entry in figures["sizes"]] == [8, 12]
    assert set(figures["start"]) == {"cold", "warmed_up", "keras"}
    assert figures["bytes"]["ours"]["variables"] > figures["bytes"]["weights"]
    assert set(figures["cascade"]["accuracy"]) == {"cascade", "large"}


def test_cascades_are_drawn_into_the_reports_picture(finished, exported, tmp_path):
    run("cascades.py", f"--run={finished}", f"--exported={exported}", f"--output={tmp_path / 'cascade.json'}")
    points = json.loads((tmp_path / "cascade.json").read_text())["cascades"]
    assert all(point["accuracy"]["low"] <= point["accuracy"]["value"] <= 1 for point in points)
    assert (tmp_path / "cascade.png").stat().st_size > 10_000
