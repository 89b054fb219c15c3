"""Orientation: windows and pixels are those of the image as Pillow shows it."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from keras_mixsize.images import orientation
from keras_mixsize.images.augmentations import Windows

PIXELS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


def shown(number):
    """Return the pixels as Pillow shows them when they are stored with an orientation."""
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = number
    Image.fromarray(PIXELS).save(stream, "PNG", exif=exif)
    return np.asarray(ImageOps.exif_transpose(Image.open(stream)))


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("mirrored", [False, True])
def test_pixels_are_turned_as_pillow_does(number, mirrored):
    turn = orientation.turns(tf.constant([number]), tf.constant([mirrored]))[0]
    expected = shown(number)[:, ::-1] if mirrored else shown(number)
    np.testing.assert_array_equal(orientation.turned(tf.constant(PIXELS), turn), expected)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_window_of_the_shown_image_is_found_in_the_stored_one(number):
    numbers = tf.constant([number])
    height, width = orientation.shown_sides(tf.constant([[5, 7]]), numbers)[0].numpy()
    assert (height, width) == shown(number).shape[:2]
    window = Windows(*(tf.constant([float(side)]) for side in (1, 0, 3, 2)), tf.constant([False]))
    stored = orientation.stored_windows(window, tf.constant([[5, 7]]), numbers)
    top, left, tall, wide = (int(side[0]) for side in stored[:4])
    cut = tf.constant(PIXELS[top : top + tall, left : left + wide])
    turn = orientation.turns(numbers, tf.constant([False]))[0]
    np.testing.assert_array_equal(orientation.turned(cut, turn), shown(number)[1:4, 0:2])
