"""Grid: which run is worth most next, and the folder of results that several processes fill.

A result is a file, written whole. A run whose file is there is done; one that another process is at is locked, and a
process that ends, however it does, leaves no lock. Neighbours: `arms`, `runs`.

    results = Results("docs/evidence/runs")
    for run in pending(results, ["glyphs", "fashion4k"]):
        with results.claimed(run) as mine: ...
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

from evidence.arms import ALL_RATES, ARMS, CORE, OTHERS, Arm
from evidence.runs import Run

SEEDS, FINAL_SEEDS = (0, 1, 2), (3, 4)
FINALISTS = 4  # arms with more seeds, besides the baseline


class Results:
    """The folder of results.

    Args:
        folder: holds SETTING/ARM/RATE_SEED.json.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder).resolve()
        self._read: dict[Run, dict] = {}  # a result never changes

    def read(self, run: Run) -> dict | None:
        """Return a run's result, or None if it is not done."""
        if run not in self._read and self.done(run):
            self._read[run] = json.loads((self.folder / run.file).read_text())
        return self._read.get(run)

    def done(self, run: Run) -> bool:
        """Return whether a run's result is there."""
        return (self.folder / run.file).exists()

    def write(self, run: Run, result: dict) -> None:
        """Write a run's result, whole or not at all."""
        path = self.folder / run.file
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(result, indent=1) + "\n")
        os.replace(temporary, path)

    @contextlib.contextmanager
    def claimed(self, run: Run) -> Iterator[bool]:
        """Lock a run; yields whether it is this process's to do: neither done nor locked by another one.

        The lock is the kernel's (`flock`), on a file outside the results, so it ends with the process that holds it.
        """
        locks = pathlib.Path(tempfile.gettempdir()) / "keras_mixsize_evidence"
        locks.mkdir(exist_ok=True)
        with open(locks / str(self.folder / run.file).replace("/", "_"), "w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield not self.done(run)

    # What the results say

    def validation(self, run: Run) -> tuple[float, float] | None:
        """Return a finished run's accuracy on validation images at the base size, and its mean over all sizes."""
        result = self.read(run)
        if result is None:
            return None
        shares = {int(size): row["correct"] / row["count"] for size, row in result["validation"].items()}
        return shares[result["about"]["base_size"]], sum(shares.values()) / len(shares)

    def chosen_rate(self, setting: str, arm: Arm) -> float | None:
        """Return the learning rate that is best on validation images with seed 0; None until that is known."""
        tried = self._tried(setting, arm)
        return None if self.rates_to_try(setting, arm) else max(tried, key=tried.get)

    def rates_to_try(self, setting: str, arm: Arm) -> list[float]:
        """Return the learning rates to try next with seed 0: until the neighbours of the best one were tried too."""
        tried = self._tried(setting, arm)
        if missing := [rate for rate in arm.rates if rate not in tried]:
            return missing
        place = ALL_RATES.index(max(tried, key=tried.get))
        return [rate for rate in ALL_RATES[max(0, place - 1) : place + 2] if rate not in tried]

    def _tried(self, setting: str, arm: Arm) -> dict[float, tuple[float, float]]:
        """Return the finished learning rates of seed 0 with what `validation` says of each."""
        found = {rate: self.validation(Run(setting, arm.name, rate, 0)) for rate in ALL_RATES}
        return {rate: validation for rate, validation in found.items() if validation is not None}

    def score(self, setting: str, arm: Arm) -> float | None:
        """Return the mean accuracy of an arm on validation images at the base over `SEEDS`; None until all are done."""
        rate = self.chosen_rate(setting, arm)
        if rate is None:
            return None
        found = [self.validation(Run(setting, arm.name, rate, seed)) for seed in SEEDS]
        return None if None in found else sum(base for base, _ in found) / len(found)

    def finalists(self, setting: str) -> list[str]:
        """Return the arms that get `FINAL_SEEDS` too: the baseline and the best so far on validation images."""
        scores = {arm.name: self.score(setting, arm) for arm in ARMS.values() if arm.name != "fixed"}
        finished = [name for name, score in scores.items() if score is not None]
        return ["fixed", *sorted(finished, key=scores.get, reverse=True)[:FINALISTS]]


def pending(
    results: Results,
    settings: Sequence[str],
    arms: Sequence[str] = tuple(ARMS),
    seeds: Sequence[int] | None = None,
    rates: Sequence[float] | None = None,
) -> Iterator[Run]:
    """Yield the runs that are not done and can be said already, the most worth first.

    The core arms come first, then the others; of each the choice of the learning rate, then more seeds.

    Args:
        results: what is done.
        settings: names, in the order of worth.
        arms: names to keep to.
        seeds, rates: to keep to; all unless given. A rate that is given is taken as chosen.
    """
    for group in (CORE, OTHERS):
        kept = [arm for arm in group if arm.name in arms]
        for seed in (*SEEDS, *FINAL_SEEDS):
            if seeds is not None and seed not in seeds:
                continue
            for setting in settings:
                for arm in kept:
                    tried = _rates(results, setting, arm, seed) if rates is None else rates
                    runs = (Run(setting, arm.name, rate, seed) for rate in tried)
                    yield from (run for run in runs if not results.done(run))


def _rates(results: Results, setting: str, arm: Arm, seed: int) -> Sequence[float]:
    """Return the learning rates to run with a seed: those to try with the first one, then the one chosen."""
    if seed == SEEDS[0]:
        return results.rates_to_try(setting, arm)
    rate = results.chosen_rate(setting, arm)
    late = seed in FINAL_SEEDS and arm.name not in results.finalists(setting)
    return [] if rate is None or late else [rate]
