"""Formats: sizes before decoding, and all pixels."""

import numpy as np
import tensorflow as tf
from pictures import photograph, saved
from PIL import Image

from keras_mixsize.images import formats


def test_sizes_come_from_the_header():
    for data in (
        saved(photograph(33, 57)),
        saved(photograph(33, 57), "PNG"),
        saved(photograph(33, 57), progressive=True),
    ):
        np.testing.assert_array_equal(formats.image_sides(tf.constant(data)), [33, 57])


def test_the_orientation_in_exif_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(photograph(40, 60), exif=exif)
    np.testing.assert_array_equal(formats.image_sides(tf.constant(data)), [40, 60])
    assert formats.decode(tf.constant(data), 3).shape == (40, 60, 3)
