"""BySize: a rate that depends on the image size, such as a stronger augmentation for larger images.

Used by `images` (augmentations), `training` (dropout) and `table`. NumPy only.

    strength = BySize({16: 2, 32: 9})
    strength(24)                            # 5.5
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from keras_mixsize.arguments import check_count, is_number


@dataclasses.dataclass(frozen=True, init=False)
class BySize:
    """A function of the size, given at some sizes: straight lines between them, constant below and above.

    Larger images take, and need, stronger regularisation than smaller ones of the same run. Where the library takes a
    `BySize` instead of a number, its value is a constant in the trace of each bucket, or follows the batch's size in
    the input.

    Args:
        values: size in pixels -> the value there, at least one.

    Attributes:
        points: pairs of (size, value), ascending.

    Raises:
        ValueError: no sizes, a size that is no integer of at least 1, or a value that is no finite number.

    Source: Tan and Le, "EfficientNetV2", arXiv 2104.00298, section 4: regularisation that grows with the size.
    """

    points: tuple[tuple[int, float], ...]

    def __init__(self, values: Mapping[int, float]):
        if not values:
            raise ValueError("values must have at least one size, got none; use BySize({16: 0.1, 32: 0.3})")
        for size, value in values.items():
            check_count("size", size)
            if not is_number(value) or not np.isfinite(value):
                raise ValueError(f"the value at {size} px must be a finite number, got {value!r}")
        points = tuple((int(size), float(values[size])) for size in sorted(values))
        object.__setattr__(self, "points", points)

    def __call__(self, size: int) -> float:
        """Return the value at a size in pixels."""
        return float(np.interp(size, self.sizes, self.values))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes at which it is given, ascending."""
        return tuple(size for size, _ in self.points)

    @property
    def values(self) -> tuple[float, ...]:
        """The values at `sizes`."""
        return tuple(value for _, value in self.points)

    @classmethod
    def parse(cls, text: str) -> BySize:
        """Return what `str` gave: `16:2,32:9`.

        Raises:
            ValueError: another form, with the form that is read.
        """
        try:
            pairs = [part.split(":") for part in text.split(",")]
            values = {int(size): float(value) for size, value in pairs}
        except ValueError:
            raise ValueError(f"sizes and values must look like 16:0.1,32:0.3, got {text!r}") from None
        if len(values) < len(pairs):
            raise ValueError(f"each size must be given once, got {text!r}")
        return cls(values)

    def __str__(self) -> str:
        return ",".join(f"{size}:{value:g}" for size, value in self.points)

    def __repr__(self) -> str:
        return f"BySize({{{', '.join(f'{size}: {value:g}' for size, value in self.points)}}})"

    def __reduce__(self):
        return BySize, (dict(self.points),)


def literals(value: float | BySize) -> Iterable[float]:
    """Return the numbers of an option that may depend on the size, for a check of their range."""
    return value.values if isinstance(value, BySize) else (value,)
