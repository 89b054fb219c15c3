"""Format and size of a JPEG or PNG image from its first bytes: in plain Python, and inside the input graph.

In Python for the caches that `records` and `manifest` build once; in the graph for `damage` and `decoding`.

    with open("photo.jpg", "rb") as stream:
        read_header(stream)                    # Header(format='jpeg', height=375, width=500)
    is_jpeg(data), png_sides(data)             # tensors, from a string scalar
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

import tensorflow as tf

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"
PIXEL_LIMIT = 178_000_000  # height times width; what Pillow refuses as a decompression bomb, too
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # markers among the frame headers C0..CF that are none


class Header(NamedTuple):
    """What an image says of itself: `format` is `"jpeg"`, `"png"` or `""`; sides in pixels, 0 where unreadable."""

    format: str
    height: int
    width: int


def read_header(stream: BinaryIO) -> Header:
    """Return format and size of the image that begins at the stream's position; it reads no more than the header."""
    start = stream.read(24)
    if start.startswith(PNG_START):
        return Header("png", *struct.unpack(">II", start[16:24])[::-1]) if len(start) == 24 else Header("png", 0, 0)
    if not start.startswith(JPEG_START):
        return Header("", 0, 0)
    stream.seek(2 - len(start), 1)
    return Header("jpeg", *_jpeg_sides(stream))


def _jpeg_sides(stream: BinaryIO) -> tuple[int, int]:
    """Return (height, width) from the first frame header after the start of the image, (0, 0) if there is none.

    Source: ITU-T T.81, annex B.
    """
    while len(segment := stream.read(4)) == 4 and segment[0] == 0xFF:
        marker, length = segment[1], struct.unpack(">H", segment[2:])[0]
        if marker == 0xFF:  # a fill byte
            stream.seek(-3, 1)
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            sides = stream.read(5)[1:]
            return struct.unpack(">HH", sides) if len(sides) == 4 else (0, 0)
        else:
            stream.seek(length - 2, 1)
    return 0, 0


# Inside the input graph


def is_jpeg(data: tf.Tensor) -> tf.Tensor:
    """Return whether an encoded image, string scalar, begins as a JPEG does: bool scalar."""
    return tf.strings.substr(data, 0, len(JPEG_START)) == JPEG_START


def is_png(data: tf.Tensor) -> tf.Tensor:
    """Return whether an encoded image, string scalar, begins as a PNG does: bool scalar."""
    return tf.strings.substr(data, 0, len(PNG_START)) == PNG_START


def png_sides(data: tf.Tensor) -> tf.Tensor:
    """Return (height, width) of a PNG, string scalar: int32 `[2]`.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, if it ends before its first chunk.

    Source: the PNG specification, chunk IHDR.
    """
    width_height = tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)
    return tf.ensure_shape(width_height, [2])[::-1]
