"""The user's own maps, dtypes, and refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.images.mixing import MixUp
from keras_mixsize.images.transform import Transform


def some_images(count=3, height=32, width=28, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels)).astype(np.uint8)


def some_seeds(count):
    return tf.cast(np.random.default_rng(1).integers(0, 2**32, count), tf.uint32)


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


def test_bytes_come_out_as_bytes_or_as_their_floats():
    images, labels = tf.constant(some_images()), tf.range(3)
    as_bytes, _ = Transform(dtype="uint8").finish(images, labels, some_seeds(3))
    as_floats, _ = Transform().finish(images, labels, some_seeds(3))
    changed, _ = Transform(image_map=lambda image, seed: 1 - image).finish(images, labels, some_seeds(3))
    np.testing.assert_array_equal(as_bytes, images)
    np.testing.assert_allclose(as_floats, images / np.float32(255), atol=1e-7)
    np.testing.assert_allclose(changed, 1 - as_floats, atol=1e-7)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"interpolation": "lanczos"}, "interpolation must be one of .*'lanczos'"),
        ({"augmentation": "flip"}, "augmentation must be an object with the method windows.*'flip'"),
        ({"dtype": "float64"}, "dtype must be one of .*'float64'"),
        ({"image_map": 3}, "image_map must be a function"),
        ({"batch_map": "flip"}, "batch_map must be a function or a Keras layer"),
        ({"in_step": True, "decode": "exact"}, "in_step must be .* False with image_map, batch_map or decode='exact'"),
        ({"in_step": True, "batch_map": MixUp(10)}, "in_step must be .* False with image_map"),
        ({"in_step": "no"}, "in_step must be False or True.*'no'"),
    ],
)
def test_transform_refuses_what_it_does_not_know(options, message):
    with pytest.raises(ValueError, match=message):
        Transform(**options)


def test_exif_is_a_bool():
    with pytest.raises(ValueError, match="exif must be False or True, got 'yes'"):
        Transform(exif="yes")
