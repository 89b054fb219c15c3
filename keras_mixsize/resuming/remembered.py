"""What Keras's callbacks remember between epochs, kept with a checkpoint; Keras sets it anew when a fit begins.

Used by `resume`; `internals` knows where the callbacks keep it.

    check_going_on(callbacks)
    facts = remember(callbacks)             # as JSON holds it
    remind(callbacks, facts)
"""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np

from keras_mixsize import internals


def check_going_on(callbacks: Iterable[keras.callbacks.Callback]) -> None:
    """Raise a ValueError if a callback overwrites the weights from which a run with more epochs would go on."""
    swapping = (callback for callback in callbacks if isinstance(callback, keras.callbacks.SwapEMAWeights))
    if any(callback.swap_on_epoch for callback in swapping):
        raise ValueError(
            "callbacks must not hold SwapEMAWeights(swap_on_epoch=True) beside Resume: after the last epoch it "
            "replaces the weights by their averages, from which more epochs could not go on; use SwapEMAWeights(), "
            "which validates with the averages; fit leaves them in the model at its end"
        )


def remember(callbacks: Iterable[keras.callbacks.Callback]) -> list[list]:
    """Return what those of Keras's callbacks that remember earlier epochs know, as JSON holds it.

    Args:
        callbacks: of a training that has begun; others are left out.

    Returns:
        For each, in order, the name of its class and its values by name: numbers or None.
    """
    return [[type(callback).__name__, _values(callback)] for callback in _remembering(callbacks)]


def best_weights(callbacks: Iterable[keras.callbacks.Callback]) -> list[list[np.ndarray]]:
    """Return the weights that each `EarlyStopping` keeps for the end, an empty list if it keeps none."""
    return [callback.best_weights or [] for callback in _stopping(callbacks)]


def has_stopped(callbacks: Iterable[keras.callbacks.Callback]) -> bool:
    """Return whether an `EarlyStopping` has ended the run, and with its patience of now would have, too."""
    return any(callback.stopped_epoch > 0 and callback.wait >= callback.patience for callback in _stopping(callbacks))


def remind(callbacks: Iterable[keras.callbacks.Callback], remembered: list[list], best=()) -> None:
    """Give callbacks back what `remember` returned of callbacks of the same classes, in the same order.

    Args:
        callbacks: of a training that has begun.
        remembered: of an earlier one; where the class is another one the callback is left alone.
        best: what `best_weights` returned of the earlier one.
    """
    callbacks = list(callbacks)
    for callback, weights in zip(_stopping(callbacks), best):
        callback.best_weights = list(weights) or None
    for callback, (kind, values) in zip(_remembering(callbacks), remembered):
        if type(callback).__name__ == kind:
            internals.remind(callback, values)


def _remembering(callbacks: Iterable[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    return [callback for callback in callbacks if internals.remembers(callback)]


def _stopping(callbacks: Iterable[keras.callbacks.Callback]) -> list[keras.callbacks.EarlyStopping]:
    return [callback for callback in callbacks if isinstance(callback, keras.callbacks.EarlyStopping)]


def _values(callback: keras.callbacks.Callback) -> dict[str, int | float | None]:
    values = internals.memory_of(callback)  # NumPy's numbers among them, which JSON does not hold
    return {name: value if value is None or isinstance(value, int) else float(value) for name, value in values.items()}
