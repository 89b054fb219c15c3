"""Rendering against tf.image and plain slicing."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.images import rendering as lib
from keras_mixsize.images.augmentations import PadCropFlip, RandomResizedCrop, WholeImage


def some_images(count=3, height=32, width=28, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels)).astype(np.uint8)


def some_seeds(count):
    return tf.cast(np.random.default_rng(1).integers(0, 2**32, count), tf.uint32)


def reference(image, window, size, **options):
    """Cut, pad with black, flip and resize one window with slicing and tf.image."""
    top, left, height, width = (int(side) for side in window[:4])
    margin = 64
    padded = np.pad(image.astype(np.float32) / 255, [(margin, margin), (margin, margin), (0, 0)])
    cut = padded[margin + top : margin + top + height, margin + left : margin + left + width]
    cut = cut[:, ::-1] if window[4] else cut
    return tf.image.resize(cut, [size, size], **options).numpy()


def each_window(windows):
    return zip(*(field.numpy() for field in windows))


@pytest.mark.parametrize("size", [8, 16, 24, 32, 50])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_rendering_equals_cropping_and_resizing(size, antialias, interpolation):
    images, seeds = some_images(), some_seeds(6)
    heights, widths = tf.fill([6], 32.0), tf.fill([6], 28.0)
    # Where a sample falls between two pixels, "nearest" takes the right one, which a flip turns into the left one
    windows = PadCropFlip(padding=4, flip=interpolation != "nearest").windows(heights, widths, seeds)
    rendered = lib.render(tf.constant(images), windows, size, interpolation=interpolation, antialias=antialias)
    tolerance = 2e-3 if interpolation == "bicubic" else 2e-5  # TensorFlow's cubic is a table of 1024 entries
    for number, window in enumerate(each_window(windows)):
        expected = reference(images[number % 3], window, size, method=interpolation, antialias=antialias)
        np.testing.assert_allclose(rendered[number], np.clip(expected, 0, 1), atol=tolerance)


def test_random_resized_crops_render_like_slices():
    images, seeds = some_images(), some_seeds(12)
    windows = RandomResizedCrop().windows(tf.fill([12], 32.0), tf.fill([12], 28.0), seeds)
    rendered = lib.render(tf.constant(images), windows, 16)
    for number, window in enumerate(each_window(windows)):
        np.testing.assert_allclose(
            rendered[number], reference(images[number % 3], window, 16, antialias=True), atol=2e-5
        )


def test_one_image_of_any_size_renders_like_a_batch():
    image = some_images(1, 45, 37)
    windows = PadCropFlip(padding=5).windows(tf.fill([4], 45.0), tf.fill([4], 37.0), some_seeds(4))
    batch = lib.render(tf.constant(image), windows, 24)
    np.testing.assert_allclose(lib.render_windows(tf.constant(image[0]), windows, 24), batch, atol=2e-5)


def test_rendering_compiles_in_xla():
    images = tf.constant(some_images())

    @tf.function(jit_compile=True)
    def compiled(seeds):
        windows = PadCropFlip(padding=4).windows(tf.fill([6], 32.0), tf.fill([6], 28.0), seeds)
        return windows, lib.render(images, windows, 16, antialias=True)

    windows, rendered = compiled(some_seeds(6))
    np.testing.assert_allclose(rendered, lib.render(images, windows, 16), atol=1e-5)


def test_whole_image_at_its_own_size_is_the_image():
    images = some_images(2, 24, 24)
    windows = WholeImage().windows(tf.fill([2], 24.0), tf.fill([2], 24.0), some_seeds(2))
    np.testing.assert_allclose(lib.render(tf.constant(images), windows, 24), images / np.float32(255), atol=1e-6)


@pytest.mark.parametrize("antialias", [True, False])
def test_resize_is_tf_image_resize_in_unit_range(antialias):
    images = some_images(2, 30, 40)
    expected = tf.image.resize(images, [20, 20], antialias=antialias) / 255
    np.testing.assert_allclose(lib.resize(tf.constant(images), 20, antialias=antialias), expected, atol=1e-5)


def test_uint8_and_float_images_render_alike():
    images = some_images(2, 16, 16)
    np.testing.assert_allclose(
        lib.resize(tf.constant(images), 16), lib.resize(tf.constant(images / np.float32(255)), 16), atol=1e-6
    )


@pytest.mark.parametrize("size", [10, 24, 50])
@pytest.mark.parametrize("antialias", [True, False])
def test_resizing_on_the_device_compiles_and_is_that_of_tf_image(size, antialias):
    images = tf.constant(some_images())

    @tf.function(jit_compile=True)
    def step(images):
        with tf.GradientTape() as tape:
            pixels = tf.image.convert_image_dtype(images, tf.float32)
            tape.watch(pixels)
            resized = lib.resize_on_device(pixels, size, antialias=antialias)
        return resized, tape.gradient(resized, pixels)

    resized, gradient = step(images)
    np.testing.assert_allclose(resized, lib.resize(images, size, antialias=antialias), atol=2e-5)
    np.testing.assert_allclose(tf.reduce_sum(gradient), 3 * 3 * size**2, rtol=1e-4)  # each output's weights sum to one
