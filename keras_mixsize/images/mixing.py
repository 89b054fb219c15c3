"""Mixing: mixup, cutmix and label smoothing of a whole batch, for `Transform(batch_map=...)`; labels become soft.

They draw with `tf.random.stateless_*` from the seed of the batch, each row in its own way, so batches do not depend on
the order of execution and a resumed run is bitwise equal. Every copy of an image is a row of its own.

    train = MixSizeDataset.from_arrays(x, y, regime=regime, batch_map=MixUp(classes=10, alpha=0.2))
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True), ["categorical_accuracy"])
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from keras_mixsize.arguments import check_count
from keras_mixsize.images.size_values import value_at
from keras_mixsize.regimes.by_size import BySize, literals

_LEAST_ALPHA = 1e-3  # in its place at sizes where alpha is 0: Beta is then 0 or 1, so images stay whole


@dataclasses.dataclass(frozen=True)
class MixUp:
    """Mix every image with another one of its batch: x = w x1 + (1 - w) x2, labels alike, w from Beta(alpha, alpha).

    Attributes:
        classes: how many there are; labels become float32 `[N, classes]`.
        alpha: above 0; 0.1 to 0.4 for ImageNet. Or a `BySize`, which may be 0 where nothing is mixed.

    Raises:
        ValueError: no classes, or an alpha that is not above 0.

    Source: Zhang et al., "mixup: beyond empirical risk minimization", arXiv 1710.09412.
    """

    classes: int
    alpha: float | BySize = 0.2

    def __post_init__(self):
        _check(self.classes, self.alpha)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mixed images and soft labels.

        Args:
            images: float32 `[N, S, S, C]`.
            labels: integers `[N]` or float32 `[N, classes]`.
            seed: int32 `[2]`.
        """
        count, size = tf.shape(images)[0], tf.shape(images)[1]
        share, partner = draw_shares(seed, count, value_at(self.alpha, size)), draw_partners(seed, count)
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
        alpha: above 0, or a `BySize`; see `MixUp`.

    Raises:
        ValueError: no classes, or an alpha that is not above 0.

    Source: Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features",
    arXiv 1905.04899.
    """

    classes: int
    alpha: float | BySize = 1.0

    def __post_init__(self):
        _check(self.classes, self.alpha)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mixed images and soft labels; see `MixUp`."""
        count, size = tf.shape(images)[0], tf.shape(images)[1]
        partner = draw_partners(seed, count)
        side = tf.sqrt(1 - draw_shares(seed, count, value_at(self.alpha, size)))
        rows, columns = (_spans(_stream(seed, stream), side, size) for stream in (2, 3))
        pasted = rows[:, :, None] & columns[:, None, :]
        mixed = tf.where(pasted[..., None], tf.gather(images, partner), images)
        kept = 1 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=[1, 2])
        return mixed, mix_labels(labels, partner, kept, self.classes)


@dataclasses.dataclass(frozen=True)
class SmoothLabels:
    """Spread a share of every label over all classes, and leave the images as they are.

    Attributes:
        classes: how many there are; labels become float32 `[N, classes]`.
        amount: the share, in [0, 1), or a `BySize` of it.

    Raises:
        ValueError: no classes, or a share out of range.

    Source: Szegedy et al., "Rethinking the Inception architecture", arXiv 1512.00567, section 7.
    """

    classes: int
    amount: float | BySize = 0.1

    def __post_init__(self):
        check_count("classes", self.classes)
        if not all(0 <= amount < 1 for amount in literals(self.amount)):
            raise ValueError(f"amount must be a share in [0, 1), got {self.amount!r}")

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the images and soft labels; see `MixUp`."""
        del seed
        amount, soft = value_at(self.amount, tf.shape(images)[1]), soften(labels, self.classes)
        return images, (1 - amount) * soft + amount / self.classes


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


def draw_shares(seed: tf.Tensor, count, alpha: float | tf.Tensor) -> tf.Tensor:
    """Return Beta(alpha, alpha) numbers, the share that each row keeps: float32 `[count]`.

    Of two Gamma(alpha) numbers x and y, x / (x + y) is one. They are made as Gamma(alpha + 1) * U^(1 / alpha), in
    logarithms, because with a small alpha both would underflow to zero.

    Source: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000, section 6.
    """
    alpha = tf.maximum(tf.cast(alpha, tf.float32), _LEAST_ALPHA)
    gammas = tf.random.stateless_gamma([2, count], _stream(seed, 0), alpha + 1)
    uniforms = tf.maximum(tf.random.stateless_uniform([2, count], _stream(seed, 5)), 1e-30)
    first, second = tf.unstack(tf.math.log(gammas) + tf.math.log(uniforms) / alpha)
    return tf.sigmoid(first - second)


def draw_partners(seed: tf.Tensor, count) -> tf.Tensor:
    """Return a random permutation of the rows: int32 `[count]`."""
    return tf.argsort(tf.random.stateless_uniform([count], _stream(seed, 1)), stable=True)


def mix_labels(labels: tf.Tensor, partner: tf.Tensor, share: tf.Tensor, classes: int) -> tf.Tensor:
    """Return labels of which each row keeps a share and takes the rest from its partner: float32 `[N, classes]`."""
    soft = soften(labels, classes)
    return share[:, None] * soft + (1 - share[:, None]) * tf.gather(soft, partner)


def soften(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Return labels as float32 `[N, classes]`: integers `[N]` as one-hot, soft ones as they are."""
    return tf.one_hot(labels, classes) if labels.dtype.is_integer else tf.ensure_shape(labels, [None, classes])


def _spans(seed: tf.Tensor, side: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return which pixels of an axis a box of relative length `side` covers, at a random place: bool `[N, size]`."""
    length = tf.cast(size, tf.float32)
    center = tf.floor(tf.random.stateless_uniform(tf.shape(side), seed) * length)
    half = tf.floor(side * length / 2)
    pixel = tf.range(length)
    return (pixel >= (center - half)[:, None]) & (pixel < (center + half)[:, None])


def _stream(seed: tf.Tensor, number: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, number)


def _check(classes: int, alpha: float | BySize) -> None:
    check_count("classes", classes)
    if isinstance(alpha, BySize) and min(alpha.values) < 0:
        raise ValueError(f"alpha must not be negative, got {alpha!r}")
    if not isinstance(alpha, BySize) and not alpha > 0:
        raise ValueError(f"alpha must be above 0, got {alpha!r}")
