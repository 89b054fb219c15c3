"""Examples: test images at any size, with their labels, in batches, from whatever a user has.

Used by `evaluate`. Neighbours: the rooms `sources` and `images`.

    at_size = batches_of((images, labels), batch=256, view=View(WholeImage()))
    for images, labels in at_size(24): ...              # [N, 24, 24, C] float32 in [0, 1]
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from keras_mixsize.arguments import check_choice
from keras_mixsize.images.augmentations import Augmentation
from keras_mixsize.images.rendering import render_windows
from keras_mixsize.images.transform import INTERPOLATION, Transform
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.sources.arrays import ArraySource
from keras_mixsize.sources.source import Source

Examples: TypeAlias = (
    tuple[np.ndarray, np.ndarray] | Source | tf.data.Dataset
)  # what a model is tested on; see `batches_of`


@dataclasses.dataclass(frozen=True)
class View:
    """How a test image is looked at.

    Attributes:
        window: what of it.
        interpolation: of the resize.
        antialias: of the resize.

    Raises:
        ValueError: an unknown interpolation.
    """

    window: Augmentation
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self):
        check_choice("interpolation", self.interpolation, INTERPOLATION)


def batches_of(data: Examples, batch: int, view: View) -> Callable[[int], Iterable]:
    """Return the function of a size that gives the batches of (images `[N, S, S, C]`, labels).

    Args:
        data: arrays `(images, labels)`, a `Source`, or a tf.data pipeline of single examples `(image, label)`.
        batch: images at a time.
        view: how they are looked at.

    Raises:
        ValueError: other data.
    """
    if isinstance(data, tuple) and len(data) == 2:
        data = ArraySource(*data)
    if isinstance(data, Source):
        transform = Transform(view.window, view.interpolation, view.antialias, decode="exact")
        render = tf.function(
            functools.partial(data.render, transform=transform), reduce_retracing=True, autograph=False
        )
        return functools.partial(_of_source, data, render, batch)
    if isinstance(data, tf.data.Dataset):
        return functools.partial(_of_pipeline, data, batch, view)
    raise ValueError(f"data must be (images, labels), a Source or a tf.data.Dataset of examples, got {type(data)}")


def check_class_names(data: Examples, training: object) -> None:
    """Raise a ValueError if both data sets name their classes, and not the same ones in the same order.

    Args:
        data: to test with, of `batches_of`.
        training: a MixSizeDataset, or anything else, whose classes are not known.
    """
    if not isinstance(data, Source) or not isinstance(training, MixSizeDataset):
        return
    tested, trained = data.class_names, training.source.class_names
    if tested is None or trained is None or tuple(tested) == tuple(trained):
        return
    differing = [f"{name!r} is only in the one" for name in tested if name not in trained]
    differing += [f"{name!r} only in the other" for name in trained if name not in tested]
    what = ", ".join(differing[:3]) or "they stand in another order"
    raise ValueError(
        f"data must have the classes of the training data in their order, got {len(tested)} and {len(trained)} "
        f"classes: {what}; give sources.folder(test, class_names=train.source.class_names)"
    )


def _of_source(source: Source, render, batch: int, size: int) -> Iterator[tuple[tf.Tensor, np.ndarray]]:
    for low in range(0, source.num_examples, batch):
        indices = np.arange(low, min(low + batch, source.num_examples))
        images = render(tf.constant(indices), tf.zeros(len(indices), tf.uint32), tf.constant(size))
        yield images, tf.nest.map_structure(lambda labels, rows=indices: labels[rows], source.labels)


def _of_pipeline(dataset: tf.data.Dataset, batch: int, view: View, size: int) -> Iterable:
    image_spec = dataset.element_spec[0] if isinstance(dataset.element_spec, tuple) else None
    if image_spec is None or image_spec.shape.rank != 3 or dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "data must be a finite tf.data.Dataset of single examples (image [H, W, C], label), got elements "
            f"{dataset.element_spec}; use .unbatch() on batches"
        )

    def resized(image, label):
        height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32)[:, None])
        windows = view.window.windows(height, width, tf.zeros([1], tf.uint32))
        options = {"interpolation": view.interpolation, "antialias": view.antialias}
        return render_windows(image, windows, size, **options)[0], label

    return dataset.map(resized, tf.data.AUTOTUNE).batch(batch).prefetch(tf.data.AUTOTUNE)
