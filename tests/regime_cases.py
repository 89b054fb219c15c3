"""Regimes for tests: the paper's CIFAR sizes, random mixtures and schedules, and their shares by exact arithmetic."""

import math
from fractions import Fraction

from hypothesis import settings
from hypothesis import strategies as st

from keras_mixsize import Bucket, Regime, Schedule

CIFAR = {32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}
GROW = ("batch", "duplicates", "both", "none")
modest = settings(max_examples=25, deadline=None)


def solve_cifar(**options):
    return Regime.solve(CIFAR, **{"base_size": 32, "base_batch": 64} | options)


def shapes(regime):
    return {bucket.size: (bucket.batch, bucket.duplicates) for bucket in regime.buckets}


def pixels(bucket):
    return bucket.size**2 * bucket.batch * bucket.duplicates


def largest_remainder(quotas):
    """Return whole numbers with the sum of the quotas: Hamilton's method for seats, in exact fractions."""
    whole = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda place: whole[place] - quotas[place])
    for place in by_remainder[: round(sum(quotas)) - sum(whole)]:
        whole[place] += 1
    return whole


def step_quotas(regime, steps):
    """Return the steps that a regime's shares give each bucket, in exact fractions."""
    weights = [Fraction(b.probability) / (1 if regime.share == "steps" else b.batch) for b in regime.buckets]
    return [steps * weight / sum(weights) for weight in weights]


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


@st.composite
def schedules(draw, most_stages=4):
    """Schedules of regimes of a few small batches."""
    weights = draw(st.lists(st.integers(1, 9), min_size=1, max_size=most_stages))
    stages = []
    for weight in weights:
        batches = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
        parts = draw(st.lists(st.integers(1, 9), min_size=len(batches), max_size=len(batches)))
        sizes = draw(st.lists(st.integers(1, 6).map(lambda n: 8 * n), min_size=len(batches), max_size=len(batches)))
        buckets = [Bucket(s, b, 1, part / sum(parts)) for s, b, part in zip(sizes, batches, parts, strict=True)]
        stages.append(
            (weight / sum(weights), Regime(tuple(buckets), share=draw(st.sampled_from(["steps", "samples"]))))
        )
    return Schedule(tuple(stages))
