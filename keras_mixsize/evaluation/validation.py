"""ValidateSizes: validation at each size in each epoch, for callbacks that watch it.

Neighbours: `examples` (the images), `calibration` (their statistics); `evaluate` measures a model that is trained.

    validate = ValidateSizes(test, sizes=[16, 24, 32], calibrate=train)
    best = keras.callbacks.ModelCheckpoint("best.keras", monitor="val_accuracy_16", mode="max", save_best_only=True)
    model.fit(train, epochs=200, callbacks=[validate, best])
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.arguments import check_count
from keras_mixsize.distribution.replicas import assign_copies, read_copies
from keras_mixsize.distribution.workers import Workers
from keras_mixsize.evaluation.calibration import TOLERANCE, Calibrator
from keras_mixsize.evaluation.evaluate import check_sizes
from keras_mixsize.evaluation.examples import Examples, View, batches_of, check_class_names
from keras_mixsize.evaluation.size_batches import TrainingImages
from keras_mixsize.evaluation.statistics import batch_norm_layers, set_statistics
from keras_mixsize.images.augmentations import Augmentation, WholeImage
from keras_mixsize.internals import compiled_metrics
from keras_mixsize.training import MixSizeModel
from keras_mixsize.training.size_metrics import flat_results, plain_number


class ValidateSizes(keras.callbacks.Callback):
    """Adds loss and metrics of each size to the logs of an epoch: `val_loss_16`, `val_accuracy_16`, …

    They are what `evaluate` gives on the images resized to that size. Callbacks that are listed after this one, such as
    EarlyStopping and ModelCheckpoint, can watch them; Keras wants a `mode` for such names. Training is bitwise the same
    as without: weights, metrics and random state are not touched, and batch-norm statistics are put back, in every
    replica its own. One trace serves all sizes and epochs of a `fit`.

    The options are keywords, as those of `evaluate_sizes` are.

    Args:
        data: arrays `(images, labels)`, a `Source`, or a tf.data pipeline of single examples `(image, label)`; images
            uint8 or float32 in [0, 1], labels as the compiled loss takes them.
        sizes: sides in pixels.
        calibrate: training data for batch-norm calibration at each size, whatever `calibrate` takes; None for none.
        batches: of calibration, at each size, at most.
        tolerance: standard error at which calibration ends; see `calibrate`.
        every: epochs from one validation to the next. In the others the values are NaN, so that CSVLogger and History
            keep their columns; EarlyStopping's `patience` counts those epochs too.
        batch: images at a time.
        window: what to look at in each image: all of it, or `CenterCrop()`.
        interpolation: of the resize.
        antialias: of the resize.

    Raises:
        ValueError: no sizes, options out of range, other classes than the training data's; when training begins: other
            channels than the model's, or several workers, which would wait for one another.
    """

    def __init__(
        self,
        data: Examples,
        sizes: Sequence[int],
        *,
        calibrate: TrainingImages | None = None,
        batches: int = 200,
        tolerance: float = TOLERANCE,
        every: int = 1,
        batch: int = 256,
        window: Augmentation = WholeImage(),
        interpolation: str = "bilinear",
        antialias: bool = True,
    ):
        super().__init__()
        for name, count in {"every": every, "batch": batch, "batches": batches}.items():
            check_count(name, count)
        check_class_names(data, calibrate)
        self.sizes = check_sizes(sizes)
        self.every = every
        self._examples = batches_of(data, batch, View(window, interpolation, antialias))
        self._calibrate = calibrate
        self._limits = {"batches": batches, "tolerance": tolerance}
        self._calibrator: Calibrator | None = None
        self._step = None

    def __repr__(self) -> str:
        return f"ValidateSizes(sizes={self.sizes}, calibrated={self._calibrate is not None}, every={self.every})"

    @property
    def trace_count(self) -> int:
        """How many times the step of validation was traced since training began."""
        return 0 if self._step is None else self._step.experimental_get_tracing_count()

    def on_train_begin(self, logs=None):
        """Forget what was traced for another `fit`, and look whether this one can be validated."""
        if Workers(self.model.distribute_strategy).count > 1:
            raise ValueError(
                "callbacks must not hold ValidateSizes under MultiWorkerMirroredStrategy; save the model with "
                "ModelCheckpoint and call evaluate_sizes in a process of its own"
            )
        self._calibrator, self._step = None, None

    def on_epoch_end(self, epoch, logs=None):
        """Add each size's results to the logs, which later callbacks share."""
        due = (epoch + 1) % self.every == 0
        with self._statistics_kept():
            for size in self.sizes:
                results = self._validated(size) if due else self._unknown()
                logs.update({f"val_{name}_{size}": value for name, value in results.items()})

    @contextlib.contextmanager
    def _statistics_kept(self) -> Iterator[None]:
        """Give every replica its own batch-norm statistics back at the end of the block."""
        if self._calibrate is None:
            yield
            return
        layers = batch_norm_layers(self.model)
        variables = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
        before = [np.stack(copies) for copies in read_copies(self.model.distribute_strategy, variables)]
        try:
            yield
        finally:
            assign_copies(Workers(self.model.distribute_strategy), variables, before)

    def _validated(self, size: int) -> dict[str, float | np.ndarray]:
        """Return loss and metrics at a size."""
        self._calibrate_at(size)
        state, loss, count = self._initial_state(), 0.0, 0
        for images, labels in self._examples(size):
            labels = keras.tree.map_structure(tf.convert_to_tensor, labels)
            of_batch, state = self._step_for(images, labels)(images, labels, state)
            loss, count = loss + float(of_batch) * len(images), count + len(images)
        if not count:
            raise ValueError("data must hold at least one example, got none")
        return {"loss": loss / count} | self._results(state)

    def _calibrate_at(self, size: int) -> None:
        if self._calibrate is None:
            return
        if self._calibrator is None:
            self._calibrator = Calibrator(self.model, self._calibrate, self.sizes)
        set_statistics(self.model, self._calibrator.measure(size, **self._limits).statistics)

    def _unknown(self) -> dict[str, float | np.ndarray]:
        found = {"loss": 0.0} | self._results(self._initial_state())
        return {name: plain_number(value, seen=False) for name, value in found.items()}

    def _initial_state(self) -> list:
        metrics = compiled_metrics(self.model)
        return [] if metrics is None else [tf.convert_to_tensor(value) for value in metrics.stateless_reset_state()]

    def _results(self, state: list) -> dict[str, float | np.ndarray]:
        metrics = compiled_metrics(self.model)
        found = {} if metrics is None else flat_results(metrics.stateless_result(state))
        return {name: plain_number(value) for name, value in found.items()}

    def _step_for(self, images: tf.Tensor, labels):
        """Return the function of (images, labels, state) that returns the batch's loss and the state after it."""
        if self._step is None:
            channels = self.model.input_shape[-1]
            if images.shape[-1] != channels:
                raise ValueError(f"data must have the model's {channels} channels, got {images.shape[-1]}")
            specs = (
                tf.TensorSpec([None, None, None, channels], tf.float32),
                keras.tree.map_structure(lambda part: tf.TensorSpec([None, *part.shape[1:]], part.dtype), labels),
                [tf.TensorSpec(value.shape, value.dtype) for value in self._initial_state()],
            )
            self._step = tf.function(self._run, input_signature=specs, autograph=False)
        return self._step

    def _run(self, images, labels, state: list):
        model, metrics = self.model, compiled_metrics(self.model)
        if isinstance(model, MixSizeModel):
            labels = model.labels_per_output(labels)
        predictions = model(images, training=False)
        with keras.StatelessScope():  # Keras adds up the losses of several outputs while it computes them
            loss = model.compute_loss(images, labels, predictions, None, training=False)
        loss = loss * tf.cast(tf.distribute.get_strategy().num_replicas_in_sync, loss.dtype)  # which Keras divides by
        return loss, state if metrics is None else metrics.stateless_update_state(state, labels, predictions)
