"""What depends on the size in the input: each option at a size equals the same option with that size's number."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mixsize as kms
from keras_mixsize.images.augmentations import PadCropFlip, RandomResizedCrop, draw_windows
from keras_mixsize.images.mixing import CutMix, MixUp, SmoothLabels
from keras_mixsize.images.randaugment import RandAugment
from keras_mixsize.images.size_values import value_at
from keras_mixsize.regimes import BySize

SEEDS = tf.cast(tf.range(200), tf.uint32)
SIDES = tf.fill([200], 64.0)


def test_the_graph_agrees_with_numpy():
    rate = BySize({8: 1.0, 16: 4.0, 40: -2.0})
    sizes = range(1, 60)
    found = tf.map_fn(lambda size: value_at(rate, size), tf.constant(sizes), fn_output_signature=tf.float32)
    np.testing.assert_allclose(found, [rate(size) for size in sizes], rtol=1e-6)
    assert value_at(BySize({8: 3.0}), 4) == 3.0
    assert value_at(0.5, 4) == 0.5


@pytest.mark.parametrize(
    "by_size, at_24",
    [
        (PadCropFlip(padding=BySize({16: 2, 32: 8})), PadCropFlip(padding=5)),
        (RandomResizedCrop(area=(BySize({16: 0.5, 32: 0.1}), 1.0)), RandomResizedCrop(area=(0.3, 1.0))),
    ],
)
def test_windows_follow_the_size(by_size, at_24):
    found = draw_windows(by_size, SIDES, SIDES, SEEDS, tf.constant(24))
    for mine, theirs in zip(found, at_24.windows(SIDES, SIDES, SEEDS)):
        np.testing.assert_array_equal(mine, theirs)
    other = draw_windows(by_size, SIDES, SIDES, SEEDS, tf.constant(32))
    assert not np.array_equal(other.top, found.top)


@pytest.mark.parametrize(
    "by_size, at_24",
    [
        (MixUp(3, alpha=BySize({16: 0.1, 32: 0.7})), MixUp(3, alpha=0.4)),
        (CutMix(3, alpha=BySize({16: 0.5, 32: 1.5})), CutMix(3, alpha=1.0)),
        (SmoothLabels(3, amount=BySize({16: 0.0, 32: 0.2})), SmoothLabels(3, amount=0.1)),
    ],
)
def test_batch_maps_follow_the_size(by_size, at_24):
    images, labels = tf.random.stateless_uniform([12, 24, 24, 1], [1, 2]), tf.range(12) % 3
    for mine, theirs in zip(by_size(images, labels, tf.constant([3, 4])), at_24(images, labels, tf.constant([3, 4]))):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_randaugment_follows_the_size():
    image = tf.random.stateless_uniform([24, 24, 3], [1, 2])
    for seed in range(5):
        mine = RandAugment(2, BySize({16: 2, 32: 8}))(image, tf.constant([seed, 4]))
        np.testing.assert_allclose(mine, RandAugment(2, 5)(image, tf.constant([seed, 4])), atol=1e-6)


def test_mixup_leaves_images_whole_where_its_alpha_is_zero():
    images, labels = tf.random.stateless_uniform([64, 8, 8, 1], [1, 2]), tf.range(64)
    mixed, soft = MixUp(64, alpha=BySize({8: 0.0, 16: 0.4}))(images, labels, tf.constant([3, 4]))
    whole = tf.reduce_max(soft, axis=1).numpy() > 0.999
    assert whole.mean() > 0.95
    np.testing.assert_allclose(mixed.numpy()[whole], images.numpy()[np.argmax(soft, 1)][whole], atol=1e-3)


def test_label_smoothing_equals_kerass():
    labels, logits = tf.constant([0, 2, 1]), tf.random.stateless_normal([3, 4], [1, 2])
    _, soft = SmoothLabels(4, 0.2)(tf.zeros([3, 8, 8, 1]), labels, tf.constant([0, 0]))
    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    plain = keras.losses.CategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(plain(soft, logits), keras_loss(tf.one_hot(labels, 4), logits), rtol=1e-6)


def test_every_bucket_of_a_dataset_gets_its_own_padding():
    """White images: the black border shows how far the window was moved."""
    images, labels = np.full((64, 32, 32, 1), 255, np.uint8), np.zeros(64, np.int64)
    regime = kms.Regime.solve({16: 0.5, 32: 0.5}, base_size=32, base_batch=16, grow="batch")
    augmentation = PadCropFlip(padding=BySize({16: 0, 32: 8}))
    train = kms.MixSizeDataset.from_arrays(images, labels, regime=regime, augmentation=augmentation)
    black = {16: 0.0, 32: 0.0}
    for batch, _ in train.take(6):
        black[batch.shape[1]] += float(tf.reduce_mean(tf.cast(batch < 0.5, tf.float32)))
    assert black[16] == 0.0 and black[32] > 0.1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: PadCropFlip(padding=BySize({16: -1, 32: 4})), "padding must not be negative"),
        (lambda: RandomResizedCrop(area=(BySize({16: 0.2, 32: 0.9}), 0.5)), "area must be two shares"),
        (lambda: RandAugment(2, BySize({16: 2, 32: 11})), "magnitude must lie in 0 to 10"),
        (lambda: MixUp(10, BySize({16: -0.1})), "alpha must not be negative"),
        (lambda: SmoothLabels(10, BySize({16: 0.1, 32: 1.0})), r"amount must be a share in \[0, 1\)"),
    ],
)
def test_values_out_of_range_at_any_size_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_windows_without_a_size_are_refused_where_they_depend_on_it():
    with pytest.raises(ValueError, match="padding must be a number where no size is given"):
        PadCropFlip(padding=BySize({16: 2, 32: 4})).windows(SIDES, SIDES, SEEDS)
