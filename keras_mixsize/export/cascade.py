"""The size cascade: a small size answers first, a larger one only for the images that it is not sure about.

`fit_cascade` chooses the two sizes and the threshold on held-out data; `export` gives the cascade a signature of its own.

    cascade = fit_cascade({24: probabilities_24, 48: probabilities_48}, labels, costs={24: 6.9, 48: 27.5})
    cascade.small, cascade.large, cascade.threshold, cascade.share
"""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_mixsize.evaluation.report import Accuracy


@dataclasses.dataclass(frozen=True)
class Cascade:
    """Two sizes and when to use the second.

    Attributes:
        small: side in pixels of the first look.
        large: of the second.
        threshold: an image whose largest probability is below it gets the second look.
        accuracy: on the held-out data, with its interval.
        share: of the held-out images that got the second look.
        cost: mean per image, relative to using `large` for all.
    """

    small: int
    large: int
    threshold: float
    accuracy: Accuracy
    share: float
    cost: float


def fit_cascade(
    probabilities: dict[int, np.ndarray],
    labels: np.ndarray,
    costs: dict[int, float],
    accuracy: float | None = None,
) -> Cascade:
    """Return the cheapest cascade that reaches a wanted accuracy on held-out data.

    Every pair of sizes and every threshold that changes an answer is looked at. An image costs `costs[small]`, and
    `costs[large]` more if it gets the second look. The accuracy was chosen on these data, so it is a little optimistic for
    others: small test sets show a lower one.

    Args:
        probabilities: of each size, `[N, classes]`; at least two sizes.
        labels: integers `[N]`.
        costs: of each size per image, in any unit: milliseconds or multiply-adds.
        accuracy: wanted, in [0, 1]; that of the most accurate size unless given.

    Raises:
        ValueError: fewer than two sizes, no examples, shapes or costs that do not fit, or an accuracy that no cascade reaches.
    """
    sizes = _check(probabilities, labels, costs)
    right = {size: probabilities[size].argmax(-1) == labels for size in sizes}
    wanted = max(values.mean() for values in right.values()) if accuracy is None else accuracy
    pairs = [(small, large) for place, small in enumerate(sizes) for large in sizes[place + 1 :]]
    found = [_fit_pair(pair, probabilities[pair[0]].max(-1), right, costs, wanted) for pair in pairs]
    found = [cascade for cascade in found if cascade is not None]
    if not found:
        best = max(values.mean() for values in right.values())
        raise ValueError(
            f"accuracy must be one that a cascade reaches, got {wanted}; the best size alone has {best:.4f}"
        )
    return min(found, key=lambda cascade: cascade.cost * costs[cascade.large])


def _fit_pair(pair: tuple[int, int], confidence: np.ndarray, right, costs, wanted: float) -> Cascade | None:
    """Return the cascade of two sizes with the lowest threshold that reaches the wanted accuracy, None if none does."""
    small, large = pair
    order = np.argsort(confidence, kind="stable")
    gain = right[large][order].astype(np.int64) - right[small][order]
    correct = right[small].sum() + np.concatenate(
        [[0], np.cumsum(gain)]
    )  # [k]: the k least sure ones are looked at twice
    ranked = confidence[order]
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])  # equal confidences cannot be told apart
    reached = np.flatnonzero(possible & (correct >= wanted * len(order) - 1e-9))
    if not reached.size:
        return None
    count = int(reached[0])
    threshold = float(
        np.float32(ranked[count]) if count < len(order) else np.nextafter(np.float32(ranked[-1]), np.float32(2))
    )
    share = count / len(order)
    cost = (costs[small] + share * costs[large]) / costs[large]
    return Cascade(small, large, threshold, Accuracy.of(int(correct[count]), len(order)), share, cost)


def _check(probabilities: dict[int, np.ndarray], labels: np.ndarray, costs: dict[int, float]) -> list[int]:
    sizes = sorted(probabilities)
    if len(sizes) < 2:
        raise ValueError(f"probabilities must be of at least two sizes, got {sizes}")
    if set(sizes) - set(costs) or not all(costs[size] > 0 for size in sizes):
        raise ValueError(f"costs must be a positive number for each of the sizes {sizes}, got {costs}")
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels must be at least one integer, got an array of shape {labels.shape}")
    for size in sizes:
        if probabilities[size].ndim != 2 or len(probabilities[size]) != len(labels):
            raise ValueError(
                f"probabilities must be [{len(labels)}, classes], got {probabilities[size].shape} for {size}"
            )
    return sizes
