"""What Keras's callbacks remember between epochs, kept with a checkpoint.

facts = remember(callbacks)             # as JSON holds it
remind(callbacks, facts)
"""

from __future__ import annotations

import keras

# What these callbacks remember between epochs, as far as JSON holds it; Keras sets it anew when a fit begins.
_REMEMBERED = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


def remember(callbacks) -> list:
    return [[type(callback).__name__, _fields(callback)] for callback in callbacks if _names(callback)]


def remind(callbacks, remembered: list) -> None:
    known = [callback for callback in callbacks if _names(callback)]
    for callback, (kind, fields) in zip(known, remembered):
        if type(callback).__name__ == kind:
            vars(callback).update(fields)


def _fields(callback) -> dict:
    values = {name: vars(callback).get(name) for name in _names(callback)}
    return {name: value if value is None or isinstance(value, int) else float(value) for name, value in values.items()}


def _names(callback) -> tuple[str, ...]:
    return next((names for kind, names in _REMEMBERED.items() if isinstance(callback, kind)), ())
