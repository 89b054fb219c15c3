"""What an export says of itself: a manifest in JSON for programs, a model card in Markdown for people.

docs/serving.md describes each field of the manifest. Neighbours: `export` (who writes them), `serving` (who reads).

    manifest = make_manifest("resnet8", sizes, ...)
    print(model_card(manifest))
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import platform

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.evaluation.report import SizeReport
from keras_mixsize.export.cascade import Cascade
from keras_mixsize.export.preprocessing import Preprocessing

FORMAT, FORMAT_VERSION = "keras_mixsize.export", 1


def size_entry(size: int, multiply_adds: int, report: SizeReport | None, calibrated: bool) -> dict:
    """Return what the manifest says of one size; accuracy and latency are None where the report has none."""
    rows = [row for row in report.rows if row.size == size] if report is not None else []
    accuracy = (rows[0].best if calibrated else rows[0].accuracy) if rows else None
    return {
        "size": size,
        "accuracy": dataclasses.asdict(accuracy) if accuracy else None,
        "multiply_adds": multiply_adds,
        "latency_ms": rows[0].latency_ms if rows else None,
        "signature": f"serve_{size}",
    }


def make_manifest(
    name: str,
    sizes: list[dict],
    *,
    default_size: int,
    class_names: tuple[str, ...],
    top: int,
    channels: int,
    limits: dict[str, int],
    preprocessing: Preprocessing,
    calibration_batches: int | None,
    cascade: Cascade | None,
    report: SizeReport | None,
    signatures: dict[str, dict],
) -> dict:
    """Return the manifest as plain values, for JSON.

    Args:
        name: of the model.
        sizes: a `size_entry` each, ascending.
        default_size: of encoded images for which no size is asked.
        class_names: a name per class.
        top: how many classes an answer names.
        channels: of the images.
        limits: `max_batch` and `max_pixels`.
        preprocessing: in the graph.
        calibration_batches: at each size, None if every size has the model's own statistics.
        cascade: that is exported.
        report: where accuracies and latencies come from.
        signatures: of each name, its inputs and outputs.
    """
    images = {
        "channels": channels,
        "dtypes": ["float32", "uint8"],
        "float_range": [0.0, 1.0],
        "formats": ["jpeg", "png"],
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sizes": sizes,
        "default_size": default_size,
        "classes": list(class_names),
        "top_k": top,
        "input": images | limits,
        "preprocessing": dataclasses.asdict(preprocessing),
        "calibration": None if calibration_batches is None else {"batches": calibration_batches},
        "cascade": dataclasses.asdict(cascade) if cascade else None,
        "report": {"name": report.name, "about": report.about} if report is not None else None,
        "signatures": signatures,
        "versions": _versions(),
    }


def describe_signature(inputs: dict[str, tf.TensorSpec], outputs: dict[str, tf.TensorSpec]) -> dict:
    """Return dtype and shape of a signature's inputs and outputs, None for what is free."""

    def describe(specs):
        return {name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for name, spec in specs.items()}

    return {"inputs": describe(inputs), "outputs": describe(outputs)}


def _versions() -> dict[str, str]:
    own = importlib.metadata.version("keras_mixsize")
    others = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return {"keras_mixsize": own, **others, "python": platform.python_version()}


def model_card(manifest: dict) -> str:
    """Return a model card in Markdown; what nobody but its author knows is left to fill in."""
    parts = [_heading(manifest), _sizes(manifest), _cascade(manifest), _input(manifest), _caution(manifest)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(manifest: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return (
        f"# {manifest['name']}\n\nAn image classifier of {len(manifest['classes'])} classes for {len(manifest['sizes'])} image "
        f"sizes, exported {manifest['created']} with {versions}.\n\n"
        "Intended use: (to be written by the author)\n\nTraining data and known limits: (to be written by the author)"
    )


def _sizes(manifest: dict) -> str:
    lines = [
        "## Sizes\n",
        "| size | accuracy [95 %] | M multiply-adds | ms/image | signature |",
        "|---|---|---|---|---|",
    ]
    for row in manifest["sizes"]:
        latency = "-" if row["latency_ms"] is None else f"{row['latency_ms']:.3f}"
        cost = row["multiply_adds"] / 1e6
        lines.append(f"| {row['size']} | {_share(row['accuracy'])} | {cost:.2f} | {latency} | `{row['signature']}` |")
    report, calibration = manifest["report"], manifest["calibration"]
    measured = f'Accuracy and time are those of the report "{report["name"]}": {report["about"]}.' if report else ""
    statistics = (
        f"calibrated with {calibration['batches']} training batches at each size" if calibration else "the model's own"
    )
    return "\n".join([*lines, "", f"Batch-norm statistics: {statistics}. {measured}".rstrip()])


def _share(accuracy: dict | None) -> str:
    if accuracy is None:
        return "-"
    return f"{accuracy['value']:.1%} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"


def _cascade(manifest: dict) -> str:
    cascade = manifest["cascade"]
    if cascade is None:
        return ""
    return (
        f"## Cascade\n\n`serve_cascade` looks at {cascade['small']} px, and again at {cascade['large']} px where no class is as "
        f"likely as {cascade['threshold']:.3f}. On the data that the threshold was fitted to: accuracy "
        f"{_share(cascade['accuracy'])}, {cascade['share']:.1%} of the images looked at again, {cascade['cost']:.0%} of the "
        f"cost of {cascade['large']} px for all."
    )


def _input(manifest: dict) -> str:
    options, preprocessing = manifest["input"], manifest["preprocessing"]
    crop = preprocessing["center_crop"]
    window = (
        "the whole image is resized"
        if crop is None
        else f"the central square of {crop:.3f} of the shorter side is resized"
    )
    return (
        f"## Input\n\nImages of {options['channels']} channels and any size, uint8 or float32 in [0, 1], or JPEG and PNG files; at "
        f"most {options['max_batch']} at a time, of at most {options['max_pixels']} pixels each. In the graph, {window} "
        f"({preprocessing['interpolation']}, antialias={preprocessing['antialias']})."
    )


def _caution(manifest: dict) -> str:
    del manifest
    return "## Caution\n\nA SavedModel is a program: load only those of people you trust."
