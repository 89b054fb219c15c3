"""The command `mixsize search`: what it refuses, and that a killed one goes on."""

import os
import signal
import subprocess
import sys

import pytest

from keras_mixsize.cli import command, search
from keras_mixsize.cli.config import read_config


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--goal=fast"], "goal must be mean, a size such as 16, or a latency such as 5ms, got 'fast'"),
        (["one", "two"], "name one data set"),
        (["--recipe=embedded/resnet8/c+"], "no recipe 'embedded/resnet8/c+'"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, message, capsys):
    assert command.run(search, ["mixsize search", *arguments]) == command.USER_ERROR
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_search_goes_on(tmp_path):
    """A real search of the smallest kind, killed within its second trial."""
    asked = [sys.executable, "-m", "keras_mixsize", "search", "--recipe=embedded/resnet8/d+", "--smoke"]
    asked += ["--trials=3", f"--output={tmp_path}"]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, env=environment) as first:
        for line in first.stdout:
            if line.startswith("trial 0"):
                break
        first.send_signal(signal.SIGKILL)
    again = subprocess.run(asked, capture_output=True, text=True, env=environment, check=True)
    assert "trial 0:" not in again.stdout and again.stdout.count("trial ") >= 2
    assert read_config(tmp_path / "run.json").recipe.epochs >= 1
