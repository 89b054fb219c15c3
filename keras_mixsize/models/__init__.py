"""The model zoo: networks that accept any image size; nothing else in the library imports it.

Each network has a file and a function of its own; `build` finds them by name. `pretrained` has those with weights.

    model = models.build("resnet14", classes=10, channels=1)
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_mixsize.models.amoebanet import amoebanet_a
from keras_mixsize.models.cifar_resnet import cifar_resnet
from keras_mixsize.models.efficientnet import efficientnet_b0
from keras_mixsize.models.pretrained import from_preset, moving_statistics, presets, save_preset
from keras_mixsize.models.resnet import resnet50
from keras_mixsize.models.wide_resnet import wide_resnet

_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    f"resnet{depth}": functools.partial(cifar_resnet, depth) for depth in (8, 14, 20, 32, 44, 56, 110)
} | {
    "wrn28_10": functools.partial(wide_resnet, 28, 10),
    "resnet50": resnet50,
    "efficientnet_b0": efficientnet_b0,
    "amoebanet_a": amoebanet_a,
}


def names() -> list[str]:
    """Return every name that `build` takes."""
    return list(_BUILDERS)


def build(
    name: str,
    *,
    classes: int,
    channels: int = 3,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    **options: Any,
) -> keras.Model:
    """Return a network by name.

    Args:
        name: one of `names()`.
        classes: number of logits.
        channels: of the images.
        mean, std: per channel of the images in [0, 1]; the network then begins by normalising them.
        **options: of the network's own function.

    Raises:
        ValueError: an unknown name; the message lists the known ones and the nearest. Or means for other channels.
    """
    if name not in _BUILDERS:
        close = difflib.get_close_matches(name, _BUILDERS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"model must be one of {', '.join(_BUILDERS)}, got {name!r}{hint}")
    network = _BUILDERS[name](classes=classes, channels=channels, **options)
    return network if mean is None or std is None else normalized(network, mean, std)


def normalized(network: keras.Model, mean: Sequence[float], std: Sequence[float]) -> keras.Model:
    """Return the network behind a layer that subtracts the mean of each channel and divides by its deviation.

    Raises:
        ValueError: not one mean and one deviation per channel.
    """
    inputs = keras.Input(network.input_shape[1:], name="image")
    channels = inputs.shape[-1]
    if len(mean) != channels or len(std) != channels:
        raise ValueError(f"mean and std must have the images' {channels} channels, got {mean} and {std}")
    variance = [value**2 for value in std]
    scaled = keras.layers.Normalization(mean=list(mean), variance=variance)(inputs)
    return keras.Model(inputs, network(scaled), name=network.name)


__all__ = [
    "amoebanet_a",
    "build",
    "cifar_resnet",
    "efficientnet_b0",
    "from_preset",
    "moving_statistics",
    "names",
    "normalized",
    "presets",
    "resnet50",
    "save_preset",
    "wide_resnet",
]
