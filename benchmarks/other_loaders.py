"""The loaders of other frameworks, each in an environment of its own, beside ours: a core each, in turns.

    measure_loader("torch", ".venv-torch/bin/python", files, size=128, rounds=5)

`loader_program.py` is what runs in the other environment.
"""

import contextlib
import os
import pathlib
import subprocess

from input_contenders import OURS
from input_processes import racing
from measuring import Spread, alternate, ratios

PROGRAM = pathlib.Path(__file__).with_name("loader_program.py")
SECONDS = 2.0


class UnavailableError(Exception):
    """The other environment lacks what its loader needs."""


def measure_loader(name: str, python: str | None, files: list[str], *, size: int, rounds: int) -> dict:
    """Return the rates of another loader and of ours, each on one core, in images per second; or why there are none.

    Args:
        name: `torch` or `grain`.
        python: of an environment that has it; None if there is none.
        files: JPEG files, all of one folder.
        size: target, in pixels.
        rounds: turns.
    """
    if python is None:
        return {"not compared": "no Python of an environment with it was given"}
    folder = str(pathlib.Path(files[0]).parent)
    try:
        with loader_in(python, name, folder, str(size)) as theirs, racing(OURS, files, size, cores=1) as ours:
            rates = alternate({"theirs": theirs, "ours": ours}, rounds)
    except UnavailableError as error:
        return {"not compared": str(error)}
    spreads = {whose: Spread.quartiles(values) for whose, values in rates.items()}
    return spreads | {"ratio": ratios(rates["ours"], rates["theirs"])}


@contextlib.contextmanager
def loader_in(python: str, *arguments: str):
    """Yield a function that measures the rate of another loader, which runs on the first core.

    Raises:
        UnavailableError: it ended before it was ready; the message is the last line that it said.
    """
    core = sorted(os.sched_getaffinity(0))[:1]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [python, str(PROGRAM), *arguments]
    with subprocess.Popen(command, **pipes, preexec_fn=lambda: os.sched_setaffinity(0, core)) as other:

        def measure() -> float:
            print(SECONDS, file=other.stdin, flush=True)
            return float(other.stdout.readline())

        try:
            if other.stdout.readline() != "ready\n":
                raise UnavailableError(other.communicate()[1].strip().splitlines()[-1])
            yield measure
        finally:
            other.kill()
