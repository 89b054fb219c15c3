"""SkippedSteps: counts the steps that were not taken because their gradients were not finite.

`training` counts inside its step; the callback puts the count into the logs at the end of each epoch, as
`skipped_steps`, and stops a training that only skips.

    skipped = SkippedSteps()
    skipped.count(finite)                                    # in the step
    model.fit(train, callbacks=[SkippedLogs(skipped, limit=20)])
"""

from __future__ import annotations

import keras
import tensorflow as tf


class SkippedSteps:
    """Two counters, int64 scalars: `in_epoch`, and `in_a_row`, which a step that is taken sets to 0."""

    def __init__(self):
        self.in_epoch = _counter("skipped_in_epoch")
        self.in_a_row = _counter("skipped_in_a_row")

    @property
    def variables(self) -> list:
        """The variables of both counters."""
        return [self.in_epoch, self.in_a_row]

    def count(self, finite: tf.Tensor) -> None:
        """Count a step.

        Args:
            finite: bool scalar, whether the step was taken.
        """
        skipped = 1 - tf.cast(finite, tf.int64)
        self.in_epoch.assign_add(skipped)
        self.in_a_row.assign((self.in_a_row + skipped) * skipped)


class SkippedLogs(keras.callbacks.Callback):
    """Logs `skipped_steps` of each epoch, and stops when too many steps in a row were skipped.

    The counter is read every `limit` steps only, because a read waits for the device. So training stops after at least
    `limit` and fewer than twice as many skipped steps, and up to `steps_per_execution` more where that does not divide
    it.

    Args:
        skipped: what the training step counts.
        limit: how many skipped steps in a row are too many; None for any number.
        last_checkpoint: function that returns where the last checkpoint is, or None.
    """

    def __init__(self, skipped: SkippedSteps, limit: int | None = None, last_checkpoint=lambda: None):
        super().__init__()
        self.skipped = skipped
        self.limit = limit
        self.last_checkpoint = last_checkpoint
        self._next = 0  # step of the epoch at which the counter is read again

    def on_epoch_begin(self, epoch, logs=None):
        """Start the epoch's count afresh."""
        self.skipped.in_epoch.assign(0)
        self._next = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Stop if too many steps in a row were skipped.

        Raises:
            FloatingPointError: they were.
        """
        if self.limit is not None and batch >= self._next:  # not every batch is seen with steps_per_execution
            self._next = batch + self.limit
            self._check()

    def on_epoch_end(self, epoch, logs=None):
        """Add the count to the logs, which later callbacks share; stop as `on_train_batch_begin` does."""
        logs["skipped_steps"] = _value(self.skipped.in_epoch)
        if self.limit is not None:
            self._check()

    def _check(self):
        count = _value(self.skipped.in_a_row)
        if count < self.limit:
            return
        saved = self.last_checkpoint()
        remedy = f"the last good checkpoint is {saved}" if saved else "no checkpoint was kept: use callbacks.Resume"
        raise FloatingPointError(
            f"max_skipped is {self.limit}, but the last {count} steps in a row had gradients or statistics that are "
            f"not finite and were skipped; look at the images, or lower the learning rate; {remedy}"
        )


def mark_of(values) -> tf.Tensor:
    """Return 0 if all numbers are finite, else NaN, which passes through sums and norms: float32 scalar.

    Args:
        values: tensors of any shapes; those that are not floating point are left out.
    """
    floats = [tf.cast(value, tf.float32) for value in values if value.dtype.is_floating]
    return tf.where(tf.math.is_finite(tf.linalg.global_norm(floats)), 0.0, float("nan")) if floats else tf.zeros([])


def _counter(name: str) -> keras.Variable:
    options = {"dtype": "int64", "trainable": False, "aggregation": "only_first_replica"}
    return keras.Variable("zeros", shape=(), name=name, **options)


def _value(variable: keras.Variable) -> int:
    return int(keras.ops.convert_to_numpy(variable))
