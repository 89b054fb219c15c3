"""Load an export and answer with it, choosing the size.

This file needs TensorFlow and NumPy and nothing of the package, so it can be copied to a server. Neighbour: the room
`export`, whose manifest it reads.

    served = load("exported")
    served.predict(images, size=24).names               # images uint8 or float32 [N, H, W, C], or JPEG and PNG files
    served.predict(images, size=served.choose_size(min_accuracy=0.9))
    served.predict_cascade([pathlib.Path("cat.jpg").read_bytes()])

A SavedModel is a program: load only those of people you trust.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

FORMAT, FORMAT_VERSION = "keras_mixsize.export", 1
MANIFEST = "assets.extra/manifest.json"


class Prediction(NamedTuple):
    """Answers for N images.

    Attributes:
        probabilities: float32 `[N, classes]`.
        logits: float32 `[N, classes]`.
        labels: int32 `[N, k]`, the likeliest classes, best first.
        names: `[N, k]`, their names as str.
        confidences: float32 `[N, k]`, their probabilities.
        sizes: int32 `[N]`, the size in pixels at which each image was looked at.
    """

    probabilities: np.ndarray
    logits: np.ndarray
    labels: np.ndarray
    names: np.ndarray
    confidences: np.ndarray
    sizes: np.ndarray

    def __repr__(self) -> str:
        likeliest = [f"{name} {share:.1%}" for name, share in zip(self.names[:3, 0], self.confidences[:3, 0])]
        rest = ", ..." if len(self.names) > 3 else ""
        return f"<Prediction of {len(self.names)} images: {', '.join(likeliest)}{rest}>"


def load(path: str | os.PathLike) -> ServedModel:
    """Return the model that `export_saved_model` wrote.

    Args:
        path: the folder given there, of which the highest version is taken, or that of one version.

    Raises:
        FileNotFoundError: no export there.
        ValueError: an export of a format that this file does not know, or a broken manifest.
    """
    folder = version_folder(pathlib.Path(path))
    manifest = _read_manifest(folder)
    return ServedModel(tf.saved_model.load(str(folder)), manifest)


class ServedModel:
    """An export in memory.

    Args:
        module: the loaded SavedModel.
        manifest: what it says of itself; docs/serving.md describes it.

    Attributes:
        manifest: as above.
        signatures: the SavedModel's functions by name, for tensors; `predict` is for everything else.
    """

    def __init__(self, module, manifest: dict):
        self.manifest = manifest
        self.signatures = module.signatures
        self._module = module  # keeps the variables alive

    def __repr__(self) -> str:
        sizes = ", ".join(map(str, self.sizes))
        return f"<ServedModel {self.manifest['name']!r} of {len(self.class_names)} classes at {sizes} px>"

    @property
    def network(self) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """The network: function of (images `[N, S, S, C]` float32, preprocessed; index of S in `sizes`, int32)."""
        return self._module.network._logits

    def save(self, path: str | os.PathLike, signatures: dict) -> None:
        """Write a SavedModel with other signatures, functions that use `network`; for converters."""
        tf.saved_model.save(self._module, str(path), signatures=signatures)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The calibrated sizes in pixels, ascending."""
        return tuple(row["size"] for row in self.manifest["sizes"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name per class."""
        return tuple(self.manifest["classes"])

    def predict(self, images: np.ndarray | Sequence[bytes], size: int | None = None) -> Prediction:
        """Return the answers for a batch.

        Args:
            images: an array `[N, H, W, C]` of any H and W, uint8 or float32 in [0, 1], or a list of N encoded JPEG or
                PNG files as bytes.
            size: one of `sizes`; unless given, the nearest to the array's, or for files the manifest's `default_size`.

        Raises:
            ValueError: wrong rank, channels, dtype or range, an empty batch or one above the limit, an unknown size, or
                a file that is no JPEG or PNG, has too many pixels by its header, or is broken.
        """
        if size is not None and size not in self.sizes:
            raise ValueError(f"size must be one of {self.sizes}, got {size!r}")
        if _is_encoded(images):
            return self._run("serve_bytes" if size is None else f"serve_bytes_{size}", image_bytes=self._files(images))
        images = self._array(images)
        return self._run(("serving_default" if size is None else f"serve_{size}") + _suffix(images), images=images)

    def predict_cascade(self, images: np.ndarray | Sequence[bytes]) -> Prediction:
        """Return the answers of the small size where it is sure, of the large one elsewhere; `sizes` says which.

        Takes what `predict` takes, and raises what it raises; a ValueError, too, if no cascade was exported.
        """
        if self.manifest["cascade"] is None:
            raise ValueError("this export has no cascade; export it with cascade=FitCascade(images, labels)")
        if _is_encoded(images):
            return self._run("serve_cascade_bytes", image_bytes=self._files(images))
        images = self._array(images)
        return self._run(f"serve_cascade{_suffix(images)}", images=images)

    def choose_size(
        self,
        *,
        min_accuracy: float | None = None,
        max_latency_ms: float | None = None,
        max_flops: float | None = None,
    ) -> int:
        """Return the cheapest size that is accurate enough; without `min_accuracy`, the best one within the limits.

        Args:
            min_accuracy: in [0, 1].
            max_latency_ms: per image, as the exported report measured it.
            max_flops: multiply-adds per image, `multiply_adds` in the manifest.

        Raises:
            ValueError: no size is like that, or the export does not hold what is asked about.
        """
        rows = self.manifest["sizes"]
        limits = {"latency_ms": max_latency_ms, "multiply_adds": max_flops}
        for name, limit in limits.items():
            rows = rows if limit is None else [row for row in rows if self._known(row, name) <= limit]
        if min_accuracy is not None:
            rows = [row for row in rows if self._known(row, "accuracy")["value"] >= min_accuracy]
            rows = sorted(rows, key=lambda row: row["multiply_adds"])[:1]
        if not rows:
            wanted = {"min_accuracy": min_accuracy, "max_latency_ms": max_latency_ms, "max_flops": max_flops}
            asked = ", ".join(f"{name}={value}" for name, value in wanted.items() if value is not None)
            raise ValueError(f"no size has {asked}; there are {self._table()}")
        return max(rows, key=lambda row: self._known(row, "accuracy")["value"])["size"]

    def warm_up(self, batch: int = 1) -> None:
        """Run each signature once on black images, so that the first answer takes no longer than the others."""
        channels = self.manifest["input"]["channels"]
        for size in (None, *self.sizes):
            for images in _black(batch, size or max(self.sizes), channels):
                self.predict(images, size=size)
        if self.manifest["cascade"] is not None:
            for images in _black(batch, max(self.sizes), channels):
                self.predict_cascade(images)

    def _known(self, row: dict, name: str):
        if row[name] is None:
            raise ValueError(f"{name} of size {row['size']} is not in this export; give report= when exporting")
        return row[name]

    def _table(self) -> str:
        def text(row):
            accuracy = row["accuracy"] and row["accuracy"]["value"]
            return (
                f"{row['size']} px (accuracy {accuracy}, {row['latency_ms']} ms, {row['multiply_adds']} multiply-adds)"
            )

        return ", ".join(map(text, self.manifest["sizes"]))

    def _check_count(self, count: int) -> None:
        limit = self.manifest["input"]["max_batch"]
        if not 0 < count <= limit:
            raise ValueError(f"images must be at least 1 and at most {limit}, the export's max_batch, got {count}")

    def _files(self, files) -> tf.Tensor:
        self._check_count(len(files))
        wrong = [type(file).__name__ for file in files if not isinstance(file, bytes)]
        if wrong:
            raise ValueError(f"images must be bytes throughout if the first is, got {wrong[0]}")
        return tf.constant(list(files), tf.string)

    def _array(self, images) -> tf.Tensor:
        images = np.asarray(images)
        channels = self.manifest["input"]["channels"]
        if images.ndim != 4 or images.shape[-1] != channels:
            raise ValueError(f"images must be [N, H, W, {channels}], got the shape {list(images.shape)}")
        if images.dtype not in (np.uint8, np.float32):
            raise ValueError(f"images must be uint8, or float32 in [0, 1], got {images.dtype}")
        self._check_count(len(images))
        if 0 in images.shape:
            raise ValueError(f"images must have pixels, got the shape {list(images.shape)}")
        return tf.constant(images)

    def _run(self, signature: str, **inputs: tf.Tensor) -> Prediction:
        try:
            answer = {name: value.numpy() for name, value in self.signatures[signature](**inputs).items()}
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"images cannot be answered: {_reason(error.message)}") from error
        names = np.array([[name.decode() for name in row] for row in answer["top_names"]])
        tops = (answer["top_labels"], names, answer["top_probabilities"])
        return Prediction(answer["probabilities"], answer["logits"], *tops, answer["sizes"])


def _black(batch: int, size: int, channels: int) -> list:
    """Return a batch of black images as each kind of input: uint8, float32 and, if there are such files, PNG."""
    pixels = np.zeros([batch, size, size, channels], np.uint8)
    files = [[tf.io.encode_png(pixels[0]).numpy()] * batch] if channels in (1, 3) else []
    return [pixels, pixels.astype(np.float32), *files]


def _suffix(images: tf.Tensor) -> str:
    return "_uint8" if images.dtype == tf.uint8 else ""


def _is_encoded(images) -> bool:
    if isinstance(images, bytes):
        raise ValueError("images must be a list of encoded files, got bytes; use [data]")
    return isinstance(images, (list, tuple)) and (not images or isinstance(images[0], bytes))


def _reason(message: str) -> str:
    """Return the part of TensorFlow's message that tells the user something, without nodes and their origin."""
    lines = [line.strip() for line in re.split(r"\[\[|\{\{", message)[0].splitlines()]
    noise = ("Graph execution error", "Detected at node", "<stack traces", "File ")
    reason = " ".join(line for line in lines if line and not line.startswith(noise))
    if not reason.startswith("assertion failed: "):
        return reason
    # Each part of an assertion stands in brackets, and those of tensors in brackets of their own
    return " ".join(re.findall(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]", reason)).replace(" ;", ";")


def version_folder(path: pathlib.Path) -> pathlib.Path:
    """Return the folder of the highest version in a folder, or that of a version itself.

    Raises:
        FileNotFoundError: no export there.
    """
    if (path / "saved_model.pb").exists():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"folder {path} does not exist")
    versions = [entry for entry in path.iterdir() if entry.name.isdecimal() and (entry / "saved_model.pb").exists()]
    if not versions:
        raise FileNotFoundError(f"folder {path} holds no export; write one with export_saved_model")
    return max(versions, key=lambda entry: int(entry.name))


def _read_manifest(folder: pathlib.Path) -> dict:
    file = folder / MANIFEST
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist; a SavedModel that export_saved_model wrote has one")
    try:
        manifest = json.loads(file.read_text())
        found = (manifest["format"], manifest["format_version"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{file} cannot be read as a manifest ({error!r}); export the model again") from error
    if found != (FORMAT, FORMAT_VERSION):
        raise ValueError(f"{file} must be of the format {FORMAT} {FORMAT_VERSION}, got {found[0]} {found[1]}")
    return manifest
