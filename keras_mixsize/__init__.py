"""MixSize training for TensorFlow and Keras: one network for many image sizes.

    regime = Regime.solve({32: .3, 48: .2, 24: .3, 16: .2}, base_size=32, base_batch=64, grow="duplicates")
    train = MixSizeDataset.from_arrays(images, labels, regime=regime, seed=0)
    model = MixSizeModel.from_model(models.cifar_resnet(44, classes=10))

Importing the package loads no TensorFlow; the first name that needs it does (PEP 562).

Source: Hoffer et al., "Mix & Match: training convnets with mixed image sizes for improved accuracy, speed and scale
resiliency", arXiv 1908.08986.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import wrapt

if TYPE_CHECKING:  # what type checkers and editors see; a test holds it equal to _PLACES
    from keras_mixsize import callbacks as callbacks
    from keras_mixsize import images as images
    from keras_mixsize import models as models
    from keras_mixsize import recipes as presets
    from keras_mixsize import recipes as recipes
    from keras_mixsize import serving as serving
    from keras_mixsize import sources as sources
    from keras_mixsize.evaluation import SizeReport as SizeReport
    from keras_mixsize.evaluation import calibrate as calibrate
    from keras_mixsize.evaluation import calibrated as calibrated
    from keras_mixsize.evaluation import evaluate_sizes as evaluate_sizes
    from keras_mixsize.export import FitCascade as FitCascade
    from keras_mixsize.export import Preprocessing as Preprocessing
    from keras_mixsize.export import converters as converters
    from keras_mixsize.export import export_saved_model as export_saved_model
    from keras_mixsize.images import CenterCrop as CenterCrop
    from keras_mixsize.images import PadCropFlip as PadCropFlip
    from keras_mixsize.images import RandomResizedCrop as RandomResizedCrop
    from keras_mixsize.images import WholeImage as WholeImage
    from keras_mixsize.input import MixSizeDataset as MixSizeDataset
    from keras_mixsize.input import service as service
    from keras_mixsize.regimes import Bucket as Bucket
    from keras_mixsize.regimes import BySize as BySize
    from keras_mixsize.regimes import Plan as Plan
    from keras_mixsize.regimes import Regime as Regime
    from keras_mixsize.regimes import Schedule as Schedule
    from keras_mixsize.training import MixSizeModel as MixSizeModel
    from keras_mixsize.training import max_batch as max_batch
    from keras_mixsize.training import smooth as smooth

__version__ = "0.2.0"

_ROOMS = {  # room -> the names that it hands on to here
    "evaluation": ("SizeReport", "calibrate", "calibrated", "evaluate_sizes"),
    "export": ("FitCascade", "Preprocessing", "converters", "export_saved_model"),
    "images": ("CenterCrop", "PadCropFlip", "RandomResizedCrop", "WholeImage"),
    "input": ("MixSizeDataset", "service"),
    "regimes": ("Bucket", "BySize", "Plan", "Regime", "Schedule"),
    "training": ("MixSizeModel", "max_batch", "smooth"),
}
_PLACES = {name: (room, name) for room, names in _ROOMS.items() for name in names} | {
    "callbacks": ("callbacks", None),
    "images": ("images", None),
    "models": ("models", None),
    "presets": ("recipes", None),
    "recipes": ("recipes", None),
    "serving": ("serving", None),
    "sources": ("sources", None),
}

__all__ = sorted(_PLACES)


if not TYPE_CHECKING:  # or a type checker would take any name for a public one

    def __getattr__(name: str):
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        room, attribute = _PLACES[name]
        module = importlib.import_module(f"{__name__}.{room}")
        return module if attribute is None else getattr(module, attribute)


def __dir__():
    return __all__


# A program that names nothing else of this package may load a file of Keras that holds a MixSizeModel. So what
# registers classes is imported with Keras, or, if it was one of the rooms that imported Keras, when that room is
# complete.
_IMPORT_KERAS = tuple(
    f"{__name__}.{room}"
    for room in [
        "internals",
        "images",
        "sources",
        "input",
        "distribution",
        "resuming",
        "training",
        "evaluation",
        "callbacks",
        "recipes",
        "export",
        "models",
    ]
)
_complete: set[str] = set()


def _register() -> None:
    """Import what registers classes with Keras."""
    for module in ("training", "models", "recipes.loss"):
        importlib.import_module(f"{__name__}.{module}")


def _after_import(module) -> None:
    _complete.add(module.__name__)
    if "keras" in _complete and not any(room in sys.modules and room not in _complete for room in _IMPORT_KERAS):
        _register()


for _name in ("keras", *_IMPORT_KERAS):
    wrapt.register_post_import_hook(_after_import, _name)
