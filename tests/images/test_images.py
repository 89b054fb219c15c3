"""The public names, and keras_cv as a plug-in."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize import images


def test_every_public_name_is_there_and_documented():
    for name in images.__all__:
        assert getattr(images, name).__doc__, name


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("place", ["image_map", "batch_map"])
def test_rand_augment_of_keras_cv_keeps_the_shape(place):
    pixels = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    transform = images.Transform(**{place: images.rand_augment()})
    changed, _ = transform.finish(tf.constant(pixels), tf.range(4), tf.constant([3, 1, 4, 1], tf.uint32))
    assert changed.shape == pixels.shape and changed.dtype == tf.float32
    assert np.abs(changed - pixels).max() > 0.01
