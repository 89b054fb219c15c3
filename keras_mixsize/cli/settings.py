"""From the flags of `mixsize train` to a RunConfig: a file or a recipe first, and what flags change in it.

Loads TensorFlow only where a folder's images have to be looked at. Neighbours: `train` (the flags), `config` (the
value), `recipes.folders` (the recipe of a folder).

    config = settings(train.FLAGS, "photos")
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from absl import flags

from keras_mixsize.cli.command import nearest
from keras_mixsize.cli.config import RunConfig, read_config
from keras_mixsize.cli.names import PREFIXES, meaning, short_name
from keras_mixsize.cli.regime_text import by_stages, choose_regime
from keras_mixsize.recipes import RECIPES, Recipe
from keras_mixsize.recipes.folders import Asked, Choice, FolderFacts, choose
from keras_mixsize.recipes.recipe import BY_SIZE
from keras_mixsize.regimes import BySize, Mixture, Regime

PLAIN = (  # flags that are fields of RunConfig
    "data_dir", "validation", "name", "seed", "sizes", "calibration_batches", "sampling", "precision", "strategy",
    "tensorboard", "resume", "damage", "output", "xla_cache",
)  # fmt: skip
OF_REGIME = ("regime", "mode", "share", "base_size", "base_batch", "finish")
SMOKE: dict[str, Any] = {"limit": 512, "calibration_batches": 2}


def settings(values: flags.FlagValues, dataset: str | None, say=print) -> RunConfig:
    """Return what `mixsize train` is to do.

    Args:
        values: the flags, parsed.
        dataset: as the user named it, or None.
        say: function of a line, for what was chosen.

    Raises:
        ValueError, FileNotFoundError: a flag or a file that does not fit.
    """
    given = {name: values[name].value for name in values if values[name].present}
    if dataset is not None:
        dataset = meaning(dataset, say)
    start = _start(given, dataset, say)
    changes: dict[str, Any] = {name: given[name] for name in PLAIN if name in given}
    if dataset:
        changes["dataset"] = dataset
    recipe = changed(start.recipe, given)
    regime = _regime(given, recipe, start.regime)
    if regime != start.regime:
        changes = {"sizes": None} | changes
    config = _named_after_the_data(dataclasses.replace(start, **changes, recipe=recipe, regime=regime), given)
    if not config.output:
        config = dataclasses.replace(config, output=os.path.join("runs", config.title.replace("/", "_")))
    return _smoke(config) if values["smoke"].value else config


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        ValueError: an unknown name, with the nearest one.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}{nearest(name, tuple(RECIPES))}; `mixsize train --list` prints them")
    return RECIPES[name]


def changed(recipe: Recipe, given: dict) -> Recipe:
    """Return a recipe with the settings that flags change.

    Args:
        recipe: to begin with.
        given: values of the flags that the user gave, by name.
    """
    changes = {name: given[name] for name in ("l2", "scaling", "mode", "ema", "finish") if name in given}
    changes |= {name: number_or_by_size(name, given[name]) for name in BY_SIZE if name in given}
    network = given.get("model", recipe.network)
    if network != recipe.network:
        options = {"network_options": {}, "auxiliary_weight": 0.4 if "amoebanet" in network else 0.0}
        changes |= {"network": network, **options}
    if "smoothing" in given:
        changes["smoothing"] = given["smoothing"] if given["smoothing"] >= 0 else None
    if "learning_rate" in given:
        changes["schedule"] = dataclasses.replace(recipe.schedule, learning_rate=given["learning_rate"])
    recipe = dataclasses.replace(recipe, **changes)
    return recipe.lasting(given["epochs"]) if "epochs" in given else recipe


def number_or_by_size(flag: str, text: str) -> float | BySize:
    """Return what a flag means that may depend on the size: `4`, or `16:2,32:6`.

    Raises:
        ValueError: another form.
    """
    if ":" in text:
        return BySize.parse(text)
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        raise ValueError(f"--{flag} must be a number, or by size as in 16:2,32:6, got {text!r}") from None


def _start(given: dict, dataset: str | None, say) -> RunConfig:
    """Return the settings that flags change: of a file, of a recipe, or of the folder's own recipe."""
    if "config" in given:
        config = read_config(given["config"])
        return (
            dataclasses.replace(config, recipe=find_recipe(given["recipe"]), regime=None)
            if "recipe" in given
            else config
        )
    installed = _has_tensorboard()
    if "recipe" not in given and dataset is not None and not _has_recipe(dataset):
        choice = own_choice(dataset, given)
        say(str(choice))
        options: dict[str, Any] = {
            "regime": choice.regime,
            "calibration_batches": choice.calibration_batches,
            "tensorboard": installed,
        }
        return RunConfig(choice.recipe, output="", dataset=dataset, **options)
    recipe = find_recipe(given["recipe"]) if "recipe" in given else _usual_recipe(dataset or "embedded")
    return RunConfig(recipe, output="", dataset=dataset, tensorboard=installed)


def _has_recipe(dataset: str) -> bool:
    return any(recipe.dataset == dataset for recipe in RECIPES.values())


def _usual_recipe(dataset: str) -> Recipe:
    """Return the first recipe of a data set that grows batches and ends at the base, or else that grows duplicates."""
    return next(
        recipe
        for recipe in RECIPES.values()
        if (recipe.dataset, recipe.mode) == (dataset, "b+" if recipe.finish else "d+")
    )


def own_choice(dataset: str, given: dict) -> Choice:
    """Return the recipe for the images of a data set without a recipe, and this machine."""
    import tensorflow as tf

    from keras_mixsize.cli.data import facts as facts_of  # here, because they load TensorFlow

    examples, classes, side = facts_of(dataset, given.get("data_dir"), given.get("validation", 0.2))
    gpu = bool(tf.config.list_physical_devices("GPU"))
    facts = FolderFacts(short_name(dataset), examples, classes, side, os.cpu_count() or 1, gpu)
    wanted = ("mode", "base_size", "base_batch", "epochs", "learning_rate", "finish")
    return choose(facts, Asked(network=given.get("model"), **{name: given[name] for name in wanted if name in given}))


def _regime(given: dict, recipe: Recipe, regime: Mixture) -> Mixture:
    """Return the regime or schedule that flags ask for, or the one that there is; the recipe has its last steps."""
    asked = {name for name in OF_REGIME if name in given}
    if "regime" not in given and (recipe.family == "folder" or not asked):
        return regime
    if "regime" not in given and "config" in given:
        raise ValueError(f"--{min(asked)} needs --regime beside --config, because the file holds a whole regime")
    options = {name: given[name] for name in ("share", "base_size", "base_batch") if name in given}

    def choose(text: str) -> Mixture:
        solved = ":" in text and "x" not in text
        return choose_regime(text, recipe.mode, **({"base_size": 32, "base_batch": 64} if solved else {}) | options)

    found = by_stages(given.get("regime", recipe.family), choose)
    return recipe.finished(found) if isinstance(found, Regime) else found


def _named_after_the_data(config: RunConfig, given: dict) -> RunConfig:
    """Return the settings; where the images are the user's own, under their name, not under a recipe's of ours."""
    if not config.dataset.startswith(PREFIXES) or "config" in given:
        return config
    recipe = dataclasses.replace(config.recipe, dataset=short_name(config.dataset))
    return dataclasses.replace(config, recipe=recipe, name=given.get("name", config.title))


def _smoke(config: RunConfig) -> RunConfig:
    """Return the settings of a run of seconds, whose figures mean nothing."""
    recipe = config.recipe.lasting(1)
    return dataclasses.replace(config, recipe=recipe, sizes=config.sizes[:2], **SMOKE)


def _has_tensorboard() -> bool:
    import importlib.util

    return importlib.util.find_spec("tensorboard") is not None
