"""Many files at once: stamps that tell whether any changed, parallel work with a progress bar, whole replacement.

Used by `records` and `manifest`, which keep what they learnt about files in a cache beside them, and by `convert`.

    stamp = stamps(files)                                     # size and time of each file
    headers = in_parallel(read_header_of, files, "headers")   # in order, with a bar on a terminal
    with replaced("index.npz") as stream: ...                 # the old file or the new one, never half of one
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
from rich.console import Console
from rich.progress import track


def stamps(files: Sequence[str]) -> np.ndarray:
    """Return size in bytes and modification time in nanoseconds of each file: int64 `[N, 2]`."""
    found = (os.stat(file) for file in files)
    return np.array([(entry.st_size, entry.st_mtime_ns) for entry in found], np.int64).reshape(-1, 2)


def in_parallel(
    work: Callable, items: Sequence, title: str, *, progress: bool = True, threads: int | None = None
) -> list:
    """Return `work(item)` of every item, in order; the first error ends it.

    Args:
        work: function of one item that spends its time outside Python's lock, as reading does.
        items: what to work on.
        title: what the progress bar says.
        progress: show a bar, if standard error is a terminal.
        threads: how many items at the same time; unless given, four more than there are cores.
    """
    console = Console(stderr=True)
    hidden = not (progress and (console.is_terminal or console.is_jupyter))
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            shown = track(futures, title, console=console, transient=True, disable=hidden)
            return [future.result() for future in shown]
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def replaced(path: str | pathlib.Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` when all of it is on the disk.

    A process that is killed leaves the old file, or none, and perhaps a hidden temporary one, which the next writer of
    the same path replaces.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
