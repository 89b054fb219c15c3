"""Progress of a command on standard error: what is being done now.

On a terminal it is a line with a spinner that goes away; elsewhere, as in a log, a line for each thing that begins.

    for size in each((16, 24, 32), "evaluating {} px"): ...
    with doing("loading exported"): ...
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console

Item = TypeVar("Item")


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what is being done, for the length of a `with` block."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        console.print(what)
        yield


def each(items: Sequence[Item], title: str) -> Iterator[Item]:
    """Yield the items, and say which one is being worked on and of how many.

    Args:
        items: what to work on.
        title: with `{}` where the item's text goes.
    """
    for number, item in enumerate(items, 1):
        with doing(f"{title.format(item)} ({number} of {len(items)})"):
            yield item
