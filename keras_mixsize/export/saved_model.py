"""export_saved_model: one SavedModel that serves several image sizes from one copy of the weights.

Made of `multi_size` (the network), `signatures`, `cascade`, `warmup_requests` and `model_card`; read by `serving`.

    export_saved_model(model, "exported", [24, 32, 48], calibration=train, report=report)
    serving.load("exported").predict(images, size=24)

The folder is laid out as TensorFlow Serving wants it:

    exported/1/saved_model.pb, variables/
    exported/1/assets.extra/manifest.json, MODEL_CARD.md, tf_serving_warmup_requests
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.arguments import check_choice, check_count
from keras_mixsize.evaluation.report import SizeReport
from keras_mixsize.export.card import describe_signature, make_manifest, model_card, size_entry
from keras_mixsize.export.cascade import Cascade, fit_cascade
from keras_mixsize.export.multi_size import MultiSizeNetwork, measure_statistics
from keras_mixsize.export.preprocessing import Preprocessing
from keras_mixsize.export.signatures import (
    BYTES,
    CHANNELS_OF_FILES,
    IMAGES,
    SIZE,
    USUAL_LIMITS,
    Answer,
    Limits,
    inputs_of,
    make_signatures,
)
from keras_mixsize.export.warmup_requests import write_requests
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.training import complexity

COSTS = ("multiply_adds", "latency_ms")
_FITTED_AT_ONCE = 256  # images of a cascade


@dataclasses.dataclass(frozen=True)
class FitCascade:
    """Ask for a size cascade, fitted when the model is exported.

    Attributes:
        images: held-out, neither of the training nor of the test set: `[N, H, W, C]` uint8 or float32 in [0, 1], or N encoded
            JPEG and PNG files as bytes.
        labels: integers `[N]`.
        accuracy: wanted, in [0, 1]; that of the most accurate size unless given.
        sizes: the small and the large size; the cheapest pair of all unless given.
        cost: what "cheapest" means: `"multiply_adds"`, or `"latency_ms"` as the exported report measured it.
    """

    images: np.ndarray | Sequence[bytes]
    labels: np.ndarray
    accuracy: float | None = None
    sizes: tuple[int, int] | None = None
    cost: str = "multiply_adds"


def export_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    sizes: Sequence[int] | None = None,
    *,
    calibration=None,
    batches: int = 200,
    report: SizeReport | None = None,
    preprocessing: Preprocessing | None = None,
    class_names: Sequence[str] | None = None,
    default_size: int | None = None,
    cascade: FitCascade | Cascade | None = None,
    top: int = 5,
    limits: Limits = USUAL_LIMITS,
    version: int = 1,
) -> pathlib.Path:
    """Write a SavedModel with batch-norm statistics and a signature for each size.

    The model is left as it was, and nothing is left behind by an export that fails. See `signatures` for their names, and
    docs/serving.md for the manifest.

    Args:
        model: a built Keras model of (None, None, C) whose first output is logits or probabilities `[N, classes]`.
        path: folder of the versions; made if it does not exist.
        sizes: sides in pixels; the report's unless given.
        calibration: training data for the statistics, whatever `calibration.calibrate` takes; None gives every size the
            model's own.
        batches: of calibration, at each size.
        report: of this model, for accuracy and latency in the manifest.
        preprocessing: in the graph; what the report was measured with unless given, or `Preprocessing()` without a report.
        class_names: a name per class; those of `calibration`'s source unless given, or the numbers.
        default_size: of encoded images for which no size is asked; the most accurate in the report unless given, or the
            largest.
        cascade: fit one (`FitCascade`), or export a known one.
        top: how many of the likeliest classes an answer names.
        limits: of a request.
        version: name of the SavedModel's folder in `path`; TensorFlow Serving takes the highest.

    Returns:
        The SavedModel's folder, `path/version`.

    Raises:
        ValueError: before anything is computed, if the arguments do not fit the model or each other.
        FileExistsError: the version is there already.
    """
    sizes = _check_sizes(sizes, report)
    preprocessing = preprocessing or Preprocessing.of_report(report.about if report is not None else {})
    _check_model(model, preprocessing)
    class_names = _class_names(model, class_names, calibration)
    default_size = _default_size(default_size, sizes, report)
    _check_cascade(cascade, sizes, _times(report))
    check_count("top", top)
    check_count("batches", batches)
    with _new_folder(path, version) as folder:
        network = MultiSizeNetwork(model, measure_statistics(model, sizes, calibration, batches))
        costs = {size: complexity.multiply_adds(model, size) for size in sizes}
        if isinstance(cascade, FitCascade):
            prepare = _preparing(cascade.images, preprocessing, network.channels, limits)
            cascade = _fit(cascade, network, prepare, {COSTS[0]: costs, COSTS[1]: _times(report)}[cascade.cost])
        answer = Answer(class_names, min(top, len(class_names)))
        shared = {"default_size": default_size, "cascade": cascade}
        functions = make_signatures(network, preprocessing, answer, limits, **shared)
        _save(folder, network, answer, functions)
        write_requests(folder, warm_up_inputs(functions, network.channels, min(sizes)), model.name)
        manifest = make_manifest(
            model.name,
            [size_entry(size, costs[size], report, calibration is not None) for size in sizes],
            class_names=class_names,
            top=answer.top,
            channels=network.channels,
            limits=dataclasses.asdict(limits),
            preprocessing=preprocessing,
            calibration_batches=batches if calibration is not None else None,
            report=report,
            signatures=_describe(functions),
            **shared,
        )
        _write_texts(folder, manifest)
    return pathlib.Path(path) / str(version)


def _describe(functions: dict) -> dict[str, dict]:
    described = {name: (inputs_of(function), function.structured_outputs) for name, function in functions.items()}
    return {name: describe_signature(*specs) for name, specs in described.items()}


def _write_texts(folder: pathlib.Path, manifest: dict) -> None:
    (folder / "assets.extra/manifest.json").write_text(json.dumps(manifest, indent=1))
    (folder / "assets.extra/MODEL_CARD.md").write_text(model_card(manifest))


def warm_up_inputs(functions: dict, channels: int, size: int) -> dict[str, dict[str, np.ndarray]]:
    """Return a small request for each signature: grey images, or a PNG file of one.

    Args:
        functions: signature -> traced function.
        channels: of the images.
        size: side of the images in pixels.
    """
    grey = np.full([1, size, size, channels], 128, np.uint8)
    values = {IMAGES: grey, SIZE: np.int32(size)}
    if channels in CHANNELS_OF_FILES:
        values[BYTES] = np.array([tf.io.encode_png(grey[0]).numpy()], object)

    def value(name, spec):
        return np.float32(grey / 255.0) if spec.dtype == tf.float32 else values[name]

    return {
        signature: {name: value(name, spec) for name, spec in inputs_of(function).items()}
        for signature, function in functions.items()
    }


def _save(folder: pathlib.Path, network: MultiSizeNetwork, answer: Answer, functions: dict) -> None:
    module = tf.Module()
    module.network, module.answer = network, answer
    tf.saved_model.save(module, str(folder), signatures=functions)


def _fit(wanted: FitCascade, network: MultiSizeNetwork, prepare: Callable, costs: dict[int, float]) -> Cascade:
    """Return the cascade fitted on what the network answers, with the statistics of each size.

    Args:
        prepare: function of (slice of the images, size) that returns the network's input.
    """
    sizes, count = wanted.sizes or network.sizes, len(wanted.images)

    def probabilities(size):
        parts = (slice(low, low + _FITTED_AT_ONCE) for low in range(0, count, _FITTED_AT_ONCE))
        answers = (network.logits(prepare(part, size), network.place(size)) for part in parts)
        return tf.nn.softmax(tf.concat(list(answers), axis=0)).numpy()

    return fit_cascade({size: probabilities(size) for size in sizes}, wanted.labels, costs, wanted.accuracy)


def _preparing(images, preprocessing: Preprocessing, channels: int, limits: Limits) -> Callable:
    """Return the function of (slice, size) that makes the network's input of images, as a signature does for a client."""
    if isinstance(images, (np.ndarray, tf.Tensor)):
        return lambda part, size: preprocessing.prepare(tf.constant(images[part]), size)
    decode = tf.function(preprocessing.decode, autograph=False)  # the files of a batch at the same time
    return lambda part, size: decode(tf.constant(list(images[part])), tf.constant(size), channels, limits.max_pixels)


@contextlib.contextmanager
def _new_folder(path: str | os.PathLike, version: int) -> Iterator[pathlib.Path]:
    """Yield a temporary folder that takes its place as `path/version` at the end, or disappears after an error."""
    check_count("version", version)
    place = pathlib.Path(path) / str(version)
    if place.exists():
        raise FileExistsError(f"version {version} is in {path} already; choose version={version + 1}, or remove it")
    temporary = place.with_name(f".{version}.tmp")  # TensorFlow Serving takes no notice of it
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


# Checks


def _check_sizes(sizes: Sequence[int] | None, report: SizeReport | None) -> tuple[int, ...]:
    if sizes is None and report is not None:
        sizes = [row.size for row in report.rows]
    if sizes is None or not len(sizes):
        raise ValueError("sizes must name at least one size in pixels, got none; give sizes= or report=")
    for size in sizes:
        check_count("sizes", size)
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"sizes must differ from each other, got {list(sizes)}")
    return tuple(sorted(int(size) for size in sizes))


def _check_model(model: keras.Model, preprocessing: Preprocessing) -> None:
    shape = getattr(model, "input_shape", None) if isinstance(model, keras.Model) and model.built else None
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1:3] != (None, None) or shape[3] is None:
        raise ValueError(
            f"model must be a built Keras model of one input (None, None, channels), got the shape {shape}"
        )
    preprocessing.check_channels(shape[3])


def _class_names(model: keras.Model, names: Sequence[str] | None, calibration) -> tuple[str, ...]:
    output = model.output_shape[0] if isinstance(model.output_shape, list) else model.output_shape
    classes = output[-1]
    if names is None and isinstance(calibration, MixSizeDataset):
        names = calibration.source.class_names
    if names is None:
        return tuple(str(number) for number in range(classes))
    if len(names) != classes:
        raise ValueError(f"class_names must be one for each of the model's {classes} outputs, got {len(names)}")
    return tuple(map(str, names))


def _default_size(size: int | None, sizes: tuple[int, ...], report: SizeReport | None) -> int:
    if size is not None and size not in sizes:
        raise ValueError(f"default_size must be one of {sizes}, got {size!r}")
    rows = [row for row in report.rows if row.size in sizes] if report is not None else []
    best = max(rows, key=lambda row: row.best.value).size if rows else sizes[-1]
    return size if size is not None else best


def _check_cascade(cascade: FitCascade | Cascade | None, sizes: tuple[int, ...], times: dict[int, float]) -> None:
    if cascade is None:
        return
    pair = (cascade.small, cascade.large) if isinstance(cascade, Cascade) else cascade.sizes or sizes
    if len(pair) < 2 or not set(pair) <= set(sizes):
        raise ValueError(f"cascade must be of two of the exported sizes {sizes}, got {pair}")
    if isinstance(cascade, Cascade):
        return
    if len(cascade.images) != len(cascade.labels):
        raise ValueError(
            f"cascade must have a label for each image, got {len(cascade.images)} and {len(cascade.labels)}"
        )
    check_choice("cost", cascade.cost, COSTS)
    if cascade.cost == "latency_ms" and not set(pair) <= set(times):
        raise ValueError(f"cost must be 'multiply_adds' without a report that has the latency of all sizes {pair}")


def _times(report: SizeReport | None) -> dict[int, float]:
    """Return the measured milliseconds per image of the sizes that have them."""
    return {row.size: row.latency_ms for row in report.rows if row.latency_ms} if report is not None else {}
