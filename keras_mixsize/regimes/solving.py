"""Solving: the batch and the duplicates that the budget of a step holds at a size.

Pure functions of numbers, used by `Regime.solve` and `Regime.rebalance`, which check the arguments. Neighbour:
`bucket`.

    fit_within_budget(24, Bucket(32, 64), "batch", 8)                   # (112, 1)
    fit_nearest(24, Bucket(32, 64), "batch", 8)                         # (114, 1)
    stretched(Bucket(24, 112), 0.5, "batch", 8)                         # Bucket(24, 56)

Source: Hoffer et al., arXiv 1908.08986, and the authors' published training code for the nearest integers.
"""

from __future__ import annotations

import dataclasses
import math

from keras_mixsize.regimes.bucket import Bucket

GROW = ("batch", "duplicates", "both", "none")


def fit_within_budget(size: int, base: Bucket, grow: str, multiple_of: int) -> tuple[int, int]:
    """Return (batch, duplicates) of a size, at most the base's cost.

    Duplicates are rounded to the nearest integer (down if no batch fits otherwise), the batch down to a multiple.

    Args:
        size: side in pixels.
        base: its cost is the budget.
        grow: what grows below the base's size, one of `GROW`.
        multiple_of: divisor of the batch.

    Raises:
        ValueError: the budget holds less than `multiple_of` images of the size.
    """
    scale = (base.size / size) ** 2
    share = {"duplicates": scale, "both": math.sqrt(scale)}.get(grow, min(scale, 1.0))
    for duplicates in range(max(1, round(base.duplicates * share)), 0, -1):
        batch = base.cost // (size**2 * duplicates)
        if grow in ("duplicates", "none"):
            batch = min(batch, base.batch)
        batch -= batch % multiple_of
        if batch:
            break
    else:
        raise ValueError(
            f"size {size} does not fit: the budget of {base.cost} pixels holds {base.cost // size**2} images of that "
            f"size, less than multiple_of={multiple_of}; use a larger base_batch or a smaller multiple_of"
        )
    return batch, duplicates


def fit_nearest(size: int, base: Bucket, grow: str, multiple_of: int) -> tuple[int, int]:
    """Return (batch, duplicates) of a size by the authors' rule: nearest integers, the budget is not a bound.

    Takes what `fit_within_budget` takes; `multiple_of` does not matter.
    """
    del multiple_of
    scale = base.size / size if grow == "both" else (base.size / size) ** 2
    if grow == "none":
        scale = min(scale, 1)
    grow_duplicates = grow in ("duplicates", "both") and scale * base.duplicates >= 0.5
    grow_batch = grow in ("batch", "both", "none") or not grow_duplicates
    batch = max(1, round(scale * base.batch)) if grow_batch else base.batch
    duplicates = max(1, round(scale * base.duplicates)) if grow_duplicates else base.duplicates
    return batch, duplicates


def stretched(bucket: Bucket, factor: float, change: str, multiple_of: int) -> Bucket:
    """Return the bucket with about `factor` times its images, one copy or `multiple_of` images at least.

    Args:
        bucket: what to change.
        factor: above 0.
        change: `"batch"` or `"duplicates"`.
        multiple_of: divisor of the batch.
    """
    if change == "duplicates":
        return dataclasses.replace(bucket, duplicates=max(1, round(factor * bucket.duplicates)))
    batch = max(multiple_of, multiple_of * round(factor * bucket.batch / multiple_of))
    return dataclasses.replace(bucket, batch=batch)
