"""Windows: how they are spread, and that they lie where they should."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.images import augmentations as lib
from keras_mixsize.images.augmentations import PadCropFlip, RandomResizedCrop, WholeImage


def some_seeds(count):
    return tf.cast(np.random.default_rng(1).integers(0, 2**32, count), tf.uint32)


def test_uniform_is_uniform_and_its_draws_are_independent():
    seeds = some_seeds(50_000)
    first, second = lib.uniform(seeds, 0).numpy(), lib.uniform(seeds, 1).numpy()
    assert first.min() >= 0 and first.max() < 1
    counts, _ = np.histogram(first, 20, (0, 1))
    assert ((counts - 2500) ** 2 / 2500).sum() < 43.8  # chi-square, 19 degrees of freedom, one in a thousand
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


def test_pad_crop_offsets_and_flips_are_evenly_spread():
    count = 40_500
    windows = PadCropFlip(padding=4).windows(tf.fill([count], 32.0), tf.fill([count], 32.0), some_seeds(count))
    for offsets in (windows.top.numpy(), windows.left.numpy()):
        counts = np.bincount(offsets.astype(int) + 4, minlength=9)
        assert len(counts) == 9 and ((counts - 4500) ** 2 / 4500).sum() < 26.1  # 8 degrees of freedom
    assert abs(windows.mirrored.numpy().mean() - 0.5) < 0.01


def test_random_resized_crops_lie_inside_and_cover_the_areas_asked_for():
    count = 5000
    heights, widths = tf.fill([count], 60.0), tf.fill([count], 90.0)
    windows = RandomResizedCrop(area=(0.25, 0.5)).windows(heights, widths, some_seeds(count))
    top, left, height, width = (field.numpy() for field in windows[:4])
    assert (top >= 0).all() and (left >= 0).all() and (top + height <= 60).all() and (left + width <= 90).all()
    area = height * width / (60 * 90)
    assert area.min() > 0.24 and area.max() < 0.51 and abs(area.mean() - 0.375) < 0.01
    ratio = width / height
    assert ratio.min() > 0.72 and ratio.max() < 1.38


def test_flip_can_be_switched_off():
    for augmentation in (PadCropFlip(flip=False), RandomResizedCrop(flip=False), WholeImage()):
        windows = augmentation.windows(tf.fill([64], 32.0), tf.fill([64], 32.0), some_seeds(64))
        assert not windows.mirrored.numpy().any()


def test_augmentations_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="padding must not be negative, got -3"):
        PadCropFlip(padding=-3)
    with pytest.raises(ValueError, match=r"area must be two shares.*\(2, 1\)"):
        RandomResizedCrop(area=(2, 1))
    with pytest.raises(ValueError, match=r"ratio must be two numbers.*\(0, 1\)"):
        RandomResizedCrop(ratio=(0, 1))
