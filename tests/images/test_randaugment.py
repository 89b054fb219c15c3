"""RandAugment's operations against Pillow, and its draws."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

import keras_mixsize as kms
from keras_mixsize.images.randaugment import OPERATIONS, RandAugment, apply_operation

NAMES = list(OPERATIONS)


def some_image(channels=3, size=24):
    y, x = np.mgrid[:size, :size] / size
    planes = [60 + 120 * x * y, 200 - 150 * y, 90 + 80 * np.sin(9 * x)][:channels]
    noise = np.random.default_rng(0).integers(0, 30, (size, size, channels))
    return (np.stack(planes, axis=-1) + noise).astype(np.uint8)


def applied(name, strength, image):
    result = apply_operation(
        tf.constant(image / np.float32(255)), tf.constant(NAMES.index(name)), tf.constant(strength)
    )
    return 255 * result.numpy()


PILLOW = {
    "identity": lambda image, s: image,
    "autocontrast": lambda image, s: ImageOps.autocontrast(image),
    "equalize": lambda image, s: ImageOps.equalize(image),
    "solarize": lambda image, s: ImageOps.solarize(image, round(255 * (1 - abs(s)))),
    "posterize": lambda image, s: ImageOps.posterize(image, 8 - round(4 * abs(s))),
    "color": lambda image, s: ImageEnhance.Color(image).enhance(1 + 0.9 * s),
    "contrast": lambda image, s: ImageEnhance.Contrast(image).enhance(1 + 0.9 * s),
    "brightness": lambda image, s: ImageEnhance.Brightness(image).enhance(1 + 0.9 * s),
    "sharpness": lambda image, s: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * s),
    "rotate": lambda image, s: image.rotate(30 * s, Image.BILINEAR),
}


@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.parametrize("strength", [-0.8, 0.4, 1.0])
def test_operations_are_those_of_pillow(name, strength):
    image = some_image()
    expected = np.asarray(PILLOW[name](Image.fromarray(image), strength), np.float32)
    difference = np.abs(applied(name, strength, image) - expected)
    assert np.median(difference) <= 1 and np.mean(difference > 3) < (0.1 if name == "rotate" else 0.01)


def test_shears_and_translations_move_what_they_should():
    image = some_image(size=33)
    moved = applied("translate_x", 0.2, image)
    distance = 0.2 * 33 * 150 / 331
    assert np.abs(moved[:, :5] - image[:, 3:8]).mean() < 30 and not moved[:, 33 - int(distance) :].any()
    for name, axis in (("shear_x", 0), ("shear_y", 1)):
        sheared = applied(name, 1.0, image)
        np.testing.assert_allclose(np.take(sheared, 16, axis), np.take(image, 16, axis), atol=1e-3)  # the middle stays
        assert np.abs(np.take(sheared, 2, axis) - np.take(image, 2, axis)).mean() > 3


@pytest.mark.parametrize("name", NAMES)
def test_grey_images_keep_shape_and_range(name):
    changed = applied(name, -0.9, some_image(1))
    assert changed.shape == (24, 24, 1) and changed.min() >= 0 and changed.max() <= 255.01


def test_operations_and_signs_are_drawn_evenly():
    seeds = tf.random.stateless_uniform([14_000, 2], [1, 2], None, None, tf.int32)
    draw = lambda seed: tf.random.stateless_uniform([2], seed, 0, len(OPERATIONS), tf.int32)  # noqa: E731
    counts = np.bincount(tf.vectorized_map(draw, seeds).numpy().ravel(), minlength=14)
    assert ((counts - 2000) ** 2 / 2000).sum() < 34.5  # chi-square, 13 degrees of freedom, one in a thousand


def test_strength_zero_and_no_layers_change_nothing():
    image = tf.constant(some_image() / np.float32(255))
    np.testing.assert_array_equal(RandAugment(layers=0)(image, tf.constant([1, 2])), image)
    for name in ("brightness", "color", "contrast", "sharpness", "rotate", "shear_x", "translate_y", "posterize"):
        np.testing.assert_allclose(applied(name, 0.0, some_image()), some_image(), atol=1e-2)


def test_batches_repeat_for_any_number_of_parallel_calls_and_copies_differ(small_arrays, regime):
    runs = []
    for calls in (1, 8):
        options = {"image_map": RandAugment(2, 9), "parallel_calls": calls}
        data = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, **options)
        runs.append([batch.numpy() for batch, _ in data.take(4)])
    for images, again in zip(*runs):
        np.testing.assert_array_equal(images, again)
        assert not np.array_equal(images[0], images[len(images) // 2])


@pytest.mark.parametrize(
    "options, message", [({"layers": -1}, "layers must not"), ({"magnitude": 11}, "0 to 10, got 11")]
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**options)
