"""Many files at once: stamps that tell whether any changed, parallel work with a bar, whole replacement, caches.

`cached` is the one owner of caches: what is learnt about files once (a folder's listing, the index of records) and kept
beside them. Used by `sources`, and by what writes a file that others read.

    headers = in_parallel(read_header_of, files, "headers")         # in order, with a bar on a terminal
    with replaced("report.json") as stream: ...                     # the old file or the new one, never half of one
    index = cached("index.cache", str(stamps(files).tolist()), build_index, "index")     # arrays by name
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import glob
import hashlib
import logging
import os
import pathlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
from rich.console import Console
from rich.progress import track

_YOUNG = 2  # seconds in which a writer has the lock of its temporary file
_FORGOTTEN = 3600  # seconds after which nobody writes to a temporary file any more, where there are no locks
_CACHE_START = (
    b"keras_mixsize cache 1 "  # its number changes with the format; the checksum of all that follows comes next
)
_DIGEST = 64  # hexadecimal digits
_STAMP = "cache_stamp"
_log = logging.getLogger(__name__)


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


# Whole replacement


@contextlib.contextmanager
def replacement(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Give the path of a temporary file that replaces `path` when the block ends and all of it is on the disk.

    Each writer has a temporary file of its own, so several may write at once: the last to end wins. After an exception
    it is removed. What a process leaves that is killed is removed by the next writer of the same path.
    """
    path = pathlib.Path(path)
    _remove_forgotten(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with temporary.open("xb") as stream, _locked(stream):
            yield temporary
            os.fsync(stream.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing and reading that takes the place of `path` when the block ends; see `replacement`."""
    with replacement(path) as temporary, temporary.open("w+b") as stream:
        yield stream


def _remove_forgotten(path: pathlib.Path) -> None:
    """Remove the temporary files of a path that no process writes to any more."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError):  # another writer may be removing it
            if time.time() - temporary.stat().st_mtime > _YOUNG:
                with temporary.open("rb") as stream, _locked(stream):
                    temporary.unlink()


@contextlib.contextmanager
def _locked(stream: BinaryIO) -> Iterator[None]:
    """Hold the lock of an open file, which ends with the process; BlockingIOError where another process holds it.

    Where there are no locks the block runs without, unless the file is one that somebody may still be writing to.
    """
    try:
        import fcntl  # not on Windows

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except (ImportError, OSError):
        if _YOUNG < time.time() - os.fstat(stream.fileno()).st_mtime < _FORGOTTEN:
            raise BlockingIOError from None
    yield


# Caches


def cached(
    path: str | pathlib.Path, stamp: str, build: Callable[[dict], dict[str, np.ndarray]], kind: str
) -> dict[str, np.ndarray]:
    """Return the arrays that are kept at `path` under this stamp; otherwise those that `build` returns, which it keeps.

    A cache that is cut, empty, changed by a bit, of another version or no cache at all is made anew, with a line in the
    log. Where it cannot be written it is done without, with a line in the log. Processes may do so at the same time.

    Args:
        path: the cache.
        stamp: a text that differs where the arrays would.
        build: function of the arrays that are kept under another stamp, so that what still holds of them need not be
            made again, an empty dict where there are none; returns arrays by name.
        kind: what it is, for the log, such as "index".
    """
    path = pathlib.Path(path)
    kept = _read_cache(path, kind)
    if kept.pop(_STAMP, None) == stamp:
        return kept
    arrays = build(kept)
    try:
        with replaced(path) as stream:
            _write_cache(stream, stamp, arrays)
    except OSError as error:
        _log.warning("the %s cannot be kept and will be made anew in every run, set its path: %s", kind, error)
    return arrays


def _read_cache(path: pathlib.Path, kind: str) -> dict:
    """Return the arrays and the stamp that a cache holds, or an empty dict."""
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_CACHE_START) + _DIGEST)
            whole = start == _CACHE_START + hashlib.file_digest(stream, "sha256").hexdigest().encode()
            if whole:
                stream.seek(len(start))
                with np.load(stream) as data:
                    return dict(data) | {_STAMP: _text(data[_STAMP])}
            reason: object = "it is damaged" if start.startswith(_CACHE_START) else "it is empty or of another version"
    except FileNotFoundError:
        return {}
    except OSError as error:
        reason = error
    _log.warning("%s %s cannot be read and is made anew: %s", kind, path, reason)
    return {}


def _write_cache(stream: BinaryIO, stamp: str, arrays: dict[str, np.ndarray]) -> None:
    stream.write(_CACHE_START + bytes(_DIGEST))
    np.savez(stream, **arrays, **{_STAMP: _bytes(stamp)})
    stream.seek(len(_CACHE_START) + _DIGEST)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()
    stream.seek(len(_CACHE_START))
    stream.write(digest.encode())


def _bytes(text: str) -> np.ndarray:
    """Return a text, which may hold names that are no UTF-8, as uint8 `[N]`."""
    return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)


def _text(values: np.ndarray) -> str:
    return values.tobytes().decode("utf-8", "surrogateescape")
