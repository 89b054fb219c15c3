"""StepPerShape: a training step that is traced once for each shape of its images.

Used by `training`; knows nothing of buckets.

    step = StepPerShape(function, strategy, jit_compile=None)
    logs = step((images, labels)); step.trace_count
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


class StepPerShape:
    """A training step with a function of its own for each shape of the images, so that each is traced once.

    One tf.function could hold all the traces, but TensorFlow warns of a function that is traced five times.

    Args:
        step: function of a batch.
        strategy: whose values the batch may hold.
        jit_compile: as tf.function takes it.
    """

    def __init__(self, step: Callable, strategy: tf.distribute.Strategy, jit_compile: bool | None):
        self._step = step
        self._strategy = strategy
        self._options = {"reduce_retracing": False, "autograph": False, "jit_compile": jit_compile}
        self._functions: dict[Any, Any] = {}

    def __call__(self, batch):
        """Run the step on a batch."""
        return self.function_for(batch)(batch)

    def function_for(self, batch) -> Callable:
        """Return the function that runs on batches of this shape."""
        locally = self._strategy.experimental_local_results
        shape = tuple(tuple(locally(part)[0].shape) for part in tf.nest.flatten(batch[0]))
        if shape not in self._functions:
            # a partial of its own, because TensorFlow counts traces by the code they share
            self._functions[shape] = tf.function(functools.partial(self._step), **self._options)
        return self._functions[shape]

    @property
    def trace_count(self) -> int:
        """Traces of all shapes together."""
        return sum(function.experimental_get_tracing_count() for function in self._functions.values())
