"""print a regime before anything is trained: shares, steps of an epoch, memory

    mixsize plan 32:.3,48:.2,24:.3,16:.2 --base_size=32 --base_batch=64 --grow=duplicates --examples=50000
    mixsize plan cifar/d+ --examples=50000
    mixsize plan "0.8*cifar/d+; 0.2*cifar/baseline" --examples=50000 --epochs=200

A regime is a preset, sizes with probabilities, sizes x batch x duplicates with probabilities, or a JSON file.
A schedule, in quotes, is regimes one after the other, each with its share of all steps.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

if TYPE_CHECKING:
    from keras_mixsize.regimes.mixture import Mixture

GROW, ROUNDING = ("batch", "duplicates", "both", "none"), ("within_budget", "nearest")

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
EXAMPLES = flags.DEFINE_integer("examples", None, "Training images; adds the steps of an epoch.", lower_bound=1, **_OWN)
EPOCHS = flags.DEFINE_integer("epochs", None, "Of the run; adds the steps of each stage.", lower_bound=1, **_OWN)
BASE_SIZE = flags.DEFINE_integer("base_size", None, "Baseline's size in pixels. [32, or the preset's]", **_OWN)
BASE_BATCH = flags.DEFINE_integer("base_batch", None, "Baseline's batch. [64, or the preset's]", **_OWN)
GROW_FLAG = flags.DEFINE_enum("grow", "duplicates", GROW, "What small sizes spend on.", **_OWN)
SHARE = flags.DEFINE_enum("share", "steps", ["steps", "samples"], "Of what the probabilities are shares.", **_OWN)
ROUNDING_FLAG = flags.DEFINE_enum("rounding", ROUNDING[0], ROUNDING, "Of batches and copies.", **_OWN)
MULTIPLE = flags.DEFINE_integer("multiple_of", 8, "Divisor of every batch: a multiple of the devices.", **_OWN)
OUTPUT = flags.DEFINE_string("output", None, "JSON file for the regime, for `mixsize train --regime=FILE`.", **_OWN)


def main(arguments: Sequence[str]) -> None:
    """Print the regime that the argument means."""
    if len(arguments) != 1:
        raise ValueError("name one regime, as in `mixsize plan cifar/d+` or `mixsize plan 32:0.5,16:0.5`")
    from keras_mixsize.cli.regime_text import by_stages

    regime = by_stages(arguments[0], regime_of)
    print(regime.table(EXAMPLES.value, EPOCHS.value))
    print(memory(regime))
    if OUTPUT.value is not None:
        pathlib.Path(OUTPUT.value).write_text(regime.to_json())


def regime_of(text: str) -> Mixture:
    """Return the regime of a text and the flags."""
    from keras_mixsize.cli.regime_text import choose_regime

    given = {
        name: FLAGS[name].value for name in ("base_size", "base_batch", "multiple_of", "rounding", "share", "grow")
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if FLAGS[name].present}
    if "x" in text or text.endswith(".json"):
        return choose_regime(text, **options)
    if ":" in text:
        options = {"base_size": 32, "base_batch": 64, "grow": given["grow"]} | options
    elif "grow" in options:
        raise ValueError("--grow is for sizes with probabilities; a preset says it by its name, as in cifar/b+")
    return choose_regime(text, **options)


def memory(regime: Mixture) -> str:
    """Return the memory of each bucket's step relative to the base's, as text."""
    each = [f"{bucket.size} px {bucket.cost / regime.base.cost:.2f}" for bucket in regime.buckets]
    shapes = ", ".join(dict.fromkeys(each))  # stages may share a shape
    base = f"{regime.base.size} px x {regime.base.images} images"
    proxy = "pixels are a proxy: activations grow with them, weights and optimizer do not"
    return f"memory of a step over that of {base}: {shapes}\n({proxy})"
