"""Held-out examples in two parts: those that fit a cascade, and those that say what it reaches. Imports TensorFlow.

Neighbour: `export`.

    fitting, rest = divide(test, None)                      # half of the test set each
    images_of(fitting)                                      # what FitCascade and ServedModel take
"""

from __future__ import annotations

import dataclasses
import pathlib
import re

import keras
import numpy as np
import tensorflow as tf

import keras_mixsize as kms
from keras_mixsize.evaluation import Accuracy
from keras_mixsize.images import Transform, WholeImage, to_float
from keras_mixsize.images.headers import JPEG_START

FILES = 4096  # at most so many encoded images fit a cascade, because they are held in memory
SAMPLES = 24  # images that the web page offers
WITH_IMAGES = (kms.sources.ArraySource, kms.sources.EncodedSource)  # whose images can be had as they are


class Part(kms.sources.Source):
    """Some examples of a source, in the order of their indices.

    Args:
        whole: the source.
        indices: of the examples, int64 `[N]`.
    """

    def __init__(self, whole: kms.sources.Source, indices: np.ndarray):
        self.whole, self.indices = whole, indices
        self.labels, self.class_names, self.channels = whole.labels[indices], whole.class_names, whole.channels

    def render(self, indices, seeds, size, transform):
        """See `Source.render`."""
        return self.whole.render(tf.gather(tf.constant(self.indices, tf.int64), indices), seeds, size, transform)


def divide(test: kms.sources.Source, count: int | None) -> tuple[Part | None, Part]:
    """Return the examples that fit the cascade, None for no cascade, and the others.

    Of arrays the first ones fit it. Files lie in the order of their classes, so of those it gets some of every class,
    the same ones in every call.

    Args:
        test: the test set.
        count: how many fit the cascade, 0 for no cascade; unless given, half of the test set, or none of a source whose
            images cannot be had as they are.

    Raises:
        ValueError: a count that leaves no others, or of such a source.
    """
    everything = np.arange(test.num_examples)
    if count is not None and not 0 <= count < test.num_examples:
        raise ValueError(f"cascade_examples must lie in [0, {test.num_examples}), the test set, got {count}")
    if not isinstance(test, WITH_IMAGES):
        if count:
            raise ValueError(f"cascade_examples must be 0 for a {type(test).__name__}, got {count}")
        return None, Part(test, everything)
    encoded = isinstance(test, kms.sources.EncodedSource)
    if count is None:
        count = min(test.num_examples // 2, FILES) if encoded else test.num_examples // 2
    order = np.random.default_rng(0).permutation(everything) if encoded else everything
    fitting, rest = (Part(test, np.sort(part)) for part in (order[:count], order[count:]))
    return fitting if count else None, rest


def images_of(part: Part, indices: slice = slice(None)) -> np.ndarray | list[bytes]:
    """Return the images as they are: an array `[N, H, W, C]`, or encoded files as bytes.

    Args:
        part: of an array source or of encoded images.
        indices: which ones of the part.
    """
    chosen = part.indices[indices]
    if isinstance(part.whole, kms.sources.ArraySource):
        return part.whole.images[chosen]
    return [part.whole.read(tf.constant(index, tf.int64)).numpy() for index in chosen]


def pixels_of(source: kms.sources.Source, count: int, size: int) -> np.ndarray:
    """Return some whole images from all over a source: float32 `[count, size, size, C]` in [0, 1], or all it has."""
    indices = np.unique(np.linspace(0, source.num_examples - 1, count).astype(np.int64))
    seeds = tf.zeros([len(indices)], tf.uint32)
    pixels = source.render(tf.constant(indices), seeds, tf.constant(size), Transform(WholeImage(), decode="exact"))
    return to_float(pixels).numpy()


def classes_of(part: Part) -> np.ndarray:
    """Return the labels as integers `[N]`."""
    return part.labels.argmax(-1) if part.labels.ndim == 2 else part.labels


def reached(served: kms.serving.ServedModel, part: Part) -> dict:
    """Return what an export's cascade reaches on examples that did not fit it: accuracy, and share of second looks."""
    limit = served.manifest["input"]["max_batch"]
    batches = (images_of(part, slice(low, low + limit)) for low in range(0, part.num_examples, limit))
    answers = [served.predict_cascade(batch) for batch in batches]
    labels = np.concatenate([answer.labels[:, 0] for answer in answers])
    sizes = np.concatenate([answer.sizes for answer in answers])
    accuracy = Accuracy.of(int((labels == classes_of(part)).sum()), len(labels))
    second = float((sizes == served.manifest["cascade"]["large"]).mean())
    return {"fitted": served.manifest["cascade"], "accuracy": dataclasses.asdict(accuracy), "share": second}


def write_samples(part: Part, folder: pathlib.Path) -> None:
    """Write the first image of each class, of 24 classes at most: the file itself, or an array as PNG.

    Args:
        part: of an array source or of encoded images.
        folder: made if it does not exist.
    """
    folder.mkdir(exist_ok=True)
    labels, first = np.unique(classes_of(part), return_index=True)
    for label, index in list(zip(labels, first))[:SAMPLES]:
        name = re.sub(r"\W+", " ", part.class_names[label]) if part.class_names else "class"
        image = images_of(part, slice(index, index + 1))[0]
        if isinstance(image, bytes):
            suffix = ".jpg" if image.startswith(JPEG_START) else ".png"
            (folder / f"{label:04}_{name}{suffix}").write_bytes(image)
        else:
            keras.utils.save_img(folder / f"{label:04}_{name}.png", image, scale=False)
