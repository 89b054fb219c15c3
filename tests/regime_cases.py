"""Regimes for tests: the paper's CIFAR sizes solved with options, and random mixtures within their budget."""

import math

from hypothesis import settings
from hypothesis import strategies as st

from keras_mixsize import Regime

CIFAR = {32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}
GROW = ("batch", "duplicates", "both", "none")
modest = settings(max_examples=25, deadline=None)


def solve_cifar(**options):
    return Regime.solve(CIFAR, **{"base_size": 32, "base_batch": 64} | options)


def shapes(regime):
    return {bucket.size: (bucket.batch, bucket.duplicates) for bucket in regime.buckets}


def pixels(bucket):
    return bucket.size**2 * bucket.batch * bucket.duplicates


@st.composite
def mixtures(draw):
    """Sizes with probabilities that are exact multiples of 1 / the sum of whole weights."""
    sizes = draw(st.lists(st.integers(2, 40).map(lambda n: 8 * n), min_size=1, max_size=6, unique=True))
    weights = draw(st.lists(st.integers(1, 20), min_size=len(sizes), max_size=len(sizes)))
    return {size: weight / sum(weights) for size, weight in zip(sizes, weights, strict=True)}


@st.composite
def regimes_within_budget(draw):
    """Regimes whose largest size fits: its budget holds a batch of `multiple_of` with no duplicates."""
    sizes, multiple_of = draw(mixtures()), draw(st.sampled_from([1, 8, 12]))
    base_size = draw(st.sampled_from(sorted(sizes)))
    batches_to_fit = math.ceil((max(sizes) / base_size) ** 2)
    base_batch = multiple_of * draw(st.integers(4 * batches_to_fit, 4 * batches_to_fit + 20))
    regime = Regime.solve(
        sizes,
        base_size=base_size,
        base_batch=base_batch,
        base_duplicates=draw(st.integers(1, 4)),
        grow=draw(st.sampled_from(GROW)),
        share=draw(st.sampled_from(["steps", "samples"])),
        multiple_of=multiple_of,
    )
    return regime, multiple_of
