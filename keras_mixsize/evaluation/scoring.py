"""Scoring: how a classifier's answers are compared with labels.

The loss that a model was compiled with says whether its outputs are logits, and whether one output is a binary answer;
where it does not, the first answers do, once for all. What is no classifier of one class an image is refused. Used by
`evaluate`; pure NumPy but for the model's loss.

    score = Scoring.of(model)
    correct, loss = score(np.asarray(logits), labels)           # of a batch: right answers, the sum of the losses
"""

from __future__ import annotations

import keras
import numpy as np

_BINARY = {
    keras.losses.BinaryCrossentropy: keras.losses.binary_crossentropy,
    keras.losses.BinaryFocalCrossentropy: keras.losses.binary_focal_crossentropy,
}
_CLASSES = {
    keras.losses.SparseCategoricalCrossentropy: keras.losses.sparse_categorical_crossentropy,
    keras.losses.CategoricalCrossentropy: keras.losses.categorical_crossentropy,
    keras.losses.CategoricalFocalCrossentropy: keras.losses.categorical_focal_crossentropy,
}
_REGRESSION = {
    keras.losses.MeanSquaredError: keras.losses.mean_squared_error,
    keras.losses.MeanAbsoluteError: keras.losses.mean_absolute_error,
    keras.losses.MeanAbsolutePercentageError: keras.losses.mean_absolute_percentage_error,
    keras.losses.MeanSquaredLogarithmicError: keras.losses.mean_squared_logarithmic_error,
    keras.losses.Huber: keras.losses.huber,
    keras.losses.LogCosh: keras.losses.log_cosh,
}
_SMALLEST = 1e-12  # probability that has a logarithm


class Scoring:
    """Compares outputs `[N, K]` with labels, batch by batch; the same way for all batches.

    With one output, the label is 0 or 1 and an answer is 1 where its probability is above 0.5. With several, the label
    is a class and the answer the likeliest one. The loss is the cross-entropy of both.

    Args:
        loss: what the model was compiled with, of its first output; None if that is not known.
        outputs: K.

    Raises:
        ValueError: the loss is that of a regression or of several labels for an image.
    """

    def __init__(self, loss, outputs: int):
        loss = _as_object(loss)
        if isinstance(loss, tuple(_REGRESSION)):
            raise ValueError(
                f"model must be a classifier, got one that was compiled with the loss {loss.name}; "
                "measure a regression with model.evaluate at each size"
            )
        if isinstance(loss, tuple(_BINARY)) and outputs > 1:
            raise ValueError(
                f"model must give one class for each image, got {outputs} outputs with the loss {loss.name}, so "
                "several labels for an image; measure them with model.evaluate at each size"
            )
        self.outputs = outputs
        self.from_logits = loss.from_logits if isinstance(loss, (*_BINARY, *_CLASSES)) else None

    @classmethod
    def of(cls, model: keras.Model) -> Scoring:
        """Return the scoring of a model's first output."""
        shape = model.output_shape[0] if isinstance(model.output_shape, list) else model.output_shape
        if len(shape) != 2:
            raise ValueError(f"model must give outputs [N, classes], got the shape {shape}")
        loss = model.loss if model.compiled else None
        return cls(keras.tree.flatten(loss)[0] if isinstance(loss, (list, tuple, dict)) else loss, shape[-1])

    def __call__(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[int, float]:
        """Return the right answers and the sum of the losses of a batch.

        Args:
            outputs: float `[N, K]`.
            labels: integers `[N]` or `[N, 1]`, or one-hot `[N, K]`.

        Raises:
            ValueError: labels that are no classes, or beyond the outputs.
        """
        labels = np.asarray(labels)
        binary = self.outputs == 1
        classes = classes_of(labels, max(2, self.outputs))
        if self.from_logits is None:
            self.from_logits = not (_within_unit(outputs) if binary else _are_distributions(outputs))
        logs = _binary_logs(outputs, self.from_logits) if binary else _class_logs(outputs, self.from_logits)
        answers = logs[:, 1] > logs[:, 0] if binary else logs.argmax(-1)
        return int((answers == classes).sum()), -float(logs[np.arange(len(classes)), classes].sum())


def classes_of(labels: np.ndarray, count: int) -> np.ndarray:
    """Return labels as classes, integers `[N]` in [0, count).

    Args:
        labels: whole numbers `[N]` or `[N, 1]`, or one-hot `[N, count]`.
        count: of classes.

    Raises:
        ValueError: fractions, several classes for an image, or a class out of range.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        _check_one_hot(labels, count)
        return labels.argmax(-1)
    if labels.ndim != 1 or not (labels == np.floor(labels)).all():
        wrong = labels.shape if labels.ndim != 1 else labels[labels != np.floor(labels)][0]
        raise ValueError(
            f"labels must be classes, whole numbers [N] or one-hot [N, {count}], got {wrong}; measure a regression "
            "with model.evaluate at each size"
        )
    wrong = labels[(labels < 0) | (labels >= count)]
    if wrong.size:
        raise ValueError(f"labels must lie in [0, {count}), the model's outputs, got {wrong[0]}")
    return labels.astype(np.int64)


def _check_one_hot(labels: np.ndarray, count: int) -> None:
    if labels.shape[1] != count:
        raise ValueError(f"one-hot labels must be [N, {count}], as the model's outputs, got [N, {labels.shape[1]}]")
    odd = ((labels > 0.5).sum(-1) != 1) | (np.abs(labels.sum(-1) - 1) > 1e-3)
    if odd.any():
        raise ValueError(
            f"labels must name one class for each image, got {labels[odd][0].tolist()}; measure several labels for an "
            "image with model.evaluate at each size"
        )


def _as_object(loss):
    """Return a loss of Keras's, given by its name or as a function, as the object; anything else as it is."""
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    for kind, function in (_BINARY | _CLASSES | _REGRESSION).items():
        if loss is function:
            return kind()
    return loss


def _within_unit(outputs: np.ndarray) -> bool:
    return bool(outputs.min() >= 0 and outputs.max() <= 1)


def _are_distributions(outputs: np.ndarray) -> bool:
    return bool(outputs.min() >= 0 and np.allclose(outputs.sum(-1), 1.0, atol=1e-3))


def _class_logs(outputs: np.ndarray, from_logits: bool) -> np.ndarray:
    """Return the logarithms of the probabilities of all classes, `[N, K]`."""
    if not from_logits:
        return np.log(np.maximum(outputs / outputs.sum(-1, keepdims=True), _SMALLEST))  # as Keras does
    shifted = outputs - outputs.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _binary_logs(outputs: np.ndarray, from_logits: bool) -> np.ndarray:
    """Return the logarithms of the probabilities of 0 and of 1, `[N, 2]`."""
    if from_logits:
        return np.concatenate([-np.logaddexp(0, outputs), -np.logaddexp(0, -outputs)], axis=-1)
    return np.log(np.maximum(np.concatenate([1 - outputs, outputs], axis=-1), _SMALLEST))
