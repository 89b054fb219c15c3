"""The scripts of experiments/ and benchmarks/, for tests: as processes, or in this one."""

import contextlib
import importlib
import io
import pathlib
import subprocess
import sys
import types

from keras_mixsize.cli import command

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("experiments", "experiments/data", "benchmarks", "docs/tools")


def find_script(name):
    return next(ROOT / folder / name for folder in FOLDERS if (ROOT / folder / name).exists())


def run_script(name, *arguments, check=True):
    """Run a script as a user starts it; a process of its own takes some seconds to load TensorFlow."""
    words = [sys.executable, str(find_script(name)), *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1500, cwd=ROOT)
    assert not check or done.returncode == 0, done.stderr[-4000:]
    return done


def call_script(name, *arguments):
    """Run a script of `command.run` in this process; return what a process would give: status and output."""
    module = importlib.import_module(name.removesuffix(".py"))
    assert pathlib.Path(module.__file__) == find_script(name)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = command.run(module, [name, *map(str, arguments)])
    return types.SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())
