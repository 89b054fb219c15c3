"""Solving: the batch and the duplicates that the budget of a step holds at a size.

Pure functions, used by `regime`. Neighbour: `bucket`.

    fit_within_budget(24, Bucket(32, 64), "batch", 8)           # (112, 1)
"""

from __future__ import annotations

import dataclasses
import math

from keras_mixsize.regimes.bucket import Bucket

GROW = ("batch", "duplicates", "both", "none")


def fit_within_budget(size: int, base: Bucket, grow: str, multiple_of: int) -> tuple[int, int]:
    """Return (batch, duplicates) of a size, at most the base's cost."""
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
    """Return (batch, duplicates) of a size by the authors' rule: nearest integers, the budget is not a bound."""
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
    """Return the bucket with about `factor` times its images."""
    if change == "duplicates":
        return dataclasses.replace(bucket, duplicates=max(1, round(factor * bucket.duplicates)))
    batch = max(multiple_of, multiple_of * round(factor * bucket.batch / multiple_of))
    return dataclasses.replace(bucket, batch=batch)
