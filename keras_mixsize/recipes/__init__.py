"""Recipes: every setting of a run as a value, by name, and what it means in Keras.

`recipe` has the fields and `schedules` its learning rate, `table` the named ones, `paper` the paper's results: plain
data that load no TensorFlow. `build` makes schedule, optimizer, augmentation and compiled model of a recipe, `loss` is
theirs.

    recipe = recipes.find("cifar10/resnet44/b+")
    model = recipes.compile_model(network, recipe, train)
"""

import importlib
from typing import TYPE_CHECKING

from keras_mixsize.recipes.paper import PAPER, PaperRow
from keras_mixsize.recipes.recipe import Recipe
from keras_mixsize.recipes.schedules import CosineDecay, StepDecay
from keras_mixsize.recipes.table import RECIPES, find
from keras_mixsize.regimes.presets import FAMILIES, MODES, SizeFamily, preset_names

if TYPE_CHECKING:
    from keras_mixsize.recipes.build import (
        AUGMENTATIONS,
        SCALING,
        compile_model,
        optimizer,
        rate_factor,
        schedule,
        test_window,
        transform,
    )
    from keras_mixsize.recipes.loss import SmoothedCrossEntropy

_NEED_TENSORFLOW = {"SmoothedCrossEntropy": "loss"} | dict.fromkeys(
    (
        "AUGMENTATIONS",
        "SCALING",
        "compile_model",
        "optimizer",
        "rate_factor",
        "schedule",
        "test_window",
        "transform",
    ),
    "build",
)

__all__ = [
    "AUGMENTATIONS",
    "FAMILIES",
    "MODES",
    "PAPER",
    "RECIPES",
    "SCALING",
    "CosineDecay",
    "PaperRow",
    "Recipe",
    "SizeFamily",
    "SmoothedCrossEntropy",
    "StepDecay",
    "compile_model",
    "find",
    "optimizer",
    "preset_names",
    "rate_factor",
    "schedule",
    "test_window",
    "transform",
]


if not TYPE_CHECKING:  # or a type checker would take any name for one of these

    def __getattr__(name: str):
        if name not in _NEED_TENSORFLOW:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_NEED_TENSORFLOW[name]}"), name)
