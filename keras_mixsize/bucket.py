"""Bucket: one shape of a training step, and the checks of numbers that it shares with `regime` and `plan`.

NumPy only, and nothing of the package.

    bucket = Bucket(size=24, batch=56, duplicates=2, probability=0.3)
    bucket.images, bucket.cost                  # 112 images, 64,512 pixels
"""

from __future__ import annotations

import dataclasses
import difflib

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


@dataclasses.dataclass(frozen=True)
class Bucket:
    """One shape of a training step: `batch` images, each in `duplicates` augmented copies, at `size` pixels a side.

    Attributes:
        size: side of the square images in pixels (S).
        batch: different images in a step, over all replicas (B).
        duplicates: augmented copies of each image (D).
        probability: how often the bucket is used, in [0, 1]; `Regime.share` says of what it is a share.

    Raises:
        ValueError: a field is out of range.
    """

    size: int
    batch: int
    duplicates: int = 1
    probability: float = 1.0

    def __post_init__(self):
        check_count("size", self.size)
        check_count("batch", self.batch)
        check_count("duplicates", self.duplicates)
        if not is_number(self.probability) or not 0 <= self.probability <= 1:
            raise ValueError(f"probability of size {self.size} must lie in [0, 1], got {self.probability!r}")
        for field, kind in [("size", int), ("batch", int), ("duplicates", int), ("probability", float)]:
            object.__setattr__(self, field, kind(getattr(self, field)))  # NumPy's numbers cannot be written as JSON

    @property
    def images(self) -> int:
        """Images that a step processes: B * D."""
        return self.batch * self.duplicates

    @property
    def cost(self) -> int:
        """Pixels that a step processes: S^2 * B * D, a proxy for its time and memory."""
        return self.size**2 * self.images

    def __str__(self) -> str:
        return f"{self.size}x{self.batch}x{self.duplicates}:{self.probability!r}"
