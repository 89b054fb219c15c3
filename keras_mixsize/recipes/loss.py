"""Loss: cross-entropy with label smoothing for integer labels, that of every recipe.

Used by `build`; registered with Keras, so that a saved model of a recipe loads.

    SmoothedCrossEntropy(0.1)(labels, logits)           # labels [N] integers, logits [N, classes]
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_mixsize")
class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits and integer labels, with label smoothing, which Keras has for one-hot labels only.

    With smoothing e and K classes: `(1 - e) * ce(label) + e / K * sum over classes of ce(class)`.

    Args:
        label_smoothing: share e of the label that is spread over all classes, in [0, 1).

    Raises:
        ValueError: a share out of range.

    Source: Szegedy et al., "Rethinking the Inception architecture", arXiv 1512.00567, section 7.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "cross_entropy", **kwargs):
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be a share in [0, 1), got {label_smoothing!r}")
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example: float32 `[N]` from integers `[N]` and logits `[N, classes]`."""
        labels = keras.ops.reshape(keras.ops.cast(y_true, "int32"), [-1])
        exact = keras.ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
        if not self.label_smoothing:
            return exact
        spread = -keras.ops.mean(keras.ops.log_softmax(y_pred, axis=-1), axis=-1)
        return (1 - self.label_smoothing) * exact + self.label_smoothing * spread

    def __repr__(self) -> str:
        return f"SmoothedCrossEntropy({self.label_smoothing:g}, name={self.name!r})"

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return super().get_config() | {"label_smoothing": self.label_smoothing}
