"""Evaluation: how good one network is at many sizes.

`calibration` gives it the batch-norm `statistics` of a size, from `size_batches`; `evaluate` measures it there on the
test `examples`, by `scoring`, and `validation` in each epoch of a training; `report` is what was found, `plots` its
pictures, `progress` says what is being done. A report loads no TensorFlow; the functions that make one do.

    report = evaluate_sizes(model, test, sizes=[16, 24, 32, 48], calibrate=train)
    print(report)
"""

import importlib
from typing import TYPE_CHECKING

from keras_mixsize.evaluation.report import Accuracy, CascadePoint, SizeReport, SizeRow

if TYPE_CHECKING:
    from keras_mixsize.evaluation.calibration import calibrate, calibrated
    from keras_mixsize.evaluation.evaluate import EvaluationOptions, evaluate_sizes
    from keras_mixsize.evaluation.validation import ValidateSizes

_NEED_TENSORFLOW = {
    "EvaluationOptions": "evaluate",
    "ValidateSizes": "validation",
    "calibrate": "calibration",
    "calibrated": "calibration",
    "evaluate_sizes": "evaluate",
}

__all__ = [
    "Accuracy",
    "CascadePoint",
    "EvaluationOptions",
    "SizeReport",
    "SizeRow",
    "ValidateSizes",
    "calibrate",
    "calibrated",
    "evaluate_sizes",
]


if not TYPE_CHECKING:  # or a type checker would take any name for one of these

    def __getattr__(name: str):
        if name not in _NEED_TENSORFLOW:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_NEED_TENSORFLOW[name]}"), name)
