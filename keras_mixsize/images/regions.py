"""Regions: which rectangle of each file is decoded, at which scale, so that it covers all windows of the image.

Neighbours: `augmentations` (the windows), `decoding` (the pixels).

    scales = largest_scales(windows, headers.chroma, size=96)      # 1, 2, 4 or 8 for each image
    regions = covering_regions(windows, sides, scales)
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from keras_mixsize.images.augmentations import Windows

DCT_SCALES = (1, 2, 4, 8)  # by how much the inverse DCT of a JPEG can scale down


class Regions(NamedTuple):
    """What to decode of B images and to cut out of it.

    Attributes:
        boxes: int32 `[B, 4]`, top, left, height, width of the region in pixels of the scaled image.
        scales: int32 `[B]`, by how much the image is scaled down.
        margins: int32 `[B]`, black pixels to put around the region, because windows reach over the image's border.
        corners, extents: int32 `[D*B, 2]`, top and left, height and width of the windows within region and margin.
        mirrored: bool `[D*B]`.
    """

    boxes: tf.Tensor
    scales: tf.Tensor
    margins: tf.Tensor
    corners: tf.Tensor
    extents: tf.Tensor
    mirrored: tf.Tensor


def whole_regions(windows: Windows, sides: tf.Tensor) -> Regions:
    """Return regions that are the whole images.

    Args:
        windows: `D*B` of them, duplicate-major, in pixels of the whole images; rounded to whole pixels.
        sides: int32 `[B, 2]`, heights and widths of the images.
    """
    low, high = _edges(windows, tf.ones_like(sides[:, 0]))
    return _regions(low, high, (tf.zeros_like(sides), sides), tf.ones_like(sides[:, 0]), windows.mirrored)


def covering_regions(windows: Windows, sides: tf.Tensor, scales: tf.Tensor) -> Regions:
    """Return the smallest regions that cover the windows, such that the pixels are those of decoding the whole image.

    Args:
        windows: `D*B` of them, duplicate-major, in pixels of the whole images; their edges are rounded to the scale.
        sides: int32 `[B, 2]`, heights and widths of the images.
        scales: int32 `[B]`, by how much each image is scaled down.
    """
    low, high = _edges(windows, scales)
    ends = -(-sides // scales[:, None])
    # Chroma is interpolated from its neighbours: with one pixel more on each side all others are as in the whole image.
    # From the edge of a block of 16 columns on, decoded rows need not be moved
    grid = tf.stack([tf.ones_like(scales), 16 // scales], axis=1)
    first = tf.clip_by_value(tf.reduce_min(low, axis=0) - 1, 0, ends - 1) // grid * grid
    last = tf.clip_by_value(tf.reduce_max(high, axis=0) + 1, first + 1, ends)
    return _regions(low, high, (first, last), scales, windows.mirrored)


def largest_scales(
    windows: Windows, chroma: tf.Tensor, size: int | tf.Tensor, scales: tuple[int, ...] = DCT_SCALES
) -> tf.Tensor:
    """Return the largest scale at which each window still has `size` pixels a side, in luma and chroma: int32 `[B]`.

    A decoder makes up for chroma that is sampled less along both axes, as 4:2:0 is, by a longer inverse DCT of it. For
    4:2:2, 4:4:0 and 4:1:1, sampled less along one axis, it cannot, so these are decoded at a scale 2 or 4 times finer:
    that takes up to that many times as long in each direction, and keeps their colour.

    Args:
        windows: `D*B` of them, duplicate-major.
        chroma: int32 `[B, 2]`, by how much less chroma is sampled than luma along height and width; 1 for grey.
        size: side of the result in pixels.
        scales: those to choose from.
    """
    sides = tf.reshape(tf.stack([windows.height, windows.width], axis=1), [-1, tf.shape(chroma)[0], 2])
    shortest = tf.reduce_min(sides, axis=0)[:, None]  # [B, scale, axis] from here on
    scale = tf.constant(scales)[None, :, None]
    made_up = tf.minimum(tf.reduce_min(chroma, axis=1)[:, None, None], scale)
    coarsest = tf.cast(scale * tf.maximum(chroma[:, None] // made_up, 1), tf.float32)
    fits = tf.reduce_all(shortest >= coarsest * tf.cast(size, tf.float32), axis=2)
    return tf.reduce_max(tf.where(fits, scales, 1), axis=1)


def _edges(windows: Windows, scales: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (top, left) and (bottom, right) of the windows on the grid of the scaled image: int32 `[D, B, 2]` each."""
    edges = tf.stack([windows.top, windows.left, windows.top + windows.height, windows.left + windows.width], axis=1)
    edges = tf.reshape(edges, [-1, tf.size(scales), 4]) / tf.cast(scales, tf.float32)[:, None]
    edges = tf.cast(tf.round(edges), tf.int32)
    return edges[..., :2], tf.maximum(edges[..., 2:], edges[..., :2] + 1)


def _regions(low: tf.Tensor, high: tf.Tensor, box: tuple, scales: tf.Tensor, mirrored: tf.Tensor) -> Regions:
    """Return the regions of a box, its first and last corners `[B, 2]`, for windows from low to high, `[D, B, 2]`."""
    first, last = box
    margins = tf.maximum(tf.reduce_max(tf.maximum(first - low, high - last), axis=[0, 2]), 0)
    corners = tf.reshape(low - first + margins[:, None], [-1, 2])
    boxes = tf.concat([first, last - first], axis=1)
    return Regions(boxes, scales, margins, corners, tf.reshape(high - low, [-1, 2]), mirrored)
