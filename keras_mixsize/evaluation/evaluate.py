"""evaluate_sizes: a model's accuracy, loss and cost at several image sizes.

Test images are resized, whole, never cropped or padded, unless a window such as `CenterCrop` is asked for. Neighbours:
`calibration`, `cost`; the result is a `report.SizeReport`.

    report = evaluate_sizes(model, (test_images, test_labels), sizes=[16, 24, 32, 48], calibrate=train)
    print(report.table())
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.evaluation.calibration import calibrated
from keras_mixsize.evaluation.report import Accuracy, SizeReport, SizeRow
from keras_mixsize.images.augmentations import Augmentation, WholeImage
from keras_mixsize.images.rendering import render_windows
from keras_mixsize.images.transform import INTERPOLATION, Transform
from keras_mixsize.sources.arrays import ArraySource
from keras_mixsize.sources.source import Source
from keras_mixsize.training import complexity


def evaluate_sizes(
    model: keras.Model,
    data,
    sizes: Sequence[int],
    *,
    calibrate=None,
    batches: int = 200,
    batch: int = 256,
    window: Augmentation = WholeImage(),
    interpolation: str = "bilinear",
    antialias: bool = True,
    latency: bool = True,
    name: str | None = None,
) -> SizeReport:
    """Return the model's accuracy, loss and cost at each size.

    Args:
        model: any Keras model of (None, None, C) whose output is logits or probabilities `[N, classes]` (the
            first output counts, if there are several). The loss reported is the cross-entropy.
        data: arrays `(images, labels)`, a `Source`, or a tf.data pipeline of single examples `(image, label)`; images
            uint8 or float32 in [0, 1], labels integers or one-hot.
        sizes: sides in pixels.
        calibrate: training data for batch-norm calibration, whatever `calibration.calibrate` takes; None for none.
        batches: of calibration, at each size.
        batch: test images at a time.
        window: what to look at in each image: all of it, or `CenterCrop()`.
        interpolation: of the resize.
        antialias: of the resize.
        latency: measure the time per image too.
        name: of the report; the model's unless given.

    Returns:
        A report with its rows in ascending order of size. The model is left as it was.

    Raises:
        ValueError: no sizes, sizes out of range, other channels than the model's, labels beyond its outputs, no data.
    """
    sizes = _check_sizes(sizes)
    if interpolation not in INTERPOLATION:
        raise ValueError(f"interpolation must be one of {INTERPOLATION}, got {interpolation!r}")
    options = {"interpolation": interpolation, "antialias": antialias}
    examples = _examples(data, batch, {"augmentation": window} | options)
    predict = _predict_function(model)
    rows = []
    for size in sizes:
        count, correct, loss = _evaluate(predict, examples(size))
        accuracy, after, after_loss = Accuracy.of(correct, count), None, None
        if calibrate is not None:
            with calibrated(model, calibrate, size, batches=batches):
                count, correct, after_loss = _evaluate(predict, examples(size))
            after = Accuracy.of(correct, count)
        time_ms = complexity.latency_ms(model, size) if latency else None
        rows.append(SizeRow(size, accuracy, loss, after, after_loss, complexity.multiply_adds(model, size), time_ms))
    about = {
        "images": count,
        "calibration_batches": batches if calibrate is not None else 0,
        "window": repr(window),
        **options,
        "device": tf.config.list_logical_devices()[-1].device_type,
    }
    return SizeReport(name or model.name, tuple(rows), about)


def _check_sizes(sizes: Sequence[int]) -> list[int]:
    if not len(sizes):
        raise ValueError("sizes must name at least one size in pixels, got none")
    for size in sizes:
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"sizes must be integers of at least 1 pixel, got {size!r}")
    return sorted({int(size) for size in sizes})


def _examples(data, batch: int, options: dict):
    """Return a function of size that gives an iterable of (images, labels) batches."""
    if isinstance(data, tuple) and len(data) == 2:
        data = ArraySource(*data)
    if isinstance(data, Source):
        render = tf.function(
            functools.partial(data.render, transform=Transform(decode="exact", **options)), reduce_retracing=True
        )
        return functools.partial(_source_batches, data, render, batch)
    if isinstance(data, tf.data.Dataset):
        return functools.partial(_pipeline_batches, data, batch, options)
    raise ValueError(f"data must be (images, labels), a Source or a tf.data.Dataset of examples, got {type(data)}")


def _source_batches(source: Source, render, batch: int, size: int) -> Iterator[tuple[tf.Tensor, np.ndarray]]:
    for low in range(0, source.num_examples, batch):
        indices = np.arange(low, min(low + batch, source.num_examples))
        images = render(tf.constant(indices), tf.zeros(len(indices), tf.uint32), tf.constant(size))
        yield images, source.labels[indices]


def _pipeline_batches(dataset: tf.data.Dataset, batch: int, options: dict, size: int) -> Iterable:
    image_spec = dataset.element_spec[0] if isinstance(dataset.element_spec, tuple) else None
    if image_spec is None or image_spec.shape.rank != 3 or dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "data must be a finite tf.data.Dataset of single examples (image [H, W, C], label), got elements "
            f"{dataset.element_spec}; use .unbatch() on batches"
        )
    window, options = options["augmentation"], {key: options[key] for key in ("interpolation", "antialias")}

    def resized(image, label):
        height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32)[:, None])
        windows = window.windows(height, width, tf.zeros([1], tf.uint32))
        return render_windows(image, windows, size, **options)[0], label

    resized = dataset.map(resized, tf.data.AUTOTUNE)
    return resized.batch(batch).prefetch(tf.data.AUTOTUNE)


def _predict_function(model: keras.Model):
    """Return the model's inference as one function for all sizes: tracing once costs less than a shape known ahead."""
    channels = model.input_shape[-1]
    spec = tf.TensorSpec([None, None, None, channels], tf.float32)
    function = tf.function(lambda images: model(images, training=False), input_signature=[spec], autograph=False)

    def predict(images):
        if images.shape[-1] != channels:
            raise ValueError(f"images must have the model's {channels} channels, got {images.shape[-1]}")
        return keras.tree.flatten(function(images))[0].numpy().astype(np.float64)  # the first of several outputs

    return predict


def _evaluate(predict, batches: Iterable) -> tuple[int, int, float]:
    """Return (images, correct answers, mean loss)."""
    count, correct, loss = 0, 0, 0.0
    for images, labels in batches:
        labels, outputs = np.asarray(labels), predict(images)
        classes = labels.argmax(-1) if labels.ndim == 2 else labels
        wrong = classes[(classes < 0) | (classes >= outputs.shape[-1])]
        if wrong.size:
            raise ValueError(f"labels must lie in [0, {outputs.shape[-1]}), the model's outputs, got {wrong[0]}")
        count += len(classes)
        correct += int((outputs.argmax(-1) == classes).sum())
        loss -= float(_log_probabilities(outputs)[np.arange(len(classes)), classes].sum())
    if not count:
        raise ValueError("data must hold at least one example, got none")
    return count, correct, loss / count


def _log_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return log probabilities of logits, or of probabilities that sum to 1."""
    if outputs.min() >= 0 and np.allclose(outputs.sum(-1), 1.0, atol=1e-3):
        return np.log(np.maximum(outputs, 1e-12))
    shifted = outputs - outputs.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
