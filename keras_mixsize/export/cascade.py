"""Cascade: a small size answers first, a larger one only for the images that it is not sure about.

`FitCascade` asks an export for one; `fit_cascade` chooses the two sizes and the threshold on held-out data. Neighbours:
`signatures` (the cascade has one of its own), `saved_model` (which fits it).

    cascade = fit_cascade({24: probabilities_24, 48: probabilities_48}, labels, work={24: 6.9, 48: 27.5})
    cascade.small, cascade.large, cascade.threshold, cascade.share
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from keras_mixsize.arguments import check_choice
from keras_mixsize.evaluation.report import Accuracy

WORK = ("multiply_adds", "latency_ms")


@dataclasses.dataclass(frozen=True)
class FitCascade:
    """Ask for a size cascade, fitted when the model is exported.

    Attributes:
        images: held-out, neither of the training nor of the test set: `[N, H, W, C]` uint8 or float32 in [0, 1], or N
            encoded JPEG and PNG files as bytes.
        labels: integers `[N]`.
        accuracy: wanted, in [0, 1]; that of the most accurate size unless given.
        sizes: the small and the large size in pixels; the cheapest pair of all unless given.
        work: what "cheapest" means: `"multiply_adds"`, or `"latency_ms"` as the exported report measured it.

    Raises:
        ValueError: not a label for each image, or an unknown kind of work.
    """

    images: np.ndarray | Sequence[bytes] = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    accuracy: float | None = None
    sizes: tuple[int, int] | None = None
    work: str = "multiply_adds"

    def __post_init__(self):
        if len(self.images) != len(self.labels):
            raise ValueError(f"cascade must have a label for each image, got {len(self.images)} and {len(self.labels)}")
        check_choice("work", self.work, WORK)

    def sizes_of(self, exported: tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes that the cascade may be of, given those that are exported."""
        return exported if self.sizes is None else tuple(self.sizes)


@dataclasses.dataclass(frozen=True)
class Cascade:
    """Two sizes and when to use the second.

    Attributes:
        small: side in pixels of the first look.
        large: of the second.
        threshold: an image whose largest probability is below it gets the second look.
        accuracy: on the held-out data, with its interval.
        share: of the held-out images that got the second look.
        work: mean per image, relative to using `large` for all.
    """

    small: int
    large: int
    threshold: float
    accuracy: Accuracy
    share: float
    work: float

    def sizes_of(self, exported: tuple[int, ...]) -> tuple[int, ...]:
        """Return the two sizes."""
        del exported
        return self.small, self.large


def fit_cascade(
    probabilities: Mapping[int, np.ndarray],
    labels: np.ndarray,
    work: Mapping[int, float],
    accuracy: float | None = None,
) -> Cascade:
    """Return the cheapest cascade that reaches a wanted accuracy on held-out data.

    Every pair of sizes and every threshold that changes an answer is looked at. An image takes `work[small]`, and
    `work[large]` more if it gets the second look. The accuracy was chosen on these data, so it is a little optimistic
    for others: small test sets show a lower one.

    Args:
        probabilities: of each size, `[N, classes]`; at least two sizes.
        labels: integers `[N]`.
        work: of each size per image, in any unit: milliseconds or multiply-adds.
        accuracy: wanted, in [0, 1]; that of the most accurate size unless given.

    Raises:
        ValueError: fewer than two sizes, no examples, shapes or work that do not fit, or an accuracy that no cascade
            reaches.
    """
    sizes = _check(probabilities, labels, work)
    right = {size: probabilities[size].argmax(-1) == labels for size in sizes}
    best = max(values.mean() for values in right.values())
    wanted = best if accuracy is None else accuracy
    pairs = [
        _fit_pair(small, large, probabilities[small].max(-1), right, wanted)
        for small, large in itertools.combinations(sizes, 2)
    ]
    found = [_with_work(cascade, work) for cascade in pairs if cascade is not None]
    if not found:
        raise ValueError(
            f"accuracy must be one that a cascade reaches, got {wanted}; the best size alone has {best:.4f}"
        )
    return min(found, key=lambda cascade: cascade.work * work[cascade.large])


def _fit_pair(small: int, large: int, confidence: np.ndarray, right, wanted: float) -> Cascade | None:
    """Return the cascade of two sizes with the lowest threshold that reaches the wanted accuracy, None if none does."""
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order]
    gain = right[large][order].astype(np.int64) - right[small][order]
    # [k]: the k least sure ones are looked at twice
    correct = right[small].sum() + np.concatenate([[0], np.cumsum(gain)])
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])  # equal confidences cannot be told apart
    reached = np.flatnonzero(possible & (correct >= wanted * len(order) - 1e-9))
    if not reached.size:
        return None
    count = int(reached[0])
    everything = np.nextafter(np.float32(ranked[-1]), np.float32(2))
    threshold = float(np.float32(ranked[count]) if count < len(order) else everything)
    accuracy = Accuracy.of(int(correct[count]), len(order))
    return Cascade(small, large, threshold, accuracy, share=count / len(order), work=0.0)


def _with_work(cascade: Cascade, work: Mapping[int, float]) -> Cascade:
    mean = work[cascade.small] + cascade.share * work[cascade.large]
    return dataclasses.replace(cascade, work=mean / work[cascade.large])


def _check(probabilities: Mapping[int, np.ndarray], labels: np.ndarray, work: Mapping[int, float]) -> list[int]:
    sizes = sorted(probabilities)
    if len(sizes) < 2:
        raise ValueError(f"probabilities must be of at least two sizes, got {sizes}")
    if set(sizes) - set(work) or not all(work[size] > 0 for size in sizes):
        raise ValueError(f"work must be a positive number for each of the sizes {sizes}, got {work}")
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels must be at least one integer, got an array of shape {labels.shape}")
    for size in sizes:
        if probabilities[size].ndim != 2 or len(probabilities[size]) != len(labels):
            raise ValueError(
                f"probabilities must be [{len(labels)}, classes], got {probabilities[size].shape} for {size}"
            )
    return sizes
