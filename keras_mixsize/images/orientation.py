"""Orientation: images that are stored otherwise than they are to be shown, as phones and cameras store them.

Windows are drawn of the image as it is shown, and cut out of it as it is stored; then the small result is turned.
Source: Exif 2.3, tag Orientation: 1 as stored, 2 mirrored, 3 turned by 180 degrees, 4 upside down, 5 to 8 with rows
and columns exchanged as well. Neighbours: `batch_headers` (reads it), `decoding` (applies it).

    sides = shown_sides(stored_sides, orientations)
    windows = stored_windows(windows, stored_sides, orientations)
    pixels = turned(pixels, turns(orientations, mirrored)[0])
"""

from __future__ import annotations

import tensorflow as tf

from keras_mixsize.images.augmentations import Windows

_ROWS_REVERSED = (3, 4, 6, 7)
_COLUMNS_REVERSED = (2, 3, 7, 8)
_EXCHANGED = 5  # from this orientation on, rows and columns are


def shown_sides(sides: tf.Tensor, orientations: tf.Tensor) -> tf.Tensor:
    """Return heights and widths as images are shown, `[B, 2]`, of those that are stored."""
    return tf.where((orientations >= _EXCHANGED)[:, None], sides[:, ::-1], sides)


def stored_windows(windows: Windows, sides: tf.Tensor, orientations: tf.Tensor) -> Windows:
    """Return windows of the images as they are stored, for windows of the images as they are shown.

    Args:
        windows: `D*B` of them, duplicate-major.
        sides: int32 `[B, 2]`, heights and widths as stored.
        orientations: int32 `[B]`.
    """
    copies = tf.size(windows.top) // tf.size(orientations)
    orientations = tf.tile(orientations, [copies])
    height, width = tf.unstack(tf.tile(tf.cast(sides, tf.float32), [copies, 1]), axis=1)
    across = orientations >= _EXCHANGED
    top, left = tf.where(across, windows.left, windows.top), tf.where(across, windows.top, windows.left)
    tall, wide = tf.where(across, windows.width, windows.height), tf.where(across, windows.height, windows.width)
    top = tf.where(_among(orientations, _ROWS_REVERSED), height - top - tall, top)
    left = tf.where(_among(orientations, _COLUMNS_REVERSED), width - left - wide, left)
    return Windows(top, left, tall, wide, windows.mirrored)


def turns(orientations: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """Return what is to be done to stored pixels so that they are as shown, and mirrored: int32 `[N]`, see `turned`.

    Args:
        orientations: int32 `[N]`.
        mirrored: bool or numbers `[N]`.
    """
    mirrored, across = tf.cast(mirrored, tf.bool), orientations >= _EXCHANGED
    rows = tf.math.logical_xor(_among(orientations, _ROWS_REVERSED), mirrored & across)
    columns = tf.math.logical_xor(_among(orientations, _COLUMNS_REVERSED), mirrored & ~across)
    rows, columns, across = (tf.cast(flag, tf.int32) for flag in (rows, columns, across))
    return columns + 2 * rows + 4 * across


def turned(pixels: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Return an image `[h, w, C]` with columns reversed (1), rows reversed (2), then both exchanged (4), or several."""

    def change(turn: int):
        axes = [axis for axis, bit in ((1, 1), (0, 2)) if turn & bit]
        changed = tf.reverse(pixels, axes) if axes else pixels  # without a batch axis, which is several times faster
        return tf.transpose(changed, [1, 0, 2]) if turn & 4 else changed

    return tf.switch_case(turn, [lambda turn=turn: change(turn) for turn in range(8)])


def _among(values: tf.Tensor, wanted: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(values[:, None] == wanted, axis=1)
