"""Checks of arguments, one wording for all: the name, the value and the remedy.

NumPy only, and nothing of the package.

    check_count("batch", 64)        # 0 is refused: batch must be an integer of at least 1, got 0
"""

from __future__ import annotations

import difflib
import os

import numpy as np


def check_choice(name: str, value, choices) -> None:
    """Raise a ValueError that lists the choices, unless `value` is one of them."""
    if value not in choices:
        close = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}{hint}")


def check_count(name: str, value) -> None:
    """Raise a ValueError unless `value` is an integer of at least 1."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def is_number(value) -> bool:
    """Return whether the value is a number of Python's or NumPy's; a bool is none."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_local(name: str, path: str | os.PathLike) -> None:
    """Raise a ValueError if a path is an address such as gs://bucket/photos."""
    scheme, separator, _ = os.fsdecode(path).partition("://")
    if separator:
        raise ValueError(
            f"{name} must be a path of this machine, got {path!r}; mount the {scheme}:// storage, or copy it first"
        )
