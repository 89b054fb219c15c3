"""What a regime's text on the command line means: a preset, sizes and shares, buckets as written, or a JSON file.

Stages of a schedule are such texts with their shares of all steps.

Loads no TensorFlow. Used by `plan` and `settings`.

    choose_regime("cifar", "d+")                                                   # the preset cifar/d+
    choose_regime("32:.3,48:.2,24:.3,16:.2", "d+", base_size=32, base_batch=64)
    choose_regime("32x64x1:0.5,16x64x4:0.5", "d+")
    by_stages("0.8*cifar/d+; 0.2*32x64x1:1", choose_regime)
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

from keras_mixsize.cli.command import nearest
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.notation import gives_batch, shapes_of, stages_of
from keras_mixsize.regimes.presets import MODES, preset_names
from keras_mixsize.regimes.regime import Regime
from keras_mixsize.regimes.schedule import Schedule


def by_stages(text: str, choose: Callable[[str], Any]) -> Mixture:
    """Return what `choose` makes of a regime's text, or the schedule of what it makes of each stage's.

    Raises:
        ValueError: a text that cannot be read, or shares that do not sum to 1.
    """
    if "*" not in text and ";" not in text:
        return choose(text)
    return Schedule(tuple((share, choose(regime)) for share, regime in stages_of(text)))


def from_json(text: str) -> Mixture:
    """Return the regime or schedule that `to_json` wrote."""
    schedule = Schedule.from_json(text)
    return schedule if len(schedule.stages) > 1 else schedule.stages[0][1]


def choose_regime(text: str, mode: str = "d+", **solve_options) -> Mixture:
    """Return the regime that a text means; only a file may hold a schedule.

    Args:
        text: a preset's family (`cifar`) or full name (`cifar/d+`), the text form, or a JSON file.
        mode: `baseline`, `b+`, `d+` or `bd+`; what small sizes spend their budget on, where `text` does not say.
        **solve_options: for `Regime.solve`; those that the text leaves no room for must be left out.

    Raises:
        ValueError: no such preset, or a text that cannot be read.
        FileNotFoundError: no such file.
    """
    if pathlib.Path(text).suffix == ".json":
        if solve_options:
            raise ValueError(
                f"regime file {text} says everything, so it does not take {', '.join(sorted(solve_options))}"
            )
        return from_json(pathlib.Path(text).read_text())
    if ":" not in text:
        return _preset(text if "/" in text else f"{text}/{mode}", **solve_options)
    if gives_batch(shapes_of(text)[0][0]):
        return Regime.parse(text, **solve_options)
    if mode == "baseline":
        return Regime.fixed(solve_options["base_size"], solve_options["base_batch"])
    return Regime.parse(text, **{"grow": MODES[mode]} | solve_options)


def _preset(name: str, **solve_options) -> Regime:
    known = preset_names()
    if name not in known:
        families = ", ".join(dict.fromkeys(preset.partition("/")[0] for preset in known))
        hint = nearest(name, known)
        raise ValueError(f"no preset {name!r}{hint}\nfamilies: {families}; modes: baseline, {', '.join(MODES)}")
    return Regime.preset(name, **solve_options)
