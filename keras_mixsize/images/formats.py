"""Formats: the encoded images that are read, JPEG and PNG: their size before decoding, and all of their pixels.

What becomes of unusual files: grey and RGB are converted to the channels asked for; CMYK becomes RGB, without a colour
profile, and cannot be decoded as grey (TensorFlow lacks it); transparency is dropped, 16-bit PNG keeps its upper 8
bits, the EXIF orientation is ignored. Everything else is refused, whatever its name. Neighbours: `headers` (the first
bytes), `decoding` (only the pixels that windows need).

    image_sides(data)                # int32 [2]: height and width, from the header
    decode(data, channels=3)         # uint8 [H, W, 3]
"""

from __future__ import annotations

import tensorflow as tf

from keras_mixsize.images.headers import PIXEL_LIMIT, is_jpeg, is_png, png_sides


def image_sides(data: tf.Tensor, *, pixel_limit: int = PIXEL_LIMIT) -> tf.Tensor:
    """Return height and width from the header of an encoded image, without decoding it.

    Args:
        data: string scalar, a JPEG or PNG file.
        pixel_limit: largest height times width.

    Returns:
        int32 `[2]`.

    Raises:
        tf.errors.InvalidArgumentError: neither JPEG nor PNG, no readable header, or more pixels than the limit.
    """
    return within_limit(sides_and_channels(data)[None, :2], pixel_limit)[0]


def sides_and_channels(data: tf.Tensor) -> tf.Tensor:
    """Return height, width and channels, 0 for a PNG: int32 `[3]`; fails for anything else."""
    return tf.cond(
        is_jpeg(data), lambda: tf.io.extract_jpeg_shape(data), lambda: tf.pad(_checked_png_sides(data), [[0, 1]])
    )


def within_limit(sides: tf.Tensor, pixel_limit: int) -> tf.Tensor:
    """Return the sides, int32 `[B, 2]`, or fail if one image has no pixels or too many."""
    pixels = tf.reduce_prod(tf.cast(sides, tf.int64), axis=1)
    good = tf.reduce_all((pixels > 0) & (pixels <= pixel_limit))
    message = f"an image must have 1 to {pixel_limit} pixels (pixel_limit), got heights and widths"
    with tf.control_dependencies([tf.debugging.Assert(good, [message, sides], summarize=-1)]):
        return tf.ensure_shape(sides, [None, 2])


def decode(data: tf.Tensor, channels: int, *, dct_method: str = "") -> tf.Tensor:
    """Return all pixels of an encoded JPEG or PNG: uint8 `[H, W, channels]`.

    Args:
        data: string scalar.
        channels: 1 (grey) or 3 (RGB); the image is converted.
        dct_method: `""` (TensorFlow's default, fast) or `"INTEGER_ACCURATE"`, as Pillow decodes.

    Raises:
        tf.errors.InvalidArgumentError: neither JPEG nor PNG, or a damaged file.
    """

    def png():
        # The check fails for other formats, which decode_png would take
        with tf.control_dependencies([_checked_png_sides(data)]):
            return tf.io.decode_png(data, channels)

    return tf.cond(is_jpeg(data), lambda: tf.io.decode_jpeg(data, channels, dct_method=dct_method), png)


def _checked_png_sides(data: tf.Tensor) -> tf.Tensor:
    """Return height and width from a PNG's first chunk, or fail if this is no PNG: int32 `[2]`."""
    png = is_png(data) & (tf.strings.length(data) >= 24)
    with tf.control_dependencies([tf.debugging.Assert(png, ["the image is neither a JPEG nor a PNG file"])]):
        return png_sides(tf.identity(data))
