"""Loss and metrics of every image size, beside the totals.

`training` updates a SizeMetrics inside its step; the callback puts the results into the logs at the end of each epoch,
under names such as `loss_32` and `accuracy_48`, before the progress bar, TensorBoard and CSVLogger read them.

    metrics = SizeMetrics(sizes=(16, 32), compiled=keras.metrics.SparseCategoricalAccuracy(name="accuracy"))
    metrics.update(32, loss, labels, predictions); metrics.results()
"""

from __future__ import annotations

import keras
import numpy as np


class SizeMetrics:
    """A loss, and the state of the compiled metrics, for each size.

    A metric is never copied, because it may have no `get_config`: a size has variables of its own for it, with which
    Keras's `stateless_update_state` and `stateless_result` compute.

    Args:
        sizes: in pixels.
        compiled: all metrics of `compile` as one, whose result is a dictionary, or any other metric; None for none.
    """

    def __init__(self, sizes, compiled: keras.metrics.Metric | None = None):
        self.losses = {size: keras.metrics.Mean(name=f"loss_{size}") for size in sizes}
        self._compiled = compiled
        self._states = {size: [_like(variable, size) for variable in self._templates] for size in sizes}
        self.reset()

    @property
    def _templates(self) -> list[keras.Variable]:
        return [] if self._compiled is None else self._compiled.variables

    @property
    def variables(self) -> list:
        """The variables of all sizes."""
        return [variable for size, loss in self.losses.items() for variable in (*loss.variables, *self._states[size])]

    def update(self, size: int, loss, labels, predictions, sample_weight=None) -> None:
        """Add one batch of a size; a size that is not known is left out.

        Args:
            size: in pixels.
            loss: scalar, the mean over the batch.
            labels, predictions, sample_weight: as the compiled metrics take them: `[N, ...]`, or structures of them.
        """
        if size not in self.losses:
            return
        self.losses[size].update_state(loss, sample_weight=keras.ops.shape(keras.tree.flatten(labels)[0])[0])
        if self._compiled is not None:
            before = _values(self._states[size])
            after = self._compiled.stateless_update_state(before, labels, predictions, sample_weight=sample_weight)
            _assign(self._states[size], after)

    def results(self) -> dict[str, float | np.ndarray]:
        """Return the value of each metric since the last reset; NaN for sizes that were not seen.

        So the names are the same in every epoch, as CSVLogger and History need them.
        """
        found = {}
        for size, loss in self.losses.items():
            seen = float(keras.ops.convert_to_numpy(loss.count)) > 0
            results = {"loss": loss.result()} | flat_results(self._result(size))
            found |= {f"{name}_{size}": plain_number(value, seen=seen) for name, value in results.items()}
        return found

    def _result(self, size: int) -> dict:
        if self._compiled is None:
            return {}
        result = self._compiled.stateless_result(_values(self._states[size]))
        return result if isinstance(result, dict) else {self._compiled.name: result}

    def reset(self) -> None:
        """Forget all batches."""
        for loss in self.losses.values():
            loss.reset_state()
        initial = [] if self._compiled is None else self._compiled.stateless_reset_state()
        for state in self._states.values():
            _assign(state, initial)


def _like(variable: keras.Variable, size: int) -> keras.Variable:
    """Return a variable for the state of a size, under its metric's name, by which checkpoints know it."""
    scope, _, _ = variable.path.rpartition("/")
    with keras.name_scope(scope.rpartition("/")[2] or "metric"):
        return keras.Variable(
            "zeros",
            shape=variable.shape,
            dtype=variable.dtype,
            trainable=False,
            aggregation=variable.aggregation,
            synchronization=variable.synchronization,
            name=f"{variable.name}_{size}",
        )


def _values(variables: list) -> list:
    return [keras.ops.convert_to_tensor(variable) for variable in variables]


def _assign(variables: list, values: list) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def flat_results(results: dict) -> dict:
    """Return results of one level: those of a metric that gives a dictionary go by their own names, as in Keras."""
    flat = {}
    for name, value in results.items():
        flat |= flat_results(value) if isinstance(value, dict) else {name: value}
    return flat


def plain_number(value, *, seen: bool = True) -> float | np.ndarray:
    """Return a float, or an array of the result's shape; NaN of a size that was not seen."""
    array = np.asarray(keras.ops.convert_to_numpy(value))
    array = array if seen else np.full(array.shape, np.nan)
    return array if array.ndim else float(array)


class SizeLogs(keras.callbacks.Callback):
    """Adds the results of a SizeMetrics to the logs of each epoch.

    Args:
        metrics: what the training step updates.
    """

    def __init__(self, metrics: SizeMetrics):
        super().__init__()
        self.metrics = metrics

    def on_epoch_begin(self, epoch, logs=None):
        """Start the epoch's metrics afresh."""
        self.metrics.reset()

    def on_epoch_end(self, epoch, logs=None):
        """Add each size's results to the logs, which later callbacks share."""
        logs.update(self.metrics.results())
