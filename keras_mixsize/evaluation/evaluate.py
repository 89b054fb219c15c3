"""evaluate_sizes: a model's accuracy, loss and work at several image sizes.

Test images are resized, whole, never cropped or padded, unless a window such as `CenterCrop` is asked for. Neighbours:
`calibration`, `examples` (the test images), `scoring` (what is right); the result is a `report.SizeReport`.

    report = evaluate_sizes(model, (test_images, test_labels), sizes=[16, 24, 32, 48], calibrate=train)
    print(report)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.arguments import check_count
from keras_mixsize.evaluation.calibration import TOLERANCE, Calibration, measure_statistics
from keras_mixsize.evaluation.examples import Examples, View, batches_of, check_class_names
from keras_mixsize.evaluation.progress import ProgressBar, progress_bar
from keras_mixsize.evaluation.report import Accuracy, SizeReport, SizeRow
from keras_mixsize.evaluation.scoring import Scoring
from keras_mixsize.evaluation.size_batches import TrainingImages
from keras_mixsize.evaluation.statistics import get_statistics, set_statistics
from keras_mixsize.images.augmentations import Augmentation, WholeImage
from keras_mixsize.training import complexity


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """How a model is evaluated; `evaluate_sizes` says what each option means.

    Raises:
        ValueError: a count below 1, or an unknown interpolation.
    """

    calibrate: TrainingImages | None = dataclasses.field(default=None, repr=False)
    batches: int = 200
    tolerance: float = TOLERANCE
    batch: int = 256
    window: Augmentation = WholeImage()
    interpolation: str = "bilinear"
    antialias: bool = True
    latency: bool = True
    name: str | None = None
    progress: bool = True

    def __post_init__(self):
        check_count("batches", self.batches)
        check_count("batch", self.batch)
        View(self.window, self.interpolation, self.antialias)

    @property
    def view(self) -> View:
        """How a test image is looked at."""
        return View(self.window, self.interpolation, self.antialias)


def evaluate_sizes(
    model: keras.Model,
    data: Examples,
    sizes: Sequence[int],
    *,
    calibrate: TrainingImages | None = None,
    batches: int = 200,
    tolerance: float = TOLERANCE,
    batch: int = 256,
    window: Augmentation = WholeImage(),
    interpolation: str = "bilinear",
    antialias: bool = True,
    latency: bool = True,
    name: str | None = None,
    progress: bool = True,
) -> SizeReport:
    """Return the model's accuracy, loss and work at each size.

    The options are keywords, because a user types two or three of them at a time; they become an `EvaluationOptions` at
    once.

    Args:
        model: any Keras model of (None, None, C) whose output is logits or probabilities `[N, classes]`, or one of
            either for two classes (the first output counts, if there are several). The loss reported is the
            cross-entropy.
        data: arrays `(images, labels)`, a `Source`, or a tf.data pipeline of single examples `(image, label)`; images
            uint8 or float32 in [0, 1], labels integers or one-hot.
        sizes: sides in pixels.
        calibrate: training data for batch-norm calibration, whatever `calibration.calibrate` takes; None for none.
        batches: of calibration, at each size, at most.
        tolerance: standard error at which calibration ends; see `calibration.calibrate`.
        batch: test images at a time.
        window: what to look at in each image: all of it, or `CenterCrop()`.
        interpolation: of the resize.
        antialias: of the resize.
        latency: measure the time per image too.
        name: of the report; the model's unless given.
        progress: show what is being done, if standard error is a terminal.

    Returns:
        A report with its rows in ascending order of size. The model is left as it was.

    Raises:
        ValueError: no sizes, sizes out of range, other channels than the model's, labels that are no classes of the
            model, other classes than the training data's, a model that is no classifier, no data.
    """
    options = {key: value for key, value in locals().items() if key not in ("model", "data", "sizes")}
    return _report(model, data, check_sizes(sizes), EvaluationOptions(**options))


def _report(model: keras.Model, data: Examples, sizes: list[int], options: EvaluationOptions) -> SizeReport:
    check_class_names(data, options.calibrate)
    scoring = Scoring.of(model)
    examples, predict = batches_of(data, options.batch, options.view), _predict_function(model)

    def score(size: int) -> Scores:
        return _score(predict, scoring, examples(size))

    calibrations, total = None, len(sizes) * (1 if options.calibrate is None else 3)
    with progress_bar(total, shown=options.progress) as bar:
        before = _each(sizes, score, "evaluating at {} px", bar)
        if options.calibrate is not None:
            limits: dict[str, Any] = {"batches": options.batches, "tolerance": options.tolerance, "bar": bar}
            calibrations = measure_statistics(model, options.calibrate, sizes, **limits)
            score_calibrated = _with_statistics(model, calibrations, score)
            after = _each(sizes, score_calibrated, "evaluating at {} px, calibrated", bar)
    rows = [
        _row(model, size, before[size], calibrations and (calibrations[size], after[size]), options.latency)
        for size in sizes
    ]
    return SizeReport(options.name or model.name, tuple(rows), _about(before[sizes[0]].images, options))


@dataclasses.dataclass(frozen=True)
class Scores:
    """What was found at a size.

    Attributes:
        images: how many were looked at.
        correct: how many answers were right.
        loss: mean over the images.
    """

    images: int
    correct: int
    loss: float


def _each(sizes: Sequence[int], score: Callable[[int], Scores], title: str, bar: ProgressBar) -> dict[int, Scores]:
    found = {}
    for size in sizes:
        bar.begin(title.format(size))
        found[size] = score(size)
    return found


def _with_statistics(model: keras.Model, calibrations: dict[int, Calibration], score: Callable) -> Callable:
    """Return the function of a size that scores it with its own statistics, and leaves the model as it was."""

    def score_calibrated(size):
        previous = get_statistics(model)
        try:
            set_statistics(model, calibrations[size].statistics)
            return score(size)
        finally:
            set_statistics(model, previous)

    return score_calibrated


def _row(model: keras.Model, size: int, before: Scores, calibrated, latency: bool) -> SizeRow:
    """Return the row of a size; `calibrated` is its calibration and the scores after it, or None."""
    calibration, after = calibrated or (None, None)
    return SizeRow(
        size=size,
        accuracy=Accuracy.of(before.correct, before.images),
        loss=before.loss,
        calibrated=after and Accuracy.of(after.correct, after.images),
        calibrated_loss=after and after.loss,
        multiply_adds=complexity.multiply_adds(model, size),
        latency_ms=complexity.latency_ms(model, size) if latency else None,
        calibration_batches=calibration and calibration.batches,
    )


def _about(images: int, options: EvaluationOptions) -> dict[str, object]:
    return {
        "images": images,
        "calibration_batches": options.batches if options.calibrate is not None else 0,
        "window": repr(options.window),
        "interpolation": options.interpolation,
        "antialias": options.antialias,
        "device": tf.config.list_logical_devices()[-1].device_type,
    }


def check_sizes(sizes: Sequence[int]) -> list[int]:
    """Return sizes once each, in ascending order.

    Raises:
        ValueError: none, or one that is no integer of at least 1.
    """
    if not len(sizes):
        raise ValueError("sizes must name at least one size in pixels, got none")
    for size in sizes:
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"sizes must be integers of at least 1 pixel, got {size!r}")
    return sorted({int(size) for size in sizes})


def _predict_function(model: keras.Model) -> Callable[[tf.Tensor], np.ndarray]:
    """Return the model's inference as one function for all sizes: tracing once takes less than a shape known ahead."""
    channels = model.input_shape[-1]
    spec = tf.TensorSpec([None, None, None, channels], tf.float32)
    function = tf.function(lambda images: model(images, training=False), input_signature=[spec], autograph=False)

    def predict(images):
        if images.shape[-1] != channels:
            raise ValueError(f"images must have the model's {channels} channels, got {images.shape[-1]}")
        return keras.tree.flatten(function(images))[0].numpy().astype(np.float64)  # the first of several outputs

    return predict


def _score(predict: Callable, scoring: Scoring, batches: Iterable) -> Scores:
    count, correct, loss = 0, 0, 0.0
    for images, labels in batches:
        of_batch = scoring(predict(images), np.asarray(labels))
        count, correct, loss = count + len(labels), correct + of_batch[0], loss + of_batch[1]
    if not count:
        raise ValueError("data must hold at least one example, got none")
    return Scores(count, correct, loss / count)
