"""What Keras's callbacks remember between epochs, kept with a checkpoint; Keras sets it anew when a fit begins.

Used by `resume`; `internals` knows where the callbacks keep it.

    facts = remember(callbacks)             # as JSON holds it
    remind(callbacks, facts)
"""

from __future__ import annotations

from collections.abc import Iterable

import keras

from keras_mixsize import internals


def remember(callbacks: Iterable[keras.callbacks.Callback]) -> list[list]:
    """Return what those of Keras's callbacks that remember earlier epochs know, as JSON holds it.

    Args:
        callbacks: of a training that has begun; others are left out.

    Returns:
        For each, in order, the name of its class and its values by name: numbers or None.
    """
    return [[type(callback).__name__, _values(callback)] for callback in _remembering(callbacks)]


def remind(callbacks: Iterable[keras.callbacks.Callback], remembered: list[list]) -> None:
    """Give callbacks back what `remember` returned of callbacks of the same classes, in the same order.

    Args:
        callbacks: of a training that has begun.
        remembered: of an earlier one; where the class is another one the callback is left alone.
    """
    for callback, (kind, values) in zip(_remembering(callbacks), remembered):
        if type(callback).__name__ == kind:
            internals.remind(callback, values)


def _remembering(callbacks: Iterable[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    return [callback for callback in callbacks if internals.remembers(callback)]


def _values(callback: keras.callbacks.Callback) -> dict[str, int | float | None]:
    values = internals.memory_of(callback)  # NumPy's numbers among them, which JSON does not hold
    return {name: value if value is None or isinstance(value, int) else float(value) for name, value in values.items()}
