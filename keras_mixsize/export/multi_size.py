"""MultiSizeNetwork: one network with a set of batch-norm statistics for each size, as a tf.Module.

Convolution weights are there once; the statistics of all BatchNormalization layers lie side by side in one variable
with a row for each size, and a call takes one row: a small operation per layer would be felt with a batch of 1.
Neighbours: `signatures` (who calls it); the statistics come from the room `evaluation`.

    network = MultiSizeNetwork(model, statistics_of_sizes(model, train, [24, 32], batches=200))
    network.logits(tf.zeros([1, 24, 24, 1]), network.index(24))             # [1, classes]
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.evaluation.calibration import measure_statistics
from keras_mixsize.evaluation.progress import progress_bar
from keras_mixsize.evaluation.size_batches import TrainingImages
from keras_mixsize.evaluation.statistics import Statistics, batch_norm_layers, get_statistics

_SMALLEST = 1e-30  # probability that has a logarithm


def statistics_of_sizes(
    model: keras.Model, images: TrainingImages | None, sizes: Sequence[int], batches: int, *, progress: bool = False
) -> dict[int, list[Statistics]]:
    """Return the batch-norm statistics of each size; the model is left as it was.

    Args:
        model: any Keras model.
        images: training data to calibrate with, whatever `calibration.calibrate` takes, or None: the model's own
            statistics for every size.
        sizes: sides in pixels.
        batches: of calibration, at each size, at most.
        progress: show what is being done, if standard error is a terminal.
    """
    if images is None:
        return {size: get_statistics(model) for size in sizes}
    with progress_bar(len(sizes), shown=progress) as bar:
        measured = measure_statistics(model, images, sizes, batches, bar=bar)
    return {size: calibration.statistics for size, calibration in measured.items()}


class MultiSizeNetwork(tf.Module):
    """A network whose batch norm has statistics for several sizes.

    Its variables are those that inference reads, and the statistics: float32 `[sizes, mean and variance of all
    channels]`.

    Args:
        model: a built Keras model of (None, None, C) whose first output is `[N, classes]`, logits or probabilities.
        statistics: of each size, for every layer of `statistics.batch_norm_layers`.

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

        def logits(images, index):
            output = self._output(images, index)
            return tf.math.log(tf.maximum(output, _SMALLEST)) if gives_probabilities else output

        self._logits = tf.function(logits, input_signature=self._specs(), autograph=False).get_concrete_function()

    def index(self, size: int) -> tf.Tensor:
        """Return the index of a size in `sizes`, int32 scalar, for `logits`."""
        return tf.constant(self.sizes.index(size))

    def logits(self, images: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Return the network's answer.

        Args:
            images: `[N, S, S, C]` float32, preprocessed.
            index: of the size whose statistics to use, int32 scalar.

        Returns:
            float32 `[N, classes]`; for a network of probabilities, their logarithms.
        """
        return self._logits(images, index)

    def _specs(self) -> list[tf.TensorSpec]:
        return [tf.TensorSpec([None, None, None, self.channels]), tf.TensorSpec([], tf.int32)]

    def _trace(self, model: keras.Model):
        """Return one function for all sizes, so that the export holds the network's graph once, too."""
        layers = batch_norm_layers(model)

        @tf.function(input_signature=self._specs(), autograph=False)
        def output(images, index):
            values = tf.split(tf.gather(self._rows, index), self._widths) if layers else []
            variables = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                outputs = model(images, training=False)
            return tf.cast(keras.tree.flatten(outputs)[0], tf.float32)  # the first of several, as in evaluation

        return output.get_concrete_function()

    def _probe(self) -> bool:
        """Return whether the outputs are probabilities: none negative, and each image's sum is 1."""
        size = self.sizes[0]
        images = tf.random.stateless_uniform([8, size, size, self.channels], seed=(0, 0))
        output = self._output(images, self.index(size)).numpy()
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
