"""Windows and rendering against tf.image and plain slicing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize import images as lib
from keras_mixsize.images import PadCropFlip, RandomResizedCrop, Transform, WholeImage


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


# The user's own maps


def finished(transform, count=4):
    images = tf.constant(some_images(count, 8, 8) / np.float32(255))
    return images, *transform.finish(images, tf.range(count), some_seeds(count))


def test_image_map_gets_each_image_with_its_own_seed():
    def brighten(image, seed):
        return tf.image.stateless_random_brightness(image, 0.3, seed)

    images, changed, labels = finished(Transform(image_map=brighten))
    shifts = (changed - images).numpy().reshape(4, -1)
    assert np.ptp(shifts, axis=1).max() < 1e-5 and np.ptp(shifts[:, 0]) > 0.01
    np.testing.assert_array_equal(changed, finished(Transform(image_map=brighten))[1])
    np.testing.assert_array_equal(labels, range(4))


def test_batch_map_may_change_images_and_labels():
    _, changed, labels = finished(Transform(batch_map=lambda images, labels, seed: (1 - images, labels + 10)))
    images = finished(Transform())[0]
    np.testing.assert_allclose(changed, 1 - images)
    np.testing.assert_array_equal(labels, range(10, 14))


@pytest.mark.parametrize("place", ["image_map", "batch_map"])
def test_a_keras_layer_is_a_map(place):
    images, changed, _ = finished(Transform(**{place: keras.layers.RandomFlip("vertical", seed=1)}))
    assert changed.shape == images.shape
    rows = np.sort(changed.numpy().sum(axis=(2, 3)), axis=1)
    np.testing.assert_allclose(rows, np.sort(images.numpy().sum(axis=(2, 3)), axis=1), atol=1e-5)


def test_uint8_output_is_the_rounded_float_output():
    images, changed, _ = finished(Transform(dtype="uint8"))
    assert changed.dtype == tf.uint8
    np.testing.assert_array_equal(changed, np.round(images * 255))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"interpolation": "lanczos"}, "interpolation must be one of .*'lanczos'"),
        ({"augmentation": "flip"}, "augmentation must be an object with the method windows.*'flip'"),
        ({"dtype": "float64"}, "dtype must be one of .*'float64'"),
        ({"image_map": 3}, "image_map must be a function"),
        ({"batch_map": "flip"}, "batch_map must be a function or a Keras layer"),
    ],
)
def test_transform_refuses_what_it_does_not_know(options, message):
    with pytest.raises(ValueError, match=message):
        Transform(**options)


def test_augmentations_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="padding must not be negative, got -3"):
        PadCropFlip(padding=-3)
    with pytest.raises(ValueError, match=r"area must be two shares.*\(2, 1\)"):
        RandomResizedCrop(area=(2, 1))
    with pytest.raises(ValueError, match=r"ratio must be two numbers.*\(0, 1\)"):
        RandomResizedCrop(ratio=(0, 1))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("place", ["image_map", "batch_map"])
def test_rand_augment_of_keras_cv_keeps_the_shape(place):
    images, changed, _ = finished(Transform(**{place: lib.rand_augment()}))
    assert changed.shape == images.shape and changed.dtype == tf.float32
    assert float(tf.reduce_max(tf.abs(changed - images))) > 0.01
