"""Bucket: one shape of a training step.

Neighbours: `regime` (a distribution over buckets), `plan` (their order). NumPy only.

    bucket = Bucket(size=24, batch=56, duplicates=2, probability=0.3)
    bucket.images, bucket.cost                  # 112 images, 64,512 pixels
"""

from __future__ import annotations

import dataclasses

from keras_mixsize.arguments import check_count, is_number


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
