"""Batch headers: format, size, orientation and chroma sampling of a batch of encoded images, inside the input graph.

All images of a batch are looked at together, because an operation of TensorFlow costs more than what it does to one
header. Neighbours: `headers` (the same for one file, in Python), `formats` and `decoding` (use it).

    headers = parse_headers(starts, jpeg_sides)         # starts: the first `START` bytes of each file, string [B]
    headers.formats, headers.sides, headers.orientations, headers.chroma
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import tensorflow as tf

from keras_mixsize.images.headers import BMP_BITS, JPEG_START, NO_FRAME, PNG_START

JPEG, PNG, WEBP, BMP = range(4)
UNKNOWN = -1
START = 96 * 1024  # bytes of a file: an Exif segment has at most 64 KiB, and the frame header of most files comes next
_HEAD = 34  # bytes that tell the format, and the sides of all but JPEG
_FRAME = 22  # bytes of a frame header with three components
_ENTRIES = 40  # of an Exif directory; cameras write about 15
_SEGMENTS = 500  # that are followed
_ORIENTATION = 0x0112


class Headers(NamedTuple):
    """What the headers of B images say.

    Attributes:
        formats: int32 `[B]`: `JPEG`, `PNG`, `WEBP`, `BMP` or `UNKNOWN`.
        sides: int32 `[B, 2]`, height and width as they are stored, in pixels.
        orientations: int32 `[B]`, of JPEG's Exif data, 1 to 8; 1, as it is stored, where there is none.
        chroma: int32 `[B, 2]`, by how much less the chroma of a JPEG is sampled along height and width than its luma;
            2 where that is unknown.
    """

    formats: tf.Tensor
    sides: tf.Tensor
    orientations: tf.Tensor
    chroma: tf.Tensor


@functools.partial(
    tf.function, input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None, 2], tf.int32)], autograph=False
)
def parse_headers(starts: tf.Tensor, jpeg_sides: tf.Tensor) -> Headers:
    """Return what the headers say; what cannot be read of them is 0 for sides, and the usual for the rest.

    It is traced once in a process: every graph that reads files has several of it.

    Args:
        starts: string `[B]`, the first bytes of each file.
        jpeg_sides: int32 `[B, 2]`, height and width of those that are JPEG, as `tf.io.extract_jpeg_shape` gives them.
    """
    head, length = _bytes(starts, tf.zeros_like(tf.strings.length(starts)), _HEAD), tf.strings.length(starts)
    formats = _formats(head, length)
    sides = [jpeg_sides, _big_endian(head, [(20, 4), (16, 4)]), _webp_sides(head), tf.abs(_little_endian(head, 22, 18))]
    sides = tf.gather(tf.stack(sides, axis=1), tf.maximum(formats, 0), batch_dims=1)
    frames, exif = _find_segments(starts, tf.equal(formats, JPEG))
    return Headers(formats, sides, _orientations(starts, exif), _chroma(starts, formats, frames))


def _formats(head: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Return the format of each image from its first bytes, int32 `[B, 34]`, and their number."""
    bits, packing = head[:, 28], head[:, 30]
    plain = tf.reduce_any(bits[:, None] == BMP_BITS, axis=1) & ((packing == 0) | ((packing == 3) & (bits == 32)))
    of_type = [
        _begins(head, JPEG_START),
        _begins(head, PNG_START) & (length >= 24),
        _begins(head, b"RIFF") & _begins(head[:, 8:], b"WEBPVP8") & ~_is_animation(head) & (length >= 30),
        _begins(head, b"BM") & (head[:, 14] >= 40) & plain & (length >= _HEAD),
    ]
    found = tf.stack(of_type, axis=1)
    return tf.where(tf.reduce_any(found, axis=1), tf.argmax(found, axis=1, output_type=tf.int32), UNKNOWN)


def _is_animation(head: tf.Tensor) -> tf.Tensor:
    """Return which WebP files are animations: TensorFlow 2.21 overwrites memory that is not its own for them."""
    return _begins(head[:, 12:], b"VP8X") & (head[:, 20] & 2 > 0)


def _webp_sides(head: tf.Tensor) -> tf.Tensor:
    """Return height and width of WebP images, int32 `[B, 2]`. Source: the WebP container specification, RFC 9649."""
    extended = tf.stack([_number(head, 27, 3) + 1, _number(head, 24, 3) + 1], axis=1)
    bits = _number(head, 21, 4)
    lossless = tf.stack([(tf.bitwise.right_shift(bits, 14) & 0x3FFF) + 1, (bits & 0x3FFF) + 1], axis=1)
    lossy = tf.stack([_number(head, 28, 2) & 0x3FFF, _number(head, 26, 2) & 0x3FFF], axis=1)
    kind = head[:, 15:16]
    return tf.where(kind == ord("X"), extended, tf.where(kind == ord("L"), lossless, lossy))


# The segments of JPEG files. Source: ITU-T T.81, annex B


def _find_segments(starts: tf.Tensor, jpegs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return where each file's frame header and its Exif segment begin, 0 if there is none: int32 `[B]` each."""

    def follow(number, position, searching, frames, exif):
        segment = _bytes(starts, position, 8)
        marker = tf.where(segment[:, 0] == 0xFF, segment[:, 1], 0)
        is_frame = (marker >= 0xC0) & (marker <= 0xCF) & tf.reduce_all(marker[:, None] != sorted(NO_FRAME), axis=1)
        is_exif = (marker == 0xE1) & _begins(segment[:, 4:], b"Exif")
        frames = tf.where(searching & is_frame, position, frames)
        exif = tf.where(searching & is_exif & (exif == 0), position, exif)
        searching &= (marker > 0) & ~is_frame & (marker != 0xDA)
        length = tf.where(marker == 0xFF, 1, 2 + _big_endian(segment, [(2, 2)])[:, 0])  # 0xFF: a fill byte
        return number + 1, tf.where(searching, position + length, position), searching, frames, exif

    nowhere = tf.zeros_like(jpegs, tf.int32)
    *_, frames, exif = tf.while_loop(
        lambda number, _, searching, *__: tf.reduce_any(searching) & (number < _SEGMENTS),
        follow,
        (0, nowhere + 2, jpegs, nowhere, nowhere),
        parallel_iterations=1,
    )
    return frames, exif


def _chroma(starts: tf.Tensor, formats: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """Return by how much less chroma is sampled than luma, along height and width: int32 `[B, 2]`."""
    frame = _bytes(starts, frames, _FRAME)
    factors = tf.stack([frame[:, 11:_FRAME:3] & 15, frame[:, 11:_FRAME:3] // 16], axis=2)[:, :3]  # [B, component, axis]
    factors = tf.maximum(factors, 1)
    known = tf.maximum(factors[:, 0] // tf.reduce_min(factors[:, 1:], axis=1), 1)
    known = tf.where((frame[:, 9] >= 3)[:, None], known, 1)
    of_jpeg = tf.where((frames > 0)[:, None], known, 2)
    return tf.where((formats == JPEG)[:, None], of_jpeg, 1)


def _orientations(starts: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
    """Return the orientation that each Exif segment says: int32 `[B]`. Source: Exif 2.3, section 4.6."""

    def read():
        tiff = _bytes(starts, exif + 10, 8)
        little = _begins(tiff, b"II")[:, None]
        first = tf.where(little[:, 0], _number(tiff, 4, 4), _big_endian(tiff, [(4, 4)])[:, 0])
        first = tf.clip_by_value(first, 0, START)
        directory = _bytes(starts, exif + 10 + first, 2 + 12 * _ENTRIES)
        count = _sixteen_bits(directory[:, :2], little)
        entries = tf.reshape(directory[:, 2:], [-1, _ENTRIES, 12])
        is_it = (_sixteen_bits(entries[..., :2], little) == _ORIENTATION) & (tf.range(_ENTRIES) < count[:, None])
        said = tf.reduce_max(tf.where(is_it, _sixteen_bits(entries[..., 8:10], little), 0), axis=1)
        return tf.where((exif > 0) & (said >= 1) & (said <= 8), said, 1)

    return tf.cond(tf.reduce_any(exif > 0), read, lambda: tf.ones_like(exif))


# Bytes


def _bytes(starts: tf.Tensor, position: tf.Tensor, count: int) -> tf.Tensor:
    """Return some bytes of each string, from a position on, zeros beyond its end: int32 `[B, count]`."""
    position = tf.clip_by_value(position, 0, tf.strings.length(starts))
    part = tf.strings.substr(starts, position, tf.fill(tf.shape(position), count))
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int32)


def _begins(values: tf.Tensor, prefix: bytes) -> tf.Tensor:
    return tf.reduce_all(values[:, : len(prefix)] == list(prefix), axis=1)


def _number(values: tf.Tensor, first: int, count: int) -> tf.Tensor:
    """Return a number from some bytes, the lowest one first: int32 `[B]`."""
    return tf.reduce_sum(tf.bitwise.left_shift(values[:, first : first + count], [8 * n for n in range(count)]), axis=1)


def _little_endian(values: tf.Tensor, *firsts: int) -> tf.Tensor:
    """Return numbers of four bytes, the lowest one first: int32 `[B, numbers]`."""
    return tf.stack([_number(values, first, 4) for first in firsts], axis=1)


def _big_endian(values: tf.Tensor, numbers: list[tuple[int, int]]) -> tf.Tensor:
    """Return numbers, each given by its first byte and how many it has, the highest one first: int32 `[B, numbers]`."""
    return tf.stack([_number(values[:, first : first + count][:, ::-1], 0, count) for first, count in numbers], axis=1)


def _sixteen_bits(pairs: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
    """Return numbers of two bytes in either order: int32 of the shape without its last axis."""
    little = tf.reshape(little, tf.concat([tf.shape(pairs)[:1], tf.ones([tf.rank(pairs) - 2], tf.int32)], axis=0))
    return tf.where(little, pairs[..., 0] + 256 * pairs[..., 1], 256 * pairs[..., 0] + pairs[..., 1])
