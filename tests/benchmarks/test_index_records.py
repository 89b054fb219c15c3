"""The benchmark of indexing shards: a small run of all of it."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_both_contenders_find_the_same_and_the_library_is_faster(tmp_path):
    flags = ["--records=2000", "--shards=2", "--rounds=1", f"--output={tmp_path}/figures.json"]
    subprocess.run([sys.executable, "benchmarks/index_records.py", *flags], cwd=ROOT, check=True)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["records"] == 2000 and figures["loop_over_library_processor"][1] > 1.5
