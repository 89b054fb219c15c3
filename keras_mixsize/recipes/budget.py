"""Budget: how long a regime trains for what another costs.

A pure function of regimes. Neighbours: `folders` and `search`, which compare ways to train at equal cost.

    mixed, baseline = Regime.preset("tiny/b+"), Regime.preset("tiny/baseline")
    equal_epochs(mixed, baseline, num_examples=4000, epochs=60)           # 104: passes of about the same pixels
"""

from __future__ import annotations

from keras_mixsize.arguments import check_count
from keras_mixsize.regimes.mixture import Mixture


def pixels(mixture: Mixture, num_examples: int, epochs: int) -> float:
    """Return the pixels of a run, copies included, as the plan's shares have it."""
    return epochs * mixture.steps_per_epoch(num_examples) * mixture.mean_cost * mixture.base.cost


def equal_epochs(regime: Mixture, baseline: Mixture, num_examples: int, epochs: int) -> int:
    """Return the epochs of a regime that cost about what `epochs` of the baseline do, in pixels; at least one.

    Args:
        regime, baseline: whose costs are compared.
        num_examples: training examples.
        epochs: of the baseline.
    """
    check_count("epochs", epochs)
    return max(1, round(pixels(baseline, num_examples, epochs) / pixels(regime, num_examples, 1)))
