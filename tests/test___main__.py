"""`python -m keras_mixsize` is the command."""

import subprocess
import sys

import keras_mixsize


def test_the_package_runs_as_the_command():
    answer = subprocess.run(
        [sys.executable, "-m", "keras_mixsize", "--version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout == f"keras_mixsize {keras_mixsize.__version__}\n"
