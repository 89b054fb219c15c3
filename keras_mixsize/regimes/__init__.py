"""Regimes: which image sizes a run uses, how often, with what batch and copies, and in which order.

The first room: everything here is a value or a pure function, needs NumPy only and loads no TensorFlow. `bucket` is one
shape of a step, `regime` a distribution over buckets, `schedule` regimes one after the other, `plan` the order of
buckets and samples of a whole run, `order` which examples these are.

    regime = Regime.preset("cifar/d+")
    Plan(regime, num_examples=50_000).at(123_456).bucket
"""

from keras_mixsize.regimes.bucket import Bucket
from keras_mixsize.regimes.by_size import BySize
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.order import Balanced, Once, Order, Weighted
from keras_mixsize.regimes.plan import Plan, Step
from keras_mixsize.regimes.presets import FAMILIES, MODES, SizeFamily, preset_names
from keras_mixsize.regimes.regime import Regime
from keras_mixsize.regimes.schedule import Schedule

__all__ = [
    "FAMILIES",
    "MODES",
    "Balanced",
    "Bucket",
    "BySize",
    "Mixture",
    "Once",
    "Order",
    "Plan",
    "Regime",
    "Schedule",
    "SizeFamily",
    "Step",
    "Weighted",
    "preset_names",
]
