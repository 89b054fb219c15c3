"""The scripts of experiments/ as processes, for tests."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def run_script(name, *arguments, check=True):
    command = [sys.executable, str(ROOT / "experiments" / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=ROOT)
    assert not check or done.returncode == 0, done.stderr[-4000:]
    return done
