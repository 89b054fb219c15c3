"""Mixing: mixup and cutmix of a whole batch, for `Transform(batch_map=...)`; labels become soft.

They draw with `tf.random.stateless_*` from the seed of the batch, each row in its own way, so batches do not depend on
the order of execution and a resumed run is bitwise equal. Every copy of an image is a row of its own.

    train = MixSizeDataset.from_arrays(x, y, regime=regime, batch_map=MixUp(classes=10, alpha=0.2))
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True), ["categorical_accuracy"])
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class MixUp:
    """Mix every image with another one of its batch: x = w x1 + (1 - w) x2, labels alike, w from Beta(alpha, alpha).

    Attributes:
        classes: how many there are; labels become float32 `[N, classes]`.
        alpha: above 0; 0.1 to 0.4 for ImageNet.

    Raises:
        ValueError: no classes, or an alpha that is not above 0.

    Source: Zhang et al., "mixup: beyond empirical risk minimization", arXiv 1710.09412.
    """

    classes: int
    alpha: float = 0.2

    def __post_init__(self):
        _check(self.classes, self.alpha)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mixed images and soft labels.

        Args:
            images: float32 `[N, S, S, C]`.
            labels: integers `[N]` or float32 `[N, classes]`.
            seed: int32 `[2]`.
        """
        share, partner = draw_shares(seed, tf.shape(images)[0], self.alpha), draw_partners(seed, tf.shape(images)[0])
        weight = share[:, None, None, None]
        mixed = weight * images + (1 - weight) * tf.gather(images, partner)
        return mixed, mix_labels(labels, partner, share, self.classes)


@dataclasses.dataclass(frozen=True)
class CutMix:
    """Paste a box of another image of the batch into every image; labels are mixed by the areas.

    The box has a share 1 - w of the area, w from Beta(alpha, alpha), the image's shape, and a centre anywhere in the
    image; what of it lies outside is cut off, and the label's share is that of the pixels pasted.

    Attributes:
        classes: how many there are; labels become float32 `[N, classes]`.
        alpha: above 0.

    Raises:
        ValueError: no classes, or an alpha that is not above 0.

    Source: Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features",
    arXiv 1905.04899.
    """

    classes: int
    alpha: float = 1.0

    def __post_init__(self):
        _check(self.classes, self.alpha)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mixed images and soft labels; see `MixUp`."""
        count, size = tf.shape(images)[0], tf.shape(images)[1]
        partner = draw_partners(seed, count)
        side = tf.sqrt(1 - draw_shares(seed, count, self.alpha))
        rows, columns = (_spans(_stream(seed, stream), side, size) for stream in (2, 3))
        pasted = rows[:, :, None] & columns[:, None, :]
        mixed = tf.where(pasted[..., None], tf.gather(images, partner), images)
        kept = 1 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=[1, 2])
        return mixed, mix_labels(labels, partner, kept, self.classes)


@dataclasses.dataclass(frozen=True)
class OneOf:
    """Apply one of several batch maps to each batch, all equally likely: such as `OneOf(MixUp(10), CutMix(10))`."""

    maps: tuple

    def __init__(self, *maps):
        object.__setattr__(self, "maps", maps)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what the map that the seed chooses returns."""
        choice = tf.random.stateless_uniform([], _stream(seed, 4), 0, len(self.maps), tf.int32)
        return tf.switch_case(choice, [lambda change=change: change(images, labels, seed) for change in self.maps])


def draw_shares(seed: tf.Tensor, count, alpha: float) -> tf.Tensor:
    """Return Beta(alpha, alpha) numbers, the share that each row keeps: float32 `[count]`."""
    gammas = tf.random.stateless_gamma([2, count], _stream(seed, 0), tf.constant(alpha, tf.float32))
    first, second = tf.unstack(tf.maximum(gammas, 1e-30))  # with a small alpha both can underflow to zero
    return first / (first + second)


def draw_partners(seed: tf.Tensor, count) -> tf.Tensor:
    """Return a random permutation of the rows: int32 `[count]`."""
    return tf.argsort(tf.random.stateless_uniform([count], _stream(seed, 1)), stable=True)


def mix_labels(labels: tf.Tensor, partner: tf.Tensor, share: tf.Tensor, classes: int) -> tf.Tensor:
    """Return labels of which each row keeps a share and takes the rest from its partner: float32 `[N, classes]`."""
    soft = tf.one_hot(labels, classes) if labels.dtype.is_integer else tf.ensure_shape(labels, [None, classes])
    return share[:, None] * soft + (1 - share[:, None]) * tf.gather(soft, partner)


def _spans(seed: tf.Tensor, side: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return which pixels of an axis a box of relative length `side` covers, at a random place: bool `[N, size]`."""
    length = tf.cast(size, tf.float32)
    center = tf.floor(tf.random.stateless_uniform(tf.shape(side), seed) * length)
    half = tf.floor(side * length / 2)
    pixel = tf.range(length)
    return (pixel >= (center - half)[:, None]) & (pixel < (center + half)[:, None])


def _stream(seed: tf.Tensor, number: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, number)


def _check(classes: int, alpha: float) -> None:
    if classes < 1:
        raise ValueError(f"classes must be at least 1, got {classes!r}")
    if not alpha > 0:
        raise ValueError(f"alpha must be above 0, got {alpha!r}")
