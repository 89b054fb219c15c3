"""Progress: a bar on standard error that says which part of a long call is running.

Used by `calibration`, `evaluate` and exports.

    with progress_bar(total=2, shown=True) as bar:
        bar.begin("calibrating at 24 px")
        bar.begin("evaluating at 24 px")
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_log = logging.getLogger(__name__)


class ProgressBar:
    """The parts of one call; each is a line of the log, too, at the level INFO.

    Args:
        bar: what shows them.
        total: how many there are.
    """

    def __init__(self, bar: Progress, total: int):
        self._bar, self._begun = bar, 0
        self._task = bar.add_task("", total=total)

    def begin(self, name: str) -> None:
        """Say that the next part begins, and that the one before has ended."""
        _log.info("%s", name)
        self._bar.update(self._task, description=name, completed=self._begun)
        self._begun += 1


@contextlib.contextmanager
def progress_bar(total: int, *, shown: bool) -> Iterator[ProgressBar]:
    """Show a bar for the parts of a call, which goes away when the block ends.

    Args:
        total: how many parts there are.
        shown: show the bar, if standard error is a terminal or a notebook.
    """
    console = Console(stderr=True)
    hidden = not (shown and (console.is_terminal or console.is_jupyter))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        yield ProgressBar(bar, total)
