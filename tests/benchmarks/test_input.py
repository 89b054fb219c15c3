"""The benchmark of the input pipeline: its pieces, and a small run of all of it."""

import json
import pathlib
import subprocess
import sys

import input_contenders as contenders
import numpy as np
import pytest
from pictures import gradient
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]


def write_photographs(folder, count, height, width):
    files = [str(folder / f"{number:03}.jpg") for number in range(count)]
    for number, file in enumerate(files):
        Image.fromarray(gradient(height, width, number)).save(file)
    return files


def test_random_windows_lie_in_the_image_and_have_the_usual_areas():
    windows = np.array([contenders.random_window(number, 375, 500) for number in range(2000)])
    top, left, height, width = windows.T
    assert (windows >= 0).all() and (top + height <= 375).all() and (left + width <= 500).all()
    areas = height * width / (375 * 500)
    assert areas.min() > 0.07 and 0.48 < areas.mean() < 0.56


def test_the_scale_is_the_largest_that_holds_the_target():
    sides = [(0, 0, 191, 400), (0, 0, 192, 400), (0, 0, 400, 383), (0, 0, 384, 400), (0, 0, 900, 768), (0, 0, 50, 40)]
    assert [contenders.scale_of(window, 96) for window in sides] == [1, 2, 2, 4, 8, 1]


def test_python_loops_read_every_file_in_turn(tmp_path):
    files, seen = write_photographs(tmp_path, 3, 20, 30), []
    made = contenders.one_by_one(lambda data, number: seen.append((number, data)), files)
    assert [next(made) for _ in range(4)] == [1] * 4
    assert [number for number, _ in seen] == [0, 1, 2, 3] and seen[0][1] == seen[3][1] != seen[1][1]


def test_turns_alternate_and_count_their_images(monkeypatch):
    made = []
    stand_ins = {name: lambda files, size, name=name: iter(lambda: made.append(name) or 4, None) for name in "ab"}
    monkeypatch.setattr(contenders, "CONTENDERS", stand_ins)
    taken = contenders.in_turns(["a", "b"], [], 8, rounds=2, images=10)
    assert {name: len(values) for name, values in taken.items()} == {"a": 2, "b": 2}
    assert made.count("a") == made.count("b") == 5 * 3  # three turns before, two that count; three times 4 images each
    assert {frozenset(made[turn : turn + 6]) for turn in range(0, 30, 6)} == {frozenset("ab")}


@pytest.mark.slow
def test_a_small_run_measures_every_part(tmp_path):
    (tmp_path / "photographs/tiny").mkdir(parents=True)
    write_photographs(tmp_path / "photographs", 32, 1500, 2000)
    write_photographs(tmp_path / "photographs" / "tiny", 1, 20, 30)  # too small, and left out
    output = tmp_path / "input.json"
    arguments = [
        "--rounds=2",
        "--images=32",
        "--size=32",
        "--large_size=96",
        "--memory_images=640",
        f"--output={output}",
    ]
    command = [sys.executable, "benchmarks/input.py", *arguments, f"--photos={tmp_path / 'photographs'}"]
    pip = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 900}
    done = subprocess.run([*command, f"--grain_python={sys.executable}"], **pip)
    assert done.returncode == 0, done.stderr[-4000:]
    facts = json.loads(output.read_text())
    assert facts["photographs"] == [32, 32] and facts["quality"] == 90
    tables = facts["tables"]
    assert list(tables) == ["500 x 375 to 32 px", "2000 x 1500 to 96 px", "load", "rounds"]
    assert all(min(times) > 0 for times in tables["500 x 375 to 32 px"]["microseconds"].values())
    assert tables["2000 x 1500 to 96 px"]["difference"]["keras_mixsize, decode='exact'"] < 0.01
    assert facts["regime"]["two_cores"]["keras_mixsize"]["ratio"][1] > 0
    assert len(facts["stages"]) == 10 and facts["stages"]["entropy decoding"] > 0
    assert facts["memory"]["images"] >= 640 and len(facts["memory"]["rss_mb_by_tenth"]) == 10
    assert facts["loaders"]["PyTorch"] == {"not compared": "no Python of an environment with it was given"}
    assert "No module named 'grain'" in facts["loaders"]["grain"]["not compared"]
