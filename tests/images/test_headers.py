"""Headers: the size of an image as other decoders see it."""

import io

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.images.headers import Header, read_header


def jpeg(height, width, **options):
    return tf.io.encode_jpeg(np.zeros((height, width, 3), np.uint8), **options).numpy()


@pytest.mark.parametrize("sides", [(1, 1), (20, 300), (700, 33)])
def test_sides_are_those_of_the_encoded_image(sides):
    assert read_header(io.BytesIO(jpeg(*sides))) == Header("jpeg", *sides)
    assert read_header(io.BytesIO(jpeg(*sides, progressive=True))) == Header("jpeg", *sides)
    png = tf.io.encode_png(np.zeros((*sides, 1), np.uint8)).numpy()
    assert read_header(io.BytesIO(png)) == Header("png", *sides)


def test_long_segments_and_fill_bytes_before_the_frame_are_skipped():
    data = jpeg(20, 30)
    comment = b"\xff\xfe" + (60_000).to_bytes(2, "big") + b"\xff\xc0" * 29_999
    assert read_header(io.BytesIO(data[:2] + comment + b"\xff\xff" + data[2:])) == Header("jpeg", 20, 30)


def test_reading_begins_where_the_stream_stands():
    stream = io.BytesIO(b"before" + jpeg(20, 30))
    stream.seek(6)
    assert read_header(stream) == Header("jpeg", 20, 30)


@pytest.mark.parametrize("length", [3, 10, 25, 160])
def test_a_cut_header_has_no_sides(length):
    assert read_header(io.BytesIO(jpeg(20, 30)[:length])) == Header("jpeg", 0, 0)
    assert read_header(io.BytesIO(tf.io.encode_png(np.zeros((2, 3, 1), np.uint8)).numpy()[:20])) == Header("png", 0, 0)


@pytest.mark.parametrize("data", [b"", b"text", b"GIF89a" + bytes(30)])
def test_other_formats_are_named_by_nothing(data):
    assert read_header(io.BytesIO(data)) == Header("", 0, 0)
