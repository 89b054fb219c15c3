"""SeveralSteps: k steps of a MixSizeModel in one call, each with the trace of its bucket.

Keras's `steps_per_execution` saves the way back to Python between steps, and so makes one trace of unknown shapes. Here
a loop in the graph takes the next batch, finds its shape in the closed list of them, and branches to the function that
`tracing` has for it. Used by `model`; neighbour: `tracing` (one step).

    several = SeveralSteps(StepPerShape(step, strategy, None), [(64, 32), (112, 24)], count=10)
    logs = several(iter(dataset))               # of the last of 10 steps
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import tensorflow as tf

from keras_mixsize.training.tracing import StepPerShape


class SeveralSteps:
    """The next steps of an endless dataset in one call.

    Args:
        step: what a step is; it is traced for every shape, at the first call.
        shapes: (images of a step, side in pixels) of every batch that the dataset may have.
        count: steps in a call.
    """

    def __init__(self, step: StepPerShape, shapes: Sequence[tuple[int, int]], count: int):
        self.step = step
        self.shapes = tuple(dict.fromkeys(shapes))
        self.count = count
        self._function = tf.function(self._run, autograph=False)

    def __call__(self, iterator):
        """Take the steps and return the logs of the last.

        Args:
            iterator: of a tf.data.Dataset.

        Raises:
            tf.errors.InvalidArgumentError: a batch is of none of the shapes.
        """
        return self._function(iterator)

    def _run(self, iterator):
        specs = self._logs_of_a_step(iterator.element_spec)
        logs = [tf.zeros([side or 0 for side in spec.shape], spec.dtype) for spec in tf.nest.flatten(specs)]
        invariants = [spec.shape for spec in tf.nest.flatten(specs)]

        def take(done, _):
            return done + 1, tf.nest.flatten(self._take(iterator.get_next()))

        _, logs = tf.while_loop(
            lambda done, _: done < self.count,
            take,
            (tf.constant(0), logs),
            shape_invariants=(tf.TensorShape([]), invariants),
            parallel_iterations=1,
        )
        return tf.nest.pack_sequence_as(specs, logs)

    def _take(self, batch):
        """Return the logs of a step on a batch of unknown shape."""
        images = tf.nest.flatten(batch[0])[0]
        matches = tf.reduce_all(tf.shape(images)[:2] == tf.constant(self.shapes), axis=1)
        branches = [functools.partial(self._take_shaped, batch, shape) for shape in self.shapes]
        return tf.switch_case(tf.argmax(tf.cast(matches, tf.int32), output_type=tf.int32), branches)

    def _take_shaped(self, batch, shape: tuple[int, int]):
        shapes = _static_shapes(batch, shape)
        return self.step(tf.nest.map_structure(tf.ensure_shape, batch, shapes))

    def _logs_of_a_step(self, spec):
        """Return the tf.TensorSpec of what a step returns, which is the same for every shape."""
        shapes = _static_shapes(spec, self.shapes[0])
        spec = tf.nest.map_structure(lambda part, shape: tf.TensorSpec(shape, part.dtype), spec, shapes)
        return self.step.function_for(spec).get_concrete_function(spec).structured_outputs


def _static_shapes(batch, shape: tuple[int, int]):
    """Return the shape of each part of a batch (images, labels, ...) of so many images of this side."""
    count, size = shape
    images, *rest = batch
    sides = tf.nest.map_structure(lambda part: tf.TensorShape([count, *(s or size for s in part.shape[1:])]), images)
    return (sides, *tf.nest.map_structure(lambda part: tf.TensorShape([count, *part.shape[1:]]), rest))
