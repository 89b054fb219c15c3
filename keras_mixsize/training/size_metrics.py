"""Loss and metrics of every image size, beside the totals.

`training` updates a SizeMetrics inside its step; the callback puts the results into the logs at the end of each epoch,
under names such as `loss_32` and `accuracy_48`, before the progress bar, TensorBoard and CSVLogger read them.

    metrics = SizeMetrics(sizes=(16, 32), templates=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")])
    metrics.update(32, loss, labels, predictions); metrics.results()
"""

from __future__ import annotations

import keras


class SizeMetrics:
    """A loss and copies of the compiled metrics for each size.

    Args:
        sizes: in pixels.
        templates: metrics to copy for each size.
    """

    def __init__(self, sizes, templates):
        self.losses = {size: keras.metrics.Mean(name=f"loss_{size}") for size in sizes}
        self.metrics = {size: [_copy(template, size) for template in templates] for size in sizes}

    @property
    def variables(self) -> list:
        """The variables of all the metrics."""
        return [variable for metric in self._all() for variable in metric.variables]

    def update(self, size: int, loss, labels, predictions, sample_weight=None) -> None:
        """Add one batch of a size; a size that is not known is left out.

        Args:
            size: in pixels.
            loss: scalar, the mean over the batch.
            labels, predictions, sample_weight: as Keras metrics take them, `[N, ...]`; or lists, if there are no
                metrics.
        """
        if size not in self.losses:
            return
        self.losses[size].update_state(loss, sample_weight=keras.ops.shape(keras.tree.flatten(labels)[0])[0])
        for metric in self.metrics[size]:
            metric.update_state(labels, predictions, sample_weight=sample_weight)

    def results(self) -> dict[str, float]:
        """Return the value of each metric since the last reset; sizes that were not seen are left out."""
        seen = [size for size, loss in self.losses.items() if float(keras.ops.convert_to_numpy(loss.count)) > 0]
        chosen = [metric for size in seen for metric in (self.losses[size], *self.metrics[size])]
        return {metric.name: float(keras.ops.convert_to_numpy(metric.result())) for metric in chosen}

    def reset(self) -> None:
        """Forget all batches."""
        for metric in self._all():
            metric.reset_state()

    def _all(self):
        for size, loss in self.losses.items():
            yield from (loss, *self.metrics[size])


def _copy(metric: keras.metrics.Metric, size: int) -> keras.metrics.Metric:
    return type(metric).from_config(metric.get_config() | {"name": f"{metric.name}_{size}"})


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
