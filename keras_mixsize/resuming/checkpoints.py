"""Checkpoints on disk: each replaced whole, checked when it is read, the last few kept.

A checkpoint is a folder `step-0000000120` of TensorFlow's checkpoint files and `facts.json`, which holds what the
caller wants to know of them and their SHA-256 sums. It is written under another name and then renamed, so a folder of
that name is complete. Used by `resume`; knows nothing of models.

    write(directory, 120, arrays, {"seed": 0})
    prune(directory, keep=3)
    checkpoint = newest(directory); checkpoint.values, checkpoint.facts
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import warnings
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_mixsize.internals import checkpoint_values

STATE, FACTS = "state", "facts.json"
_NAME = re.compile(r"step-\d{10}")  # other names, such as those of copies, are the user's
WRITE_ERRORS = (OSError, tf.errors.OpError)  # a full disk is either, depending on who meets it


class DamagedError(ValueError):
    """A checkpoint is not what was written."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds.

    Attributes:
        path: its folder.
        step: the number it was written under.
        values: arrays of any shapes and dtypes.
        facts: what JSON can hold.
    """

    path: pathlib.Path
    step: int
    values: list[np.ndarray]
    facts: dict


def write(directory: str | os.PathLike, step: int, values: Sequence, facts: dict) -> pathlib.Path:
    """Write a checkpoint, or leave the directory as it was.

    Args:
        directory: where the checkpoints are; made if it is not there.
        step: its number, at or above 0. A checkpoint of that number is replaced.
        values: arrays of any shapes and dtypes.
        facts: what JSON can hold.

    Returns:
        The checkpoint's folder.

    Raises:
        OSError, tf.errors.OpError: it could not be written, as on a full disk.
    """
    final = pathlib.Path(directory) / f"step-{step:010d}"
    unfinished = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        _write_files(unfinished, values, facts)
        _rename(unfinished, final)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return final


def read(path: str | os.PathLike) -> Checkpoint:
    """Return a checkpoint that `write` wrote.

    Raises:
        DamagedError: a file is missing, or is not the one that was written.
    """
    path = pathlib.Path(path)
    body = _read_facts(path)
    for name, expected in body["sums"].items():
        if not (path / name).is_file():
            raise DamagedError(f"{name} is missing")
        if _sum_of(path / name) != expected:
            raise DamagedError(f"{name} differs from what was written")
    return Checkpoint(path, _step_of(path), checkpoint_values(str(path / STATE), body["values"]), body["facts"])


def newest(directory: str | os.PathLike) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, or None if there is none.

    A damaged one is renamed to `damaged-...`, with a warning, and the one before it is taken.
    """
    for path in reversed(paths(directory)):
        try:
            return read(path)
        except DamagedError as error:
            aside = path.with_name(f"damaged-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            message = f"checkpoint {path} is damaged ({error}): moved to {aside.name}; the one before is taken"
            warnings.warn(message, stacklevel=2)
    return None


def paths(directory: str | os.PathLike) -> list[pathlib.Path]:
    """Return the folders of the checkpoints in a directory, oldest first."""
    found = pathlib.Path(directory).glob("step-*")
    return sorted(path for path in found if _NAME.fullmatch(path.name) and path.is_dir())


def prune(directory: str | os.PathLike, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints."""
    for path in paths(directory)[:-keep]:
        shutil.rmtree(path, ignore_errors=True)


def remove_unfinished(directory: str | os.PathLike) -> None:
    """Remove what a process that was killed while it wrote has left, and put back what it was about to replace."""
    for path in pathlib.Path(directory).glob(".step-*"):
        final = path.with_name(path.stem.removeprefix("."))
        if _NAME.fullmatch(final.name) and path.suffix == ".tmp":
            shutil.rmtree(path, ignore_errors=True)
        elif _NAME.fullmatch(final.name) and path.suffix == ".old":
            _put_back(path, final)


def _write_files(folder: pathlib.Path, values, facts: dict) -> None:
    with tf.device("CPU:0"):
        checkpoint = tf.train.Checkpoint(values=[tf.Variable(value) for value in values])
        checkpoint.write(str(folder / STATE))
    names = sorted(path.name for path in folder.iterdir())
    sums = {name: _sum_of(folder / name) for name in names}
    body = {"facts": facts, "values": len(values), "sums": sums}
    text = json.dumps({"body": body, "sum": _sum_of_body(body)})
    (folder / FACTS).write_text(text)
    for name in (*names, FACTS, "."):
        _flush(folder / name)


def _rename(unfinished: pathlib.Path, final: pathlib.Path) -> None:
    old = final.with_name(f".{final.name}.old")
    if final.exists():  # a folder that holds files cannot be renamed over
        final.rename(old)
    try:
        unfinished.rename(final)
        _flush(final.parent)
    finally:
        _put_back(old, final)


def _put_back(old: pathlib.Path, final: pathlib.Path) -> None:
    """Give a folder its name back, or remove it if its successor is there."""
    if final.exists():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        old.rename(final)


def _read_facts(path: pathlib.Path) -> dict:
    try:
        content = json.loads((path / FACTS).read_text())
        if content["sum"] == _sum_of_body(content["body"]):
            return content["body"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{FACTS} cannot be read: {error}") from error
    raise DamagedError(f"{FACTS} differs from what was written")


def _step_of(path: pathlib.Path) -> int:
    return int(path.name.rsplit("-", 1)[1])


def _sum_of_body(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _sum_of(path: pathlib.Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: pathlib.Path) -> None:
    """Wait until a file or folder is on the disk: a full one may only say so here."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
