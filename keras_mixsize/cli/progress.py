"""Progress of a command on standard error: what is being done now.

On a terminal it is a line with a spinner that goes away; elsewhere, as in a log, a line for each thing that begins.

    with doing("loading exported"): ...
    for size in each((16, 24, 32), "converting {} px"): ...
    with parts(): kms.evaluate_sizes(model, test, (16, 24, 32))
"""

from __future__ import annotations

import contextlib
import logging
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


@contextlib.contextmanager
def parts() -> Iterator[None]:
    """Say which part of an evaluation runs, in a log; on a terminal the library shows a bar by itself."""
    if Console(stderr=True).is_terminal:
        yield
        return
    logger, handler = logging.getLogger("keras_mixsize.evaluation"), logging.StreamHandler()
    level, spread = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = spread


def each(items: Sequence[Item], title: str) -> Iterator[Item]:
    """Yield the items, and say which one is being worked on and of how many.

    Args:
        items: what to work on.
        title: with `{}` where the item's text goes.
    """
    for number, item in enumerate(items, 1):
        with doing(f"{title.format(item)} ({number} of {len(items)})"):
            yield item
