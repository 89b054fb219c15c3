"""MultiSizeNetwork: one network with a set of batch-norm statistics for each size, as a tf.Module.

Convolution weights are there once; the statistics of all BatchNormalization layers lie side by side in one variable with a row
for each size, and a call takes one row: a small operation per layer would be felt with a batch of 1. Neighbours: `calibration` (where statistics come from), `signatures` (who calls it).

    network = MultiSizeNetwork(model, measure_statistics(model, [24, 32], train))
    network.logits(images, network.place(24))               # [N, classes]
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.evaluation.calibration import Statistics, batch_norm_layers, calibrated, get_statistics

_SMALLEST = 1e-30  # probability that has a logarithm


def measure_statistics(
    model: keras.Model, sizes: Sequence[int], images=None, batches: int = 200
) -> dict[int, list[Statistics]]:
    """Return the batch-norm statistics of each size, as `calibration.calibrate` finds them; the model is left as it was.

    Args:
        model: any Keras model.
        sizes: sides in pixels.
        images: what `calibrate` takes, or None: the model's own statistics for every size.
        batches: of calibration, at each size.
    """
    if images is None:
        return {size: get_statistics(model) for size in sizes}
    found = {}
    for size in sizes:
        with calibrated(model, images, size, batches=batches):
            found[size] = get_statistics(model)
    return found


class MultiSizeNetwork(tf.Module):
    """A network whose batch norm has statistics for several sizes.

    Its variables are those that inference reads, and the statistics: float32 `[sizes, mean and variance of all channels]`.

    Args:
        model: a built Keras model of (None, None, C) whose first output is `[N, classes]`, logits or probabilities.
        statistics: of each size, for every layer of `calibration.batch_norm_layers`.

    Raises:
        ValueError: statistics of another number of layers, or a model of another output.
    """

    def __init__(self, model: keras.Model, statistics: dict[int, list[Statistics]]):
        super().__init__(name="multi_size_network")
        self.sizes = tuple(sorted(statistics))
        self.channels = model.input_shape[-1]
        self._rows, self._widths = _stack(model, [statistics[size] for size in self.sizes])
        self._output = self._trace(model)
        self._weights = self._output.graph.variables
        self.classes = _check_outputs(self._output.structured_outputs.shape)
        gives_probabilities = self._probe()

        def logits(images, place):
            output = self._output(images, place)
            return tf.math.log(tf.maximum(output, _SMALLEST)) if gives_probabilities else output

        self._logits = tf.function(logits, input_signature=self._specs(), autograph=False).get_concrete_function()

    def place(self, size: int) -> tf.Tensor:
        """Return the row of a size's statistics, for `logits`."""
        return tf.constant(self.sizes.index(size))

    def logits(self, images: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        """Return the network's answer.

        Args:
            images: `[N, S, S, C]` float32, preprocessed.
            place: row of the statistics, int32 scalar.

        Returns:
            float32 `[N, classes]`; for a network of probabilities, their logarithms.
        """
        return self._logits(images, place)

    def _specs(self) -> list[tf.TensorSpec]:
        return [tf.TensorSpec([None, None, None, self.channels]), tf.TensorSpec([], tf.int32)]

    def _trace(self, model: keras.Model):
        """Return one function for all sizes, so that the export holds the network's graph once, too."""
        layers = batch_norm_layers(model)

        @tf.function(input_signature=self._specs(), autograph=False)
        def output(images, place):
            values = tf.split(tf.gather(self._rows, place), self._widths) if layers else []
            variables = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                outputs = model(images, training=False)
            return tf.cast(keras.tree.flatten(outputs)[0], tf.float32)  # the first of several, as in evaluation

        return output.get_concrete_function()

    def _probe(self) -> bool:
        """Return whether the outputs are probabilities: none negative, and each image's sum is 1."""
        size = self.sizes[0]
        images = tf.random.stateless_uniform([8, size, size, self.channels], seed=(0, 0))
        output = self._output(images, self.place(size)).numpy()
        return output.min() >= 0 and np.allclose(output.sum(-1), 1.0, atol=1e-3)


def _stack(model: keras.Model, statistics: list[list[Statistics]]) -> tuple[tf.Variable, list[int]]:
    """Return the statistics, a row for each size, and how many values of a row each mean and each variance takes."""
    layers = len(batch_norm_layers(model))
    if any(len(of_size) != layers for of_size in statistics):
        raise ValueError(f"statistics must be for {layers} BatchNormalization layers, got {[*map(len, statistics)]}")
    values = [[value for of_layer in of_size for value in of_layer] for of_size in statistics]
    rows = np.array([np.concatenate([np.zeros(0, np.float32), *row]) for row in values])
    return tf.Variable(rows, trainable=False), [len(value) for value in values[0]]


def _check_outputs(shape: tf.TensorShape) -> int:
    if shape.rank != 2 or shape[1] is None or shape[1] < 2:
        raise ValueError(f"model must give [N, classes] with at least 2 classes, got outputs of shape {shape}")
    return shape[1]
