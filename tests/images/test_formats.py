"""Formats: sizes before decoding, and all pixels, of files as Pillow writes and reads them."""

import io

import numpy as np
import pytest
import tensorflow as tf
from pictures import photograph, saved
from PIL import Image, ImageOps

from keras_mixsize.images import formats


def grey(pixels):
    return np.asarray(Image.fromarray(pixels).convert("L"))


COLOUR, GREY = photograph(33, 57), photograph(33, 57, 1)
CLEAR = np.concatenate([COLOUR, np.full((33, 57, 1), 128, np.uint8)], axis=-1)
EXACT = {
    "png": (saved(COLOUR, "PNG"), COLOUR),
    "bmp": (saved(COLOUR, "BMP"), COLOUR),
    "grey bmp": (saved(GREY, "BMP"), GREY),
    "transparent bmp": (saved(CLEAR, "BMP"), COLOUR),
    "webp": (saved(COLOUR, "WEBP", lossless=True), COLOUR),
    "transparent webp": (saved(CLEAR, "WEBP", lossless=True, exact=True), COLOUR),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_without_loss_are_those_that_were_written(name, channels):
    data, pixels = EXACT[name]
    if channels == 3:
        expected = pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=-1)
        np.testing.assert_array_equal(formats.decode(tf.constant(data), 3), expected)
    else:
        expected = pixels if pixels.ndim == 2 else grey(pixels)
        found = tf.cast(formats.decode(tf.constant(data), 1), tf.float32)
        np.testing.assert_allclose(found[..., 0], expected, atol=1)


@pytest.mark.parametrize("form, mode, options", [("JPEG", None, {}), ("WEBP", None, {"quality": 90}), ("BMP", "P", {})])
def test_pixels_are_those_that_pillow_reads(form, mode, options):
    data = saved(COLOUR, form, mode, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)
    found = tf.cast(formats.decode(tf.constant(data), 3, dct_method="INTEGER_ACCURATE"), tf.float32)
    np.testing.assert_allclose(found, expected, atol=2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_as_pillow_does_unless_told_otherwise(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(COLOUR, exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), np.float32)
    for turned, pixels in ((True, shown), (False, np.asarray(Image.open(io.BytesIO(data)), np.float32))):
        found = formats.decode(tf.constant(data), 3, dct_method="INTEGER_ACCURATE", exif=turned)
        np.testing.assert_allclose(tf.cast(found, tf.float32), pixels, atol=1)
        np.testing.assert_array_equal(formats.image_sides(tf.constant(data), exif=turned), pixels.shape[:2])


def test_sizes_come_from_the_header():
    for data in (*(data for data, _ in EXACT.values()), saved(COLOUR), saved(COLOUR, progressive=True)):
        np.testing.assert_array_equal(formats.image_sides(tf.constant(data)), [33, 57])
        np.testing.assert_array_equal(formats.image_sides(tf.constant(data[:-100])), [33, 57])


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP", "JPEG"])
def test_a_file_that_is_cut_is_refused(form):
    data = saved(COLOUR, form)
    with pytest.raises(tf.errors.InvalidArgumentError):
        formats.decode(tf.constant(data[: len(data) // 3]), 3)
