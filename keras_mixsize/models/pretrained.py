"""Presets: a network with trained weights as a folder, in the form of KerasHub's presets.

A folder holds `config.json` (the network, as Keras serialises it), `model.weights.h5`, `statistics.npz` (what batch
norm normalises with at each size) and `metadata.json` (what it was trained on, its accuracy by size, the SHA-256 of the
other files). Some networks of the evidence lie in the package. Neighbour: the room's `build`, for untrained networks.

    network = models.from_preset("glyphs_resnet14_mixsize", size=12)        # batch norm calibrated for 12 px
    models.presets()["glyphs_resnet14_mixsize"]["accuracy"]["12"]           # of test images, in [0, 1]
    statistics = {12: models.moving_statistics(network)}
    models.save_preset(network, "my_preset", statistics=statistics, about={"data": "mine"})
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_mixsize.internals import layers_of

CONFIG, WEIGHTS, STATISTICS, METADATA = "config.json", "model.weights.h5", "statistics.npz", "metadata.json"
CHECKED = (CONFIG, WEIGHTS, STATISTICS)
_PACKAGE = pathlib.Path(__file__).parent / "data"


def presets() -> dict[str, dict[str, Any]]:
    """Return what is known of each preset in the package, by name: its metadata.json."""
    return {path.parent.name: _metadata(path.parent) for path in sorted(_PACKAGE.glob(f"*/{METADATA}"))}


def from_preset(preset: str | os.PathLike[str], *, size: int | None = None, load_weights: bool = True) -> keras.Model:
    """Return a network with trained weights.

    Args:
        preset: name of one in the package, or a folder that `save_preset` wrote.
        size: side of the images in pixels for which batch norm is calibrated; None for the base size's statistics.
        load_weights: whether to load them; the network is untrained otherwise.

    Returns:
        A Keras model from images `[N, H, W, C]`, float32 in [0, 1], to logits `[N, classes]`.

    Raises:
        ValueError: an unknown preset, a size without statistics, or a file that is not the one that was saved.
    """
    folder = _folder_of(preset)
    _check_files(folder, _metadata(folder)["sha256"])
    network = keras.saving.deserialize_keras_object(json.loads((folder / CONFIG).read_text()))
    if load_weights:
        network.load_weights(folder / WEIGHTS)
        if size is not None:
            _set_statistics(network, _statistics_at(folder, size))
    return network


def save_preset(
    network: keras.Model,
    directory: str | os.PathLike[str],
    *,
    statistics: Mapping[int, np.ndarray] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write a network as a preset; the files of one that is there are replaced.

    Args:
        network: a Keras model that can be saved; of a MixSizeModel its `network`.
        directory: to write; made if it is not there.
        statistics: by size in pixels, what `moving_statistics` returned after calibration for it.
        about: what else metadata.json says: JSON values.

    Raises:
        ValueError: statistics of another network.
    """
    shape = moving_statistics(network).shape
    for size, values in (statistics or {}).items():
        if np.shape(values) != shape:
            raise ValueError(f"statistics[{size}] must be of this network, {shape}, got shape {np.shape(values)}")
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(keras.saving.serialize_keras_object(network)) + "\n")
    network.save_weights(folder / WEIGHTS)
    arrays: dict[str, Any] = {str(size): values for size, values in (statistics or {}).items()}
    np.savez(folder / STATISTICS, **arrays)
    metadata = {
        **(about or {}),
        "keras_version": keras.__version__,
        "parameter_count": network.count_params(),
        "sha256": {name: _sha256(folder / name) for name in CHECKED},
    }
    (folder / METADATA).write_text(json.dumps(metadata, indent=1) + "\n")


def moving_statistics(network: keras.Model) -> np.ndarray:
    """Return the moving means and variances of all batch norm of a network, float32 `[2, channels of all layers]`."""
    layers = _batch_norms(network)
    parts = [layer.moving_mean for layer in layers], [layer.moving_variance for layer in layers]
    return np.stack([np.concatenate([np.zeros(0, np.float32), *(p.numpy() for p in part)]) for part in parts])


def _set_statistics(network: keras.Model, values: np.ndarray) -> None:
    layers = _batch_norms(network)
    ends = np.cumsum([0, *(layer.moving_mean.shape[0] for layer in layers)])
    for layer, first, last in zip(layers, ends, ends[1:]):
        layer.moving_mean.assign(values[0, first:last])
        layer.moving_variance.assign(values[1, first:last])


def _batch_norms(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in layers_of(network) if isinstance(layer, keras.layers.BatchNormalization)]


def _statistics_at(folder: pathlib.Path, size: int) -> np.ndarray:
    with np.load(folder / STATISTICS) as file:
        if str(size) not in file:
            known = ", ".join(sorted(file, key=int)) or "none"
            raise ValueError(
                f"size must be one that {folder.name} is calibrated for ({known}), got {size!r}; "
                "for others calibrate with keras_mixsize.calibrate"
            )
        return file[str(size)]


def _folder_of(preset: str | os.PathLike[str]) -> pathlib.Path:
    names = list(presets())
    if preset in names:
        return _PACKAGE / preset
    if (pathlib.Path(preset) / METADATA).exists():
        return pathlib.Path(preset)
    close = difflib.get_close_matches(str(preset), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"preset must be a folder that save_preset wrote, or one of {', '.join(names)}, got {str(preset)!r}{hint}"
    )


def _metadata(folder: pathlib.Path) -> dict[str, Any]:
    try:
        metadata = json.loads((folder / METADATA).read_bytes())
        return metadata | {"sha256": {name: str(metadata["sha256"][name]) for name in CHECKED}}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{folder / METADATA} is not what save_preset wrote ({error}); get the preset again"
        ) from error


def _check_files(folder: pathlib.Path, expected: Mapping[str, str]) -> None:
    for name in CHECKED:
        path, digest = folder / name, expected[name]
        if not path.exists() or _sha256(path) != digest:
            raise ValueError(f"{path} is not the file that was saved, whose SHA-256 is {digest}; get the preset again")


def _sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
