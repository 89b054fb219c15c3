"""Fashion-MNIST: the subset inside the package, or the full set from its files.

Neighbour: `arrays` (what it becomes).

    source = fashion_mnist("train")
    source.num_examples, source.num_classes, source.channels        # 10000, 10, 1
"""

from __future__ import annotations

import gzip
import pathlib
from importlib import resources

import numpy as np

from keras_mixsize.arguments import check_choice
from keras_mixsize.sources.arrays import ArraySource

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def fashion_mnist(split: str = "train", *, path: str | pathlib.Path | None = None) -> ArraySource:
    """Return Fashion-MNIST, padded with black from 28 to 32 px: the subset inside the package, or the full set.

    Args:
        split: `"train"` (10,000 images in the package, 60,000 in full) or `"test"` (2,000 and 10,000).
        path: folder with the full set's four `*-ubyte.gz` files, as Debian's dataset-fashion-mnist installs them; None
            for the subset. `tfds_source("fashion_mnist")` reads the full set through tfds.

    Returns:
        Grey images `[N, 32, 32, 1]` uint8 of 10 classes.

    Raises:
        ValueError: another split.
        FileNotFoundError: a file of the full set is missing.

    Source: Xiao, Rasul, Vollgraf, arXiv 1708.07747; MIT licence, beside the data.
    """
    check_choice("split", split, ("train", "test"))
    images, labels = _embedded_arrays(split) if path is None else read_idx(pathlib.Path(path), split)
    images = np.pad(images, [(0, 0), (2, 2), (2, 2)])
    return ArraySource(images, labels.astype(np.int64), FASHION_CLASSES)


def _embedded_arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the subset's images, uint8 `[N, 28, 28]`, and labels."""
    packed = resources.files("keras_mixsize.sources") / "data" / "fashion_mnist.npz"
    with resources.as_file(packed) as file, np.load(file) as data:
        return data[f"{split}_images"], data[f"{split}_labels"]


def read_idx(path: pathlib.Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (images uint8 `[N, 28, 28]`, labels uint8 `[N]`) from a folder of gzipped IDX files.

    Args:
        path: the folder.
        split: `"train"` or `"test"`.

    Raises:
        FileNotFoundError: a file is missing; says which and where it comes from.
    """
    prefix = {"train": "train", "test": "t10k"}[split]
    images, labels = path / f"{prefix}-images-idx3-ubyte.gz", path / f"{prefix}-labels-idx1-ubyte.gz"
    for file in (images, labels):
        if not file.exists():
            raise FileNotFoundError(f"{file} does not exist; Debian's package dataset-fashion-mnist holds it")
    with gzip.open(images) as image_stream, gzip.open(labels) as label_stream:
        pixels = np.frombuffer(image_stream.read()[16:], np.uint8).reshape(-1, 28, 28)
        return pixels, np.frombuffer(label_stream.read()[8:], np.uint8)
