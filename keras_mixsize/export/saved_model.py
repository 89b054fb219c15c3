"""export_saved_model: one SavedModel that serves several image sizes from one copy of the weights.

Made of `options` (what is asked and what it comes to), `multi_size` (the network), `signatures`, `cascade`, `manifest`,
`card` and `warmup_requests`; the room `serving` reads it.

    export_saved_model(model, "exported", [24, 32, 48], calibration=train, report=report, version=2)
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
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.evaluation.report import SizeReport
from keras_mixsize.evaluation.size_batches import TrainingImages
from keras_mixsize.export.card import model_card
from keras_mixsize.export.cascade import Cascade, FitCascade, fit_cascade
from keras_mixsize.export.manifest import describe_signature, make_manifest
from keras_mixsize.export.multi_size import MultiSizeNetwork, statistics_of_sizes
from keras_mixsize.export.options import Contents, ExportOptions, settled
from keras_mixsize.export.preprocessing import Preprocessing
from keras_mixsize.export.signatures import USUAL_LIMITS, Answer, Limits, inputs_of, make_signatures
from keras_mixsize.export.warmup_requests import example_inputs, write_requests
from keras_mixsize.training import complexity

_FITTED_AT_ONCE = 256  # images of a cascade


def export_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    sizes: Sequence[int] | None = None,
    *,
    calibration: TrainingImages | None = None,
    batches: int = 200,
    report: SizeReport | None = None,
    preprocessing: Preprocessing | None = None,
    class_names: Sequence[str] | None = None,
    default_size: int | None = None,
    cascade: FitCascade | Cascade | None = None,
    top: int = 5,
    limits: Limits = USUAL_LIMITS,
    version: int = 1,
    progress: bool = True,
) -> pathlib.Path:
    """Write a SavedModel with batch-norm statistics and a signature for each size.

    The model is left as it was, and nothing is left behind by an export that fails. See `signatures` for their names,
    and docs/serving.md for the manifest. The options are keywords, because a user types two or three of them at a time;
    they become an `ExportOptions` at once.

    Args:
        model: a built Keras model of (None, None, C) whose first output is logits or probabilities `[N, classes]`.
        path: folder of the versions; made if it does not exist.
        sizes: sides in pixels; the report's unless given.
        calibration: training data for the statistics, whatever `calibration.calibrate` takes; None gives every size the
            model's own.
        batches: of calibration, at each size, at most.
        report: of this model, for accuracy and latency in the manifest.
        preprocessing: in the graph; what the report was measured with unless given, or `Preprocessing()` without a
            report.
        class_names: a name per class; those of `calibration`'s source unless given, or the numbers.
        default_size: of encoded images for which no size is asked; the most accurate in the report unless given, or the
            largest.
        cascade: fit one (`FitCascade`), or export a known one.
        top: how many of the likeliest classes an answer names.
        limits: of a request.
        version: name of the SavedModel's folder in `path`; TensorFlow Serving takes the highest.
        progress: show what is being done, if standard error is a terminal.

    Returns:
        The SavedModel's folder, `path/version`.

    Raises:
        ValueError: before anything is computed, if the arguments do not fit the model or each other.
        FileExistsError: the version is there already.
    """
    asked = {name: value for name, value in locals().items() if name not in ("model", "path")}
    return _export(model, pathlib.Path(path), ExportOptions(**asked))


def _export(model: keras.Model, path: pathlib.Path, options: ExportOptions) -> pathlib.Path:
    contents = settled(model, options)
    with _new_folder(path, options.version) as folder:
        statistics = statistics_of_sizes(
            model, options.calibration, contents.sizes, options.batches, progress=options.progress
        )
        network = MultiSizeNetwork(model, statistics)
        multiply_adds = {size: complexity.multiply_adds(model, size) for size in contents.sizes}
        if isinstance(contents.cascade, FitCascade):
            contents = dataclasses.replace(contents, cascade=_fit(contents, network, multiply_adds))
        functions = _write_graph(folder, network, contents)
        _write_texts(folder, make_manifest(contents, multiply_adds, _describe(functions)))
    return path / str(options.version)


def _write_graph(folder: pathlib.Path, network: MultiSizeNetwork, contents: Contents) -> dict:
    """Write the SavedModel with a warmup request for each signature, and return the signatures."""
    answer = Answer(contents.class_names, contents.top)
    shared: dict[str, Any] = {"default_size": contents.default_size, "cascade": contents.cascade}
    functions = make_signatures(network, contents.preprocessing, answer, contents.limits, **shared)
    module = tf.Module()
    module.network, module.answer = network, answer
    tf.saved_model.save(module, str(folder), signatures=functions)
    requests = {name: example_inputs(function, min(contents.sizes)) for name, function in functions.items()}
    write_requests(folder, requests, contents.name)
    return functions


def _describe(functions: dict) -> dict[str, dict]:
    described = {name: (inputs_of(function), function.structured_outputs) for name, function in functions.items()}
    return {name: describe_signature(*specs) for name, specs in described.items()}


def _write_texts(folder: pathlib.Path, manifest: dict) -> None:
    (folder / "assets.extra/manifest.json").write_text(json.dumps(manifest, indent=1))
    (folder / "assets.extra/MODEL_CARD.md").write_text(model_card(manifest))


def _fit(contents: Contents, network: MultiSizeNetwork, multiply_adds: dict[int, int]) -> Cascade:
    """Return the cascade that was asked for, fitted on what the network answers with the statistics of each size."""
    asked = contents.cascade
    prepare = _preparing(contents)

    def probabilities(size):
        parts = (slice(low, low + _FITTED_AT_ONCE) for low in range(0, len(asked.images), _FITTED_AT_ONCE))
        answers = (network.logits(prepare(part, size), network.index(size)) for part in parts)
        return tf.nn.softmax(tf.concat(list(answers), axis=0)).numpy()

    work = {"multiply_adds": multiply_adds, "latency_ms": contents.latencies}[asked.work]
    answers = {size: probabilities(size) for size in asked.sizes_of(contents.sizes)}
    return fit_cascade(answers, asked.labels, work, asked.accuracy)


def _preparing(contents: Contents) -> Callable:
    """Return the function of (slice, size) that gives the network's input of the cascade's images, as signatures do."""
    images, preprocessing = contents.cascade.images, contents.preprocessing
    if isinstance(images, (np.ndarray, tf.Tensor)):
        return lambda part, size: preprocessing.prepare(tf.constant(images[part]), size)
    decode = tf.function(preprocessing.decode, autograph=False)  # the files of a batch at the same time
    options = (contents.channels, contents.limits.max_pixels)
    return lambda part, size: decode(tf.constant(list(images[part])), tf.constant(size), *options)


@contextlib.contextmanager
def _new_folder(path: pathlib.Path, version: int) -> Iterator[pathlib.Path]:
    """Yield a temporary folder that becomes `path/version` at the end, or disappears after an error."""
    final = path / str(version)
    if final.exists():
        raise FileExistsError(f"version {version} is in {path} already; choose version={version + 1}, or remove it")
    temporary = path / f".{version}.tmp"  # TensorFlow Serving takes no notice of it
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
