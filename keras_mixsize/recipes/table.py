"""Table: every recipe by name, as plain data: the paper's, and small ones for data to be had anywhere.

A name is data set, network and mode. Neighbours: `recipe` (the fields), `build` (what they mean in Keras), `paper` (the
results that the paper's recipes are to reach).

    print(find("cifar10/resnet44/d+"))
    [name for name in RECIPES if name.startswith("embedded/")]

Source: Hoffer et al., arXiv 1908.08986, and the authors' published training code (convNet.pytorch) for normalisation,
for what decays, and for smoothing where sizes are mixed only.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from keras_mixsize.arguments import check_choice
from keras_mixsize.recipes.recipe import Recipe
from keras_mixsize.recipes.schedules import CosineDecay, StepDecay
from keras_mixsize.regimes.presets import MODES

_IMAGENET_STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # the authors' for CIFAR too
_SMALL: dict[str, Any] = {
    "family": "cifar",
    "epochs": 200,
    "schedule": StepDecay(0.1, (81, 122, 164), 0.1),
    "reference_batch": 64,
}
_CIFAR = _SMALL | _IMAGENET_STATISTICS
_WIDE = _CIFAR | {"schedule": StepDecay(0.1, (60, 120, 160), 0.2), "l2": 5e-4}
_EVOLVED = _CIFAR | {
    "epochs": 600,
    "schedule": CosineDecay(0.025),
    "l2": 3e-4,
    "network_options": {"drop_path": 0.2},
    "auxiliary_weight": 0.4,
}
_IMAGENET = _IMAGENET_STATISTICS | {
    "family": "imagenet144",
    "epochs": 90,
    "schedule": StepDecay(0.1, (30, 60, 80), 0.1),
    "reference_batch": 256,
    "augmentation": "random_resized_crop",
    "test_crop": 7 / 8,
}
_EFFICIENT = _IMAGENET | {
    "epochs": 200,
    "schedule": CosineDecay(0.1),
    "l2": 1e-5,
    "l2_filter": "no_depthwise",
    "network_options": {"drop_path": 0.2, "dropout": 0.2},
}
_FASHION = _SMALL | {"epochs": 10, "schedule": _SMALL["schedule"].stretched(10 / 200)}
_CLIPART = _CIFAR | {
    "epochs": 40,
    "schedule": _CIFAR["schedule"].stretched(40 / 200),
    "augmentation": "random_resized_crop",
    "area": (0.35, 1.0),
}
_EMBEDDED = _SMALL | {"family": "small", "epochs": 9, "padding": 2, "schedule": CosineDecay(0.2, warmup_share=0.05)}
_GLYPHS = {
    "family": "tiny",
    "epochs": 60,
    "schedule": CosineDecay(0.2),
    "reference_batch": 64,
    "l2": 5e-4,
    "augmentation": "pad_crop",  # a mirrored letter is none
    "finish": 0.2,
}
_ROWS = {
    ("cifar10", "resnet44"): _CIFAR,
    ("cifar10", "wrn28_10"): _WIDE,
    ("cifar10", "amoebanet_a"): _EVOLVED,
    ("cifar100", "resnet44"): _CIFAR,
    ("cifar100", "wrn28_10"): _WIDE,
    ("imagenet2012", "resnet50"): _IMAGENET,
    ("imagenet2012", "efficientnet_b0"): _EFFICIENT,
    ("fashion_mnist", "resnet8"): _FASHION,
    ("clipart", "resnet14"): _CLIPART,
    ("embedded", "resnet8"): _EMBEDDED,
    ("glyphs", "resnet14"): _GLYPHS,
}


def _recipe(dataset: str, network: str, mode: str, fields: Mapping) -> Recipe:
    # The authors smooth gradients only where sizes are mixed; the demo's three runs differ in their sizes alone.
    smoothing = None if mode == "baseline" and dataset != "embedded" else 0.9
    return Recipe(dataset, network, mode, smoothing=smoothing, **fields)


RECIPES: Mapping[str, Recipe] = types.MappingProxyType(
    {
        recipe.name: recipe
        for (dataset, network), fields in _ROWS.items()
        for recipe in (_recipe(dataset, network, mode, fields) for mode in ("baseline", *MODES))
    }
)


def find(name: str) -> Recipe:
    """Return a recipe by name: data set, network and mode, as in `cifar10/resnet44/b+`.

    Raises:
        ValueError: an unknown name; the message lists the known ones and the nearest.
    """
    check_choice("recipe", name, tuple(RECIPES))
    return RECIPES[name]
