"""Makes the Fashion-MNIST subset inside the package from the files of Debian's dataset-fashion-mnist.

    apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb DIR
    python experiments/data/make_fashion_mnist.py --source=DIR/usr/share/datasets/fashion-mnist

Takes the first 1,000 training and 200 test images of each class, in the original order, so the result is the same
bytes for everybody (NumPy's zip timestamps are constant).
"""

import pathlib

import numpy as np
from absl import app, flags

from keras_mixsize.sources.fashion import read_idx

SOURCE = flags.DEFINE_string("source", None, "Folder with the four *-ubyte.gz files.", required=True)
TARGET = flags.DEFINE_string(
    "target", str(pathlib.Path(__file__).parents[2] / "keras_mixsize/sources/data/fashion_mnist.npz"), "File to write."
)
PER_CLASS = {"train": 1000, "test": 200}


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the first `count` examples of each class, ascending."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]))


def main(_):
    arrays = {}
    for split, count in PER_CLASS.items():
        images, labels = read_idx(pathlib.Path(SOURCE.value), split)
        kept = first_of_each_class(labels, count)
        arrays |= {f"{split}_images": images[kept], f"{split}_labels": labels[kept]}
    np.savez_compressed(TARGET.value, **arrays)
    print(TARGET.value, {name: array.shape for name, array in arrays.items()})


if __name__ == "__main__":
    app.run(main)
