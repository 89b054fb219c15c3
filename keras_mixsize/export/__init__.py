"""Export: one SavedModel that serves several sizes from one copy of the weights.

`saved_model` writes what `options` ask for, of `multi_size` (the network), `preprocessing` and `signatures` (what a
client sends and gets), `cascade`, `manifest` and `card` (what it says of itself) and `warmup_requests`; `converters`
make files for other engines of it. The room `serving` reads it.

    export_saved_model(model, "exports/clothes", [24, 32, 48], calibration=train, report=report)
"""

from keras_mixsize.export import converters
from keras_mixsize.export.cascade import Cascade, FitCascade, fit_cascade
from keras_mixsize.export.options import ExportOptions
from keras_mixsize.export.preprocessing import Preprocessing
from keras_mixsize.export.saved_model import export_saved_model
from keras_mixsize.export.signatures import Limits

__all__ = [
    "Cascade",
    "ExportOptions",
    "FitCascade",
    "Limits",
    "Preprocessing",
    "converters",
    "export_saved_model",
    "fit_cascade",
]
