"""Rendering: windows to pixels.

One renderer for batches in memory (matrix products), one for single decoded images of any size. Neighbours:
`augmentations` chooses the windows, `decoding` makes the single images.

    batch = render(images, windows, size=24)                 # [D*B, 24, 24, C] float32 in [0, 1]
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_mixsize.images.augmentations import Windows


def to_float(images: tf.Tensor) -> tf.Tensor:
    """Return images as float32 in [0, 1]: uint8 is divided by 255, float32 is taken to be in [0, 1] already."""
    return tf.image.convert_image_dtype(images, tf.float32)


def resize(images: tf.Tensor, size: int, *, interpolation: str = "bilinear", antialias: bool = True) -> tf.Tensor:
    """Return whole images at another size.

    Args:
        images: `[N, H, W, C]`, uint8 or float32 in [0, 1].
        size: side of the result in pixels.

    Returns:
        `[N, size, size, C]` float32 in [0, 1].
    """
    images = to_float(images)
    if images.shape[1:3] == (size, size):
        return images
    return tf.image.resize(images, [size, size], method=interpolation, antialias=antialias)


def resize_on_device(
    images: tf.Tensor, size: int, *, interpolation: str = "bilinear", antialias: bool = True
) -> tf.Tensor:
    """Return whole images at another size, as `resize` does, by two small matrices that all images share.

    It compiles in XLA, antialiased too, which `tf.image.resize` does not, and is differentiable; use it inside a
    training step.

    Args:
        images: `[N, H, W, C]` of a static height and width, uint8 or float32 in [0, 1].
        size: side of the result in pixels.

    Returns:
        `[N, size, size, C]` float32 in [0, 1].
    """
    rows, columns = (
        _weights(tf.zeros([1]), tf.fill([1], float(side)), size, side, interpolation, antialias)[0]
        for side in images.shape[1:3]
    )
    pixels = tf.einsum("th,nhwc,sw->ntsc", rows, to_float(images), columns)
    return tf.clip_by_value(pixels, 0.0, 1.0) if interpolation == "bicubic" else pixels


def render(
    images: tf.Tensor, windows: Windows, size, *, interpolation: str = "bilinear", antialias: bool = True
) -> tf.Tensor:
    """Return every window at `size`: crop, flip and resize as two matrix products per image.

    Output n is cut from image n mod B, so D windows per image come out with the duplicates one after the other
    ("duplicate-major"). The result is that of cutting the window out of the image, padded with black, and
    `tf.image.resize` of the cut; matrix products do it for a whole batch at once and compile in XLA, antialiased too.

    Args:
        images: `[B, H, W, C]`, uint8 or float32 in [0, 1].
        windows: `D*B` of them.
        size: side of the result in pixels, an integer or an int32 scalar tensor.

    Returns:
        `[D*B, size, size, C]` float32 in [0, 1].
    """
    height, width, channels = images.shape[1:]
    count = tf.shape(windows.top)[0]
    pixels = to_float(images)
    pixels = tf.tile(pixels, [count // tf.shape(images)[0], 1, 1, 1])
    rows = _weights(windows.top, windows.height, size, height, interpolation, antialias)
    columns = _weights(windows.left, windows.width, size, width, interpolation, antialias)
    columns = tf.where(windows.mirrored[:, None, None], columns[:, ::-1], columns)
    pixels = tf.matmul(rows, tf.reshape(pixels, [count, height, width * channels]))
    pixels = tf.einsum("ntw,nswc->nstc", columns, tf.reshape(pixels, [count, size, width, channels]))
    return tf.clip_by_value(pixels, 0.0, 1.0) if interpolation == "bicubic" else pixels


def _weights(start, length, size, extent: int, interpolation: str, antialias: bool) -> tf.Tensor:
    """Return how much each source pixel counts in each output pixel along one axis: float32 `[N, size, extent]`."""
    start, length = start[:, None, None], length[:, None, None]
    scale = length / tf.cast(size, tf.float32)
    center = start + (tf.range(tf.cast(size, tf.float32))[:, None] + 0.5) * scale - 0.5
    pixel = tf.range(extent, dtype=tf.float32)
    if interpolation == "nearest":
        return tf.cast(tf.equal(pixel, tf.floor(center + 0.5)), tf.float32)
    reach = tf.maximum(scale, 1.0) if antialias else tf.ones_like(scale)
    weights = _KERNELS[interpolation]((pixel - center) / reach)
    weights = tf.where((pixel >= start) & (pixel < start + length), weights, 0.0)
    # Pixels beyond the image are black but count in the mean, those beyond the window do not exist.
    black = _kernel_sum_outside(center, reach, start, length, extent, interpolation)
    return weights / (tf.reduce_sum(weights, axis=-1, keepdims=True) + black)


def _kernel_sum_outside(center, reach, start, length, extent: int, interpolation: str) -> tf.Tensor:
    """Return the kernel's sum over the window's pixels that lie outside the image: float32 `[N, size, 1]`."""
    overhang = tf.reduce_max(tf.maximum(-start, start + length - extent))
    beyond = tf.range(tf.maximum(overhang, 0.0))
    pixel = tf.concat([-1.0 - beyond, extent + beyond], axis=0)
    weights = _KERNELS[interpolation]((pixel - center) / reach)
    weights = tf.where((pixel >= start) & (pixel < start + length), weights, 0.0)
    return tf.reduce_sum(weights, axis=-1, keepdims=True)


def _triangle(distance: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(1.0 - tf.abs(distance))


def _keys_cubic(distance: tf.Tensor) -> tf.Tensor:
    """Keys' cubic with a = -1/2; R. Keys, IEEE Trans. ASSP 29 (1981)."""
    near = tf.abs(distance)
    inner = (1.5 * near - 2.5) * near**2 + 1.0
    outer = ((-0.5 * near + 2.5) * near - 4.0) * near + 2.0
    return tf.where(near < 1.0, inner, tf.where(near < 2.0, outer, 0.0))


_KERNELS = {"bilinear": _triangle, "bicubic": _keys_cubic}


def render_windows(
    image: tf.Tensor, windows: Windows, size, *, interpolation: str = "bilinear", antialias: bool = True
) -> tf.Tensor:
    """Return every window of one image of any size at `size`; the counterpart of `render` for decoded files.

    Args:
        image: uint8 `[H, W, C]`.
        windows: D of them, all of this image, rounded to whole pixels.
        size: side of the result in pixels.

    Returns:
        `[D, size, size, C]` float32 in [0, 1].
    """

    def shrink(cut):
        pixels = tf.image.resize(to_float(cut), [size, size], method=interpolation, antialias=antialias)
        return tf.clip_by_value(pixels, 0.0, 1.0) if interpolation == "bicubic" else pixels

    return cut_windows(image, windows, shrink)


def cut_windows(image: tf.Tensor, windows: Windows, shrink: Callable) -> tf.Tensor:
    """Return every window of one image after `shrink`, mirrored as the windows say; what lies outside is black.

    Args:
        image: uint8 `[H, W, C]`.
        windows: D of them, all of this image, rounded to whole pixels.
        shrink: function of a cut, uint8 `[h, w, C]`, that returns float32 `[size, size, C]`.

    Returns:
        float32 `[D, size, size, C]`.
    """
    edges = tf.stack([windows.top, windows.left, windows.top + windows.height, windows.left + windows.width], axis=-1)
    edges = tf.cast(tf.round(edges), tf.int32)
    beyond = edges[:, 2:] - tf.shape(image)[:2]
    margin = tf.reduce_max(tf.maximum(tf.concat([-edges[:, :2], beyond], axis=1), 0))
    padded = tf.pad(image, [[margin, margin], [margin, margin], [0, 0]])  # no copy where nothing is added

    def cut(item):
        (top, left, bottom, right), mirrored = tf.unstack(item[0]), item[1]
        pixels = shrink(padded[top:bottom, left:right])
        return tf.cond(mirrored, lambda: pixels[:, ::-1], lambda: pixels)

    spec = tf.TensorSpec([None, None, image.shape[-1]], tf.float32)
    return tf.map_fn(cut, (edges + margin, windows.mirrored), fn_output_signature=spec)
