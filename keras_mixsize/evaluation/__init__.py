"""Evaluation: how good one network is at many sizes.

`calibration` gives it the batch-norm statistics of a size, `evaluate` measures it there, `report` is what was found,
`plots` its pictures.

    report = evaluate_sizes(model, test, sizes=[16, 24, 32, 48], calibrate=train)
    print(report)
"""

from keras_mixsize.evaluation.calibration import calibrate, calibrated
from keras_mixsize.evaluation.evaluate import evaluate_sizes
from keras_mixsize.evaluation.report import Accuracy, CascadePoint, SizeReport, SizeRow

__all__ = ["Accuracy", "CascadePoint", "SizeReport", "SizeRow", "calibrate", "calibrated", "evaluate_sizes"]
