"""Format and size of an encoded image from its first bytes, in plain Python: for what is learnt of files once.

`batch_headers` reads the same inside the input graph. Used by `listing` and `tfrecords`.

    with open("photo.jpg", "rb") as stream:
        read_header(stream)                    # Header(format='jpeg', height=375, width=500)
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

import tensorflow as tf

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"
_HEAD = 34  # bytes that hold the sides of all formats but JPEG
PIXEL_LIMIT = 178_000_000  # height times width; what Pillow refuses as a decompression bomb, too
BMP_BITS = (8, 24, 32)  # of a pixel, that TensorFlow decodes
NO_FRAME = {0xC4, 0xC8, 0xCC}  # markers among the frame headers C0..CF that are none


class Header(NamedTuple):
    """What an image says of itself: format "jpeg", "png", "webp", "bmp" or ""; sides as stored, 0 where unreadable."""

    format: str
    height: int
    width: int


def read_header(stream: BinaryIO) -> Header:
    """Return format and size of the image that begins at the stream's position; it reads no more than the header."""
    start = stream.read(_HEAD)
    if start.startswith(JPEG_START):
        stream.seek(2 - len(start), 1)
        return Header("jpeg", *_jpeg_sides(stream))
    if start.startswith(PNG_START):
        return Header("png", *(struct.unpack(">II", start[16:24])[::-1] if len(start) >= 24 else (0, 0)))
    if start.startswith(b"RIFF") and start[8:15] == b"WEBPVP8":
        return _webp_header(start)
    return _bmp_header(start) if start.startswith(b"BM") and len(start) == _HEAD else Header("", 0, 0)


def _webp_header(start: bytes) -> Header:
    """Return the header of a WebP image, none if it is an animation. Source: RFC 9649."""
    if len(start) < 30:
        return Header("webp", 0, 0)
    kind, bits = start[15:16], int.from_bytes(start[21:25], "little")
    if kind == b"X":
        width, height = (int.from_bytes(start[first : first + 3], "little") + 1 for first in (24, 27))
        return Header("", 0, 0) if start[20] & 2 else Header("webp", height, width)
    if kind == b"L":
        return Header("webp", (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    return Header("webp", *(int.from_bytes(start[first : first + 2], "little") & 0x3FFF for first in (28, 26)))


def _bmp_header(start: bytes) -> Header:
    """Return the header of a BMP image, none if it is one that TensorFlow cannot decode."""
    size, width, height, _, bits, packing = struct.unpack("<IiiHHI", start[14:_HEAD])
    plain = size >= 40 and bits in BMP_BITS and (packing == 0 or (packing == 3 and bits == 32))
    return Header("bmp", abs(height), width) if plain else Header("", 0, 0)


def _jpeg_sides(stream: BinaryIO) -> tuple[int, int]:
    """Return (height, width) from the first frame header after the start of the image, (0, 0) if there is none.

    Source: ITU-T T.81, annex B.
    """
    while len(segment := stream.read(4)) == 4 and segment[0] == 0xFF:
        marker, length = segment[1], struct.unpack(">H", segment[2:])[0]
        if marker == 0xFF:  # a fill byte
            stream.seek(-3, 1)
        elif 0xC0 <= marker <= 0xCF and marker not in NO_FRAME:
            sides = stream.read(5)[1:]
            return struct.unpack(">HH", sides) if len(sides) == 4 else (0, 0)
        else:
            stream.seek(length - 2, 1)
    return 0, 0


# Inside the input graph


def is_jpeg(data: tf.Tensor) -> tf.Tensor:
    """Return whether an encoded image, string scalar, begins as a JPEG does: bool scalar."""
    return tf.strings.substr(data, 0, len(JPEG_START)) == JPEG_START
