"""What measuring scripts share: contenders in turns, medians with quartiles, ratios, tables, the file of figures.

A shared machine's speed drifts, so that a figure is a ratio of things measured side by side: contenders follow one
another round by round, and a ratio is taken pair by pair. `step_contenders.py` and `input_contenders.py` beside it have
the contenders; the scripts decide what is asked.

    seconds = alternate({"stock": lambda: seconds_of(stock.step), "ours": lambda: seconds_of(ours.step)}, rounds=9)
    facts = {"stock_seconds": Spread.quartiles(seconds["stock"]), "ratio": ratios(seconds["ours"], seconds["stock"])}
    show_spreads("steps", facts)
    write_results("runs/steps.json", facts)          # with the command, the versions and the machine
"""

from __future__ import annotations

import json
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import rich.console
import rich.table

from keras_mixsize.cli.results import versions
from keras_mixsize.files import replaced

Name, Found = TypeVar("Name", bound=Hashable), TypeVar("Found")
console = rich.console.Console(highlight=False, soft_wrap=True)


class Spread(NamedTuple):
    """A median between two bounds; JSON writes it as `[low, median, high]`, in the unit of the values."""

    low: float
    median: float
    high: float

    @classmethod
    def quartiles(cls, values: Iterable[float]) -> Spread:
        """Return the first quartile, the median and the third quartile, by linear interpolation."""
        return cls(*np.quantile(_numbers(values), [0.25, 0.5, 0.75]).tolist())

    @classmethod
    def extremes(cls, values: Iterable[float]) -> Spread:
        """Return the least, the median and the greatest: of a few values, quartiles say no more."""
        return cls(*np.quantile(_numbers(values), [0.0, 0.5, 1.0]).tolist())

    def text(self, digits: int = 3) -> str:
        """Return the median, and the bounds in brackets."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"

    def __str__(self):
        return self.text()


def _numbers(values: Iterable[float]) -> np.ndarray:
    numbers = np.array([*values], float)
    if not numbers.size:
        raise ValueError("values must hold at least one measurement, got none; measure one round or more")
    return numbers


def ratios(these: Sequence[float], those: Sequence[float]) -> Spread:
    """Return the quartiles of the ratios of two contenders, pair by pair: round 0 of one to round 0 of the other, ...

    Raises:
        ValueError: they were not measured in as many rounds.
    """
    if len(these) != len(those):
        raise ValueError(f"these and those must be of the same rounds, got {len(these)} and {len(those)} of them")
    return Spread.quartiles(np.divide(these, those))


def alternate(
    contenders: Mapping[Name, Callable[[], Found]],
    rounds: int,
    *,
    warm_up: int = 0,
    seed: int | None = None,
    watch: Callable[[int, dict[Name, Found]], None] | None = None,
) -> dict[Name, list[Found]]:
    """Return what each contender measured in each round; in a round every contender is called once.

    Args:
        contenders: by name, functions that do their work and return what they measured of it.
        rounds: how many of them count.
        warm_up: rounds before these, which do not count.
        seed: draws the order of the contenders anew for each round; the order given if None.
        watch: is called after every round with its number, below 0 while warming up, and with what was found.
    """
    found, order, draw = {name: [] for name in contenders}, list(contenders), random.Random(seed)
    for number in range(-warm_up, rounds):
        if seed is not None:
            draw.shuffle(order)
        turn = {name: contenders[name]() for name in order}
        if watch is not None:
            watch(number, turn)
        for name, value in turn.items() if number >= 0 else ():
            found[name].append(value)
    return found


def seconds_of(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the wall time of a call, in seconds."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def say_turn(number: int, turn: Mapping[Name, float]) -> None:
    """Print what a round found: a `watch` for `alternate`."""
    console.print(f"turn {number}: " + ", ".join(f"{name} {value:.3f}" for name, value in turn.items()))


def show_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of text."""
    table = rich.table.Table(*header, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show_spreads(title: str, spreads: Mapping[str, Spread], digits: int = 3) -> None:
    """Print medians with their bounds."""
    show_table(title, ["", "median (quartiles)"], [[str(name), found.text(digits)] for name, found in spreads.items()])


def measure_apart(*flags: str) -> dict:
    """Return what this script measures in a process of its own, which ends with `write_part` into its flag `output`.

    Args:
        *flags: for the script; one of them tells it to measure this one thing.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder, "part.json")
        status = subprocess.run([sys.executable, sys.argv[0], *flags, f"--output={output}"]).returncode
        if status:
            raise SystemExit(
                f"the measurement with {shlex.join(flags)} ended with status {status}, for the reason above"
            )
        return read_results(output)


def write_part(output: str | pathlib.Path, facts: Mapping[str, Any]) -> None:
    """Write what a process of its own measured, for `measure_apart`: whole or not at all."""
    pathlib.Path(output).parent.mkdir(parents=True, exist_ok=True)
    with replaced(output) as stream:
        stream.write(json.dumps(facts, indent=1).encode())


def command() -> str:
    """Return the command line of this measurement, as started from the root of a checkout."""
    return shlex.join(["python", f"benchmarks/{pathlib.Path(sys.argv[0]).name}", *sys.argv[1:]])


def read_results(output: str | pathlib.Path) -> dict:
    """Return the figures that a file holds; none if there is no such file."""
    return json.loads(pathlib.Path(output).read_text()) if pathlib.Path(output).exists() else {}


def write_results(output: str | pathlib.Path, facts: Mapping[str, Any]) -> None:
    """Write figures as JSON, whole or not at all, with the command that made them, versions and the machine.

    Args:
        output: file; its folder is made if it does not exist.
        facts: what was measured; a command and versions in it, of an earlier measurement, are replaced.
    """
    write_part(output, {**facts, "command": command(), "versions": versions()})
    console.print(f"figures in {output}")
