"""Callbacks: what goes into `fit(callbacks=[...])` beside Keras's own.

Nothing is defined here; the rooms are `resuming` and `evaluation`.

    model.fit(train, epochs=200, callbacks=[ValidateSizes(test, sizes=[16, 24, 32]), Resume("run/")])
"""

from keras_mixsize.evaluation.validation import ValidateSizes
from keras_mixsize.resuming import Resume

__all__ = ["Resume", "ValidateSizes"]
