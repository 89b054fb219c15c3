"""Settings: what the evidence is about, data, network, base size and epochs, by name.

Pictures are square and twice the base size or more, so that every test size is made by shrinking. Validation images are
training images held out (for the fonts: other families), and only they choose anything.

    setting = SETTINGS["glyphs"]
    data = setting.load("glyphs.npz")
    data.train.num_examples, data.classes            # 4000, 62
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

import keras_mixsize as kms
from evidence.arms import TEST_SCALES

DRAW = 0  # seed of which images are trained on: the same for every run


@dataclasses.dataclass(frozen=True)
class Data:
    """What a run trains on and is tested on.

    Attributes:
        train, validation, test: sources of pictures `[N, H, W, C]` uint8 with labels `[N]`.
        classes: number of them.
        flip: whether mirrored pictures are of the same class.
    """

    train: kms.sources.Source
    validation: kms.sources.Source
    test: kms.sources.Source
    classes: int
    flip: bool


@dataclasses.dataclass(frozen=True)
class Setting:
    """One column of the evidence.

    Attributes:
        source: flag that names its file or folder.
        load: function from that path to Data.
        epochs: of the baseline.
        base_size: in pixels.
        base_batch: images per step of the baseline.
        network: name in `keras_mixsize.models`.
    """

    source: str
    load: Callable[[str], Data]
    epochs: int = 60
    base_size: int = 16
    base_batch: int = 64
    network: str = "resnet14"

    @property
    def test_sizes(self) -> dict[float, int]:
        """Test sizes in pixels by their ratio to the base."""
        return {scale: round(scale * self.base_size) for scale in TEST_SCALES}


def draw(count: int, *sizes: int) -> list[np.ndarray]:
    """Return disjoint random sets of indices below `count`, the same at every call."""
    order = np.random.default_rng(DRAW).permutation(count)
    return np.split(order, np.cumsum(sizes))[: len(sizes)]


def _source(images: np.ndarray, labels: np.ndarray) -> kms.sources.Source:
    return kms.sources.ArraySource(images, labels.astype(np.int64))


def fashion(path: str, train: int, validation: int) -> Data:
    """Return Fashion-MNIST: `train` and `validation` of its 60,000 training images, and its test images.

    Args:
        path: folder of the full set's *-ubyte.gz files, as Debian's dataset-fashion-mnist has it.
    """
    full, test = (kms.sources.fashion_mnist(split, path=path) for split in ("train", "test"))
    parts = (_source(full.images[chosen], full.labels[chosen]) for chosen in draw(full.num_examples, train, validation))
    return Data(*parts, test, classes=10, flip=True)


def glyphs(path: str, train: int) -> Data:
    """Return letters and digits of fonts, split by family; see data/make_glyphs.py.

    Args:
        path: glyphs.npz.
    """
    with np.load(path) as file:
        images, labels, split = file["images"], file["labels"], file["split"]
    parts = {name: np.flatnonzero(split == name) for name in ("train", "validation", "test")}
    parts["train"] = parts["train"][draw(len(parts["train"]), train)[0]]
    return Data(*(_source(images[part], labels[part]) for part in parts.values()), classes=62, flip=False)


def clipart(path: str, side: int = 32, validation_share: float = 0.2) -> Data:
    """Return the clip art, shrunk to `side` pixels; see data/make_clipart.py.

    Args:
        path: folder that holds train/ and test/.
    """
    images, labels = _shrunk(pathlib.Path(path) / "train", side)
    held_out = round(validation_share * len(images))
    parts = draw(len(images), len(images) - held_out, held_out)
    train, validation = (_source(images[part], labels[part]) for part in parts)
    return Data(
        train, validation, _source(*_shrunk(pathlib.Path(path) / "test", side)), int(labels.max()) + 1, flip=True
    )


def _shrunk(folder: pathlib.Path, side: int) -> tuple[np.ndarray, np.ndarray]:
    source = kms.sources.folder(folder)
    pixels = []
    for part in np.array_split(np.arange(source.num_examples), max(1, source.num_examples // 256)):
        seeds = tf.zeros(len(part), tf.uint32)
        images = source.render(tf.constant(part), seeds, tf.constant(side), kms.images.Transform(decode="exact"))
        pixels.append(np.rint(255 * kms.images.to_float(images).numpy()).astype(np.uint8))
    return np.concatenate(pixels), source.labels


SETTINGS: Mapping[str, Setting] = {
    "glyphs": Setting("glyphs", functools.partial(glyphs, train=4000)),
    "fashion4k": Setting("fashion", functools.partial(fashion, train=4000, validation=4000)),
    "clipart": Setting("clipart", clipart),
    # all but the 4,000 images that choose the learning rate
    "fashion60k": Setting("fashion", functools.partial(fashion, train=56_000, validation=4000), epochs=12),
}
