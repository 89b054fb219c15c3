"""Formats: the encoded images that are read, JPEG, PNG, WebP and BMP: their size before decoding, and all of their
pixels.

What becomes of unusual files: grey and RGB are converted to the channels asked for; CMYK becomes RGB, without a colour
profile, and cannot be decoded as grey (TensorFlow lacks it); transparency is dropped, 16-bit PNG keeps its upper 8
bits, a JPEG is turned as its Exif orientation says, unless `exif` is False. Everything else is refused, whatever its
name: other formats, animated WebP, and BMP that is compressed or has other than 8, 24 or 32 bits. Neighbours:
`batch_headers` (the first bytes), `orientation`, `decoding` (only the pixels that windows need).

    image_sides(data)                # int32 [2]: height and width as shown, from the header
    decode(data, channels=3)         # uint8 [H, W, 3]
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_mixsize.images.batch_headers import START, UNKNOWN, Headers, parse_headers
from keras_mixsize.images.headers import PIXEL_LIMIT, is_jpeg
from keras_mixsize.images.orientation import shown_sides, turned, turns

NAMES = "JPEG, PNG, WebP (not animated) or BMP (8, 24 or 32 bits, not compressed)"


def image_sides(data: tf.Tensor, *, pixel_limit: int = PIXEL_LIMIT, exif: bool = True) -> tf.Tensor:
    """Return height and width from the header of an encoded image, without decoding it.

    Args:
        data: string scalar, the file.
        pixel_limit: largest height times width.
        exif: return them as the image is shown, see `decode`.

    Returns:
        int32 `[2]`.

    Raises:
        tf.errors.InvalidArgumentError: another format, no readable header, or more pixels than the limit.
    """
    headers = checked_headers(header_of(data), pixel_limit)
    return (shown_sides(headers.sides, headers.orientations) if exif else headers.sides)[0]


def header_of(data: tf.Tensor) -> Headers:
    """Return the header of one encoded image, string scalar, as a batch of one."""
    start, sides = start_of(data)
    return parse_headers(start[None], sides[None])


def start_of(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what `parse_headers` wants of an image: its first bytes, string scalar, and its sides if it is a JPEG."""
    jpeg_sides = tf.cond(is_jpeg(data), lambda: tf.io.extract_jpeg_shape(data)[:2], lambda: tf.zeros([2], tf.int32))
    return tf.strings.substr(data, 0, START), tf.ensure_shape(jpeg_sides, [2])


def checked_headers(headers: Headers, pixel_limit: int) -> Headers:
    """Return the headers, or fail if an image has another format, no pixels or too many."""
    known = tf.reduce_all(headers.formats != UNKNOWN)
    pixels = tf.reduce_prod(tf.cast(headers.sides, tf.int64), axis=1)
    fits = tf.reduce_all((pixels > 0) & (pixels <= pixel_limit))
    message = f"an image must have 1 to {pixel_limit} pixels (pixel_limit), got heights and widths"
    with tf.control_dependencies([tf.debugging.Assert(known, [f"the image is not {NAMES}"])]):
        sides = tf.identity(headers.sides)
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, sides], summarize=-1)]):
        return headers._replace(sides=tf.ensure_shape(tf.identity(sides), [None, 2]))


def decode(data: tf.Tensor, channels: int, *, dct_method: str = "", exif: bool = True) -> tf.Tensor:
    """Return all pixels of an encoded image: uint8 `[H, W, channels]`.

    Args:
        data: string scalar.
        channels: 1 (grey) or 3 (RGB); the image is converted.
        dct_method: `""` (TensorFlow's default, fast) or `"INTEGER_ACCURATE"`, as Pillow decodes.
        exif: turn a JPEG as its Exif data says that it is to be shown, as image viewers do.

    Raises:
        tf.errors.InvalidArgumentError: another format, or a damaged file.
    """
    headers = checked_headers(header_of(data), tf.int64.max)
    decoders = [lambda: tf.io.decode_jpeg(data, channels, dct_method=dct_method), *other_decoders(data, channels)]
    pixels = tf.switch_case(headers.formats[0], decoders)
    pixels.set_shape([None, None, channels])
    return turned(pixels, turns(headers.orientations, [False])[0]) if exif else pixels


def other_decoders(data: tf.Tensor, channels: int) -> list[Callable]:
    """Return functions that return all pixels of a PNG, a WebP and a BMP, in this order: uint8 `[H, W, channels]`."""
    return [
        lambda: tf.io.decode_png(data, channels),
        lambda: _converted(tf.io.decode_webp(data)[0], channels),
        lambda: _converted(_bmp(data), channels),
    ]


def _bmp(data: tf.Tensor) -> tf.Tensor:
    """Return the pixels of a BMP; TensorFlow takes the numbers of colours for grey."""
    pixels = tf.io.decode_bmp(data)

    def coloured():
        offset, size = tf.unstack(tf.io.decode_raw(tf.strings.substr(data, 10, 8), tf.int32), num=2)
        colours = tf.strings.substr(data, 14 + size, tf.maximum(offset - 14 - size, 0))
        colours = tf.reshape(tf.io.decode_raw(colours, tf.uint8, fixed_length=1024), [256, 4])
        return tf.gather(colours[:, 2::-1], tf.cast(pixels[..., 0], tf.int32))

    return tf.cond(tf.equal(tf.shape(pixels)[2], 1), coloured, lambda: pixels[..., :3])


def _converted(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    """Return pixels of 3 or 4 channels with as many as asked for; transparency is dropped."""
    colours = tf.ensure_shape(pixels[..., :3], [None, None, 3])
    return colours if channels == 3 else tf.image.rgb_to_grayscale(colours)
