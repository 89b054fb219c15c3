"""Manifest: what an export says of itself to programs, in JSON beside the SavedModel.

docs/serving.md describes each field. Neighbours: `card` (the same for people), `saved_model` (who writes it); the room
`serving` reads it.

    from keras_mixsize.export.options import ExportOptions, settled
    contents = settled(model, ExportOptions(sizes=(24,)))
    make_manifest(contents, multiply_adds={24: 6_900_000}, signatures={})["default_size"]       # 24
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import platform
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.evaluation.report import SizeReport
from keras_mixsize.export.cascade import Cascade
from keras_mixsize.export.options import Contents

FORMAT, FORMAT_VERSION = "keras_mixsize.export", 1


def make_manifest(contents: Contents, multiply_adds: Mapping[int, int], signatures: Mapping[str, dict]) -> dict:
    """Return the manifest as plain values, for JSON.

    Args:
        contents: what the export holds; its cascade is a `Cascade` or None.
        multiply_adds: of each size, per image.
        signatures: of each name, its inputs and outputs; see `describe_signature`.
    """
    report, batches = contents.report, contents.calibration_batches
    images = {
        "channels": contents.channels,
        "dtypes": ["float32", "uint8"],
        "float_range": [0.0, 1.0],
        "formats": ["jpeg", "png"],
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": contents.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sizes": [size_entry(size, multiply_adds[size], report, batches is not None) for size in contents.sizes],
        "default_size": contents.default_size,
        "classes": list(contents.class_names),
        "top_k": contents.top,
        "input": images | dataclasses.asdict(contents.limits),
        "preprocessing": dataclasses.asdict(contents.preprocessing),
        "calibration": None if batches is None else {"batches": batches},
        "cascade": _cascade_entry(contents.cascade),
        "report": {"name": report.name, "about": report.about} if report is not None else None,
        "signatures": dict(signatures),
        "versions": _versions(),
    }


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


def describe_signature(inputs: Mapping[str, tf.TensorSpec], outputs: Mapping[str, tf.TensorSpec]) -> dict:
    """Return dtype and shape of a signature's inputs and outputs, None for what is free."""

    def describe(specs):
        return {name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for name, spec in specs.items()}

    return {"inputs": describe(inputs), "outputs": describe(outputs)}


def _cascade_entry(cascade: Cascade | None) -> dict | None:
    if cascade is None:
        return None
    entry = dataclasses.asdict(cascade)
    return entry | {"cost": entry.pop("work")}  # its name in format 1


def _versions() -> dict[str, str]:
    own = importlib.metadata.version("keras_mixsize")
    others = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return {"keras_mixsize": own, **others, "python": platform.python_version()}
