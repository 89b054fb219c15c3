"""StepImages: decoded images on their way into a training step, which mirrors them there.

A file's images travel as bytes that are not mirrored yet, a quarter of the memory of finished floats. `decoding` makes
them if `Transform.in_step` says so; tf.data, tf.distribute, tf.function and Keras carry them as the tuple that they
are.

    inputs = StepImages(images, mirrored)       # uint8 [N, S, S, C], bool [N]
    mirror_inputs(inputs)                       # uint8 [N, S, S, C], as the input pipeline would have finished them
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class StepImages(NamedTuple):
    """Images that are finished but for the flip.

    Attributes:
        images: uint8 `[N, S, S, C]`, in 0..255.
        mirrored: bool `[N]`, which of them are to be mirrored.
    """

    images: tf.Tensor
    mirrored: tf.Tensor

    def finish(self) -> tf.Tensor:
        """Return the images, mirrored: `[N, S, S, C]` of the same dtype. Compiles in XLA."""
        images, which = self.images, tf.cast(self.mirrored, tf.int32)
        count, height, width, channels = tf.unstack(tf.shape(images))
        # On a CPU this is several times faster than tf.where(mirrored, tf.reverse(images, [2]), images)
        rows = tf.reverse(tf.reshape(images, [count * height, width, channels]), [1])
        both = tf.concat([images, tf.reshape(rows, tf.shape(images))], axis=0)
        return tf.ensure_shape(tf.gather(both, tf.range(count) + count * which), images.shape)


def is_finished(inputs: tf.Tensor | StepImages) -> bool:
    """Return whether a model's inputs are images, and nothing of them is left to the training step."""
    return not isinstance(inputs, StepImages)


def images_of(inputs: tf.Tensor | StepImages) -> tf.Tensor:
    """Return the images of a model's inputs, mirrored or not: `[N, S, S, C]`."""
    return inputs.images if isinstance(inputs, StepImages) else inputs


def with_shape(inputs: tf.Tensor | StepImages, shape) -> tf.Tensor | StepImages:
    """Return a model's inputs whose images are known to have a shape.

    Args:
        inputs: images, or what is to become images.
        shape: as `tf.ensure_shape` takes it, such as `[None, None, None, 3]`.
    """
    images = tf.ensure_shape(images_of(inputs), shape)
    return inputs._replace(images=images) if isinstance(inputs, StepImages) else images


def mirror_inputs(inputs: tf.Tensor | StepImages) -> tf.Tensor:
    """Return the images of a model's inputs, mirrored: what `in_step` leaves to the training step.

    Args:
        inputs: images `[N, S, S, C]`, which are returned as they are, or StepImages.
    """
    return inputs.finish() if isinstance(inputs, StepImages) else inputs
