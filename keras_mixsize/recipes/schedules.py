"""Schedules: the learning rate of a recipe against its epochs, as values.

They say what a run does; `build.schedule` makes Keras's schedules of them. Neighbour: `recipe`.

    print(StepDecay(0.1, (30, 60), 0.1))                    # 0.1, x 0.1 at epochs 30, 60
    CosineDecay(0.2, warmup_share=0.05).stretched(0.5)      # the same: it spans all epochs
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_mixsize.arguments import check_choice

_RENAMED = {"warm_up": "warmup_share"}  # fields of version 0.1.0


@dataclasses.dataclass(frozen=True)
class StepDecay:
    """A learning rate that is multiplied by `factor` at some epochs.

    Attributes:
        learning_rate: of the first epochs.
        epochs: where it is multiplied.
        factor: below 1.
    """

    learning_rate: float
    epochs: tuple[float, ...]
    factor: float

    def stretched(self, ratio: float) -> StepDecay:
        """Return the same schedule over `ratio` times as many epochs."""
        return dataclasses.replace(self, epochs=tuple(ratio * epoch for epoch in self.epochs))

    def __str__(self) -> str:
        return f"{self.learning_rate:g}, x {self.factor:g} at epochs {', '.join(f'{epoch:g}' for epoch in self.epochs)}"


@dataclasses.dataclass(frozen=True)
class CosineDecay:
    """A learning rate that falls to zero over all epochs, as half a wave of the cosine.

    Attributes:
        learning_rate: the highest.
        warmup_share: share of the steps over which it rises from zero first, in a straight line; in [0, 1).

    Raises:
        ValueError: a share out of range.
    """

    learning_rate: float
    warmup_share: float = 0.0

    def __post_init__(self):
        if not 0 <= self.warmup_share < 1:
            raise ValueError(f"warmup_share must be a share of the steps in [0, 1), got {self.warmup_share!r}")

    def stretched(self, ratio: float) -> CosineDecay:
        """Return itself: it spans all epochs, however many there are."""
        del ratio
        return self

    def __str__(self) -> str:
        rise = f", after a rise over the first {self.warmup_share:.0%}" if self.warmup_share else ""
        return f"{self.learning_rate:g}, cosine to 0{rise}"


def schedule_from_dict(fields: Mapping) -> StepDecay | CosineDecay:
    """Return the schedule whose fields, plain values, were written by this version or by 0.1.0.

    Raises:
        ValueError: an unknown field, with the nearest one, or one that is missing.
    """
    values: dict[str, Any] = {
        _RENAMED.get(name, name): tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    kind = StepDecay if {"factor", "epochs"} & values.keys() else CosineDecay
    known = [field.name for field in dataclasses.fields(kind)]
    for name in values:
        check_choice("field of the schedule", name, known)
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"the schedule must have the fields {', '.join(known)}, got {dict(fields)}") from error
