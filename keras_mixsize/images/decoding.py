"""Decoding: encoded images to the pixels of their windows, at the cost that the target size needs.

Sizes are read from the headers and windows are drawn before anything is decoded. Of a JPEG only the part that its windows
cover is decoded, at 1/2, 1/4 or 1/8 of its size (a shorter inverse DCT) where every window is at least that many times the
target. PNG has no such way and is decoded in full. Imports `transform`; used by the sources.

    pixels = render_batch(read, indices, seeds, size, transform, channels=3)  # [D*B, size, size, 3] uint8

What becomes of unusual files: grey and RGB are converted to the channels asked for; CMYK becomes RGB, without a colour profile,
and cannot be decoded as grey (TensorFlow lacks it); transparency is dropped, 16-bit PNG keeps its upper 8 bits, the EXIF orientation is ignored.
Everything that is neither JPEG nor PNG is refused, whatever its name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_mixsize.images.augmentations import Windows
from keras_mixsize.images.headers import PIXEL_LIMIT, is_jpeg, is_png, png_sides
from keras_mixsize.images.transform import Transform

RATIOS = (1, 2, 4, 8)  # what the inverse DCT offers


def render_encoded(
    data: tf.Tensor, seeds: tf.Tensor, size, transform: Transform, channels: int, *, pixel_limit: int = PIXEL_LIMIT
) -> tf.Tensor | dict[str, tf.Tensor]:
    """Return the augmented copies of one encoded image; see `render_batch`, which is faster for many.

    Args:
        data: string scalar, a JPEG or PNG file.
        seeds: uint32 `[D]`.

    Returns:
        What `render_batch` does, `[D, size, size, channels]`.
    """
    read, indices = (lambda index: data), tf.zeros([1], tf.int64)
    return render_batch(read, indices, seeds, size, transform, channels, pixel_limit=pixel_limit)


def render_batch(
    read: Callable,
    indices: tf.Tensor,
    seeds: tf.Tensor,
    size,
    transform: Transform,
    channels: int,
    *,
    pixel_limit: int = PIXEL_LIMIT,
) -> tf.Tensor | dict[str, tf.Tensor]:
    """Return D augmented copies of each encoded image, duplicate-major; every image is read and decoded once.

    With `transform.decode` `"exact"` the windows are cut out of the whole image, decoded as Pillow does, and resized by
    `tf.image.resize`. With `"fast"` a JPEG is decoded at the smallest scale at which every window still holds the target
    size. The edges of its windows are rounded to that grid, which moves them by at most half an output pixel. Where a
    window is still twice the target or more, `transform.antialias` averages over areas; below that, two-point interpolation
    skips no pixel. Interpolation `"nearest"` picks pixels, so images are not scaled for it.

    Args:
        read: function of an example's index, int64 scalar, that returns its JPEG or PNG file, string scalar.
        indices: int64 `[B]`.
        seeds: uint32 `[D*B]`; number n is for a copy of example `indices[n % B]`.
        size: side of the result in pixels, int32 scalar or integer.
        transform: its augmentation, interpolation, antialias, decode and in_step are used.
        channels: 1 (grey) or 3 (RGB); every image is converted.
        pixel_limit: largest height times width; checked before decoding.

    Returns:
        `[D*B, size, size, channels]`, uint8 with `"fast"` and float32 in [0, 1] with `"exact"`. With `transform.in_step`
        they are not mirrored yet: a dict of these `"images"` and of which are `"mirrored"`, bool `[D*B]`.

    Raises:
        tf.errors.InvalidArgumentError: neither JPEG nor PNG, a damaged file, or more pixels than the limit.
    """
    items, sides, jpegs = _read_all(read, indices, pixel_limit)
    copies = tf.size(seeds) // tf.size(indices)
    heights, widths = tf.unstack(tf.tile(tf.cast(sides, tf.float32), [copies, 1]), axis=1)
    windows = transform.augmentation.windows(heights, widths, seeds)
    if transform.decode == "exact":
        ratios, parts = (1,), whole_parts(windows, sides)
    else:
        ratios = (1,) if transform.interpolation == "nearest" else RATIOS
        parts = covering_parts(windows, sides, tf.where(jpegs, _largest_ratios(windows, sides, size, ratios), 1))
    images = _render_parts(items, jpegs, parts, ratios, transform, size, channels)
    if not transform.in_step:
        return images
    return {"images": images, "mirrored": tf.reshape(tf.cast(windows.mirrored, tf.bool), tf.shape(seeds))}


def _read_all(read: Callable, indices: tf.Tensor, pixel_limit: int) -> tuple[tf.TensorArray, tf.Tensor, tf.Tensor]:
    """Return the files of a batch, heights and widths int32 `[B, 2]`, and which ones are JPEG, bool `[B]`.

    The files are an array of scalars, because indexing a tensor of strings copies them.
    """
    batch = tf.size(indices)
    items = tf.TensorArray(tf.string, batch, element_shape=[], clear_after_read=False)
    headers = tf.TensorArray(tf.int32, batch, element_shape=[3])

    def add(place, items, headers):
        data = read(tf.gather(indices, place))
        return place + 1, items.write(place, data), headers.write(place, _header(data))

    _, items, headers = tf.while_loop(lambda place, *_: place < batch, add, (0, items, headers))  # reads overlap
    headers = headers.stack()
    return items, _within_limit(headers[:, :2], pixel_limit), headers[:, 2] > 0


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
    return _within_limit(_header(data)[None, :2], pixel_limit)[0]


def _header(data: tf.Tensor) -> tf.Tensor:
    """Return height, width and channels, 0 for a PNG: int32 `[3]`."""
    return tf.cond(
        is_jpeg(data), lambda: tf.io.extract_jpeg_shape(data), lambda: tf.pad(_checked_png_sides(data), [[0, 1]])
    )


def _within_limit(sides: tf.Tensor, pixel_limit: int) -> tf.Tensor:
    """Return the sides, int32 `[B, 2]`, or fail."""
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


# Which part of each image is decoded, and where its windows lie in it


class Parts(NamedTuple):
    """What to decode of B images and to cut out of it.

    Attributes:
        boxes: int32 `[B, 4]`, top, left, height, width of the part in pixels of the scaled image.
        ratios: int32 `[B]`, by how much the image is scaled down.
        margins: int32 `[B]`, black pixels to put around the part, because windows reach over the image's border.
        starts, extents: int32 `[D*B, 2]`, top and left, height and width of the windows within part and margin.
        mirrored: bool `[D*B]`.
    """

    boxes: tf.Tensor
    ratios: tf.Tensor
    margins: tf.Tensor
    starts: tf.Tensor
    extents: tf.Tensor
    mirrored: tf.Tensor


def whole_parts(windows: Windows, sides: tf.Tensor) -> Parts:
    """Return parts that are the whole images.

    Args:
        windows: `D*B` of them, duplicate-major, in pixels of the whole images; rounded to whole pixels.
        sides: int32 `[B, 2]`, heights and widths of the images.
    """
    low, high = _edges(windows, tf.ones_like(sides[:, 0]))
    return _parts(low, high, tf.zeros_like(sides), sides, tf.ones_like(sides[:, 0]), windows.mirrored)


def covering_parts(windows: Windows, sides: tf.Tensor, ratios: tf.Tensor) -> Parts:
    """Return the smallest parts that cover the windows, such that the pixels are those of decoding the whole image.

    Args:
        windows: `D*B` of them, duplicate-major, in pixels of the whole images; their edges are rounded to the ratio.
        sides: int32 `[B, 2]`, heights and widths of the images.
        ratios: int32 `[B]`, by how much each image is scaled down.
    """
    low, high = _edges(windows, ratios)
    ends = -(-sides // ratios[:, None])
    # Chroma is interpolated from its neighbours: with one pixel more on each side all others are as in the whole image.
    # From the edge of a block of 16 columns on, decoded rows need not be moved
    grid = tf.stack([tf.ones_like(ratios), 16 // ratios], axis=1)
    first = tf.clip_by_value(tf.reduce_min(low, axis=0) - 1, 0, ends - 1) // grid * grid
    last = tf.clip_by_value(tf.reduce_max(high, axis=0) + 1, first + 1, ends)
    return _parts(low, high, first, last, ratios, windows.mirrored)


def _edges(windows: Windows, ratios: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (top, left) and (bottom, right) of the windows on the grid of the scaled image: int32 `[D, B, 2]` each."""
    edges = tf.stack([windows.top, windows.left, windows.top + windows.height, windows.left + windows.width], axis=1)
    edges = tf.reshape(edges, [-1, tf.size(ratios), 4]) / tf.cast(ratios, tf.float32)[:, None]
    edges = tf.cast(tf.round(edges), tf.int32)
    return edges[..., :2], tf.maximum(edges[..., 2:], edges[..., :2] + 1)


def _parts(low, high, first, last, ratios, mirrored) -> Parts:
    """Return the parts from `first` to `last`, `[B, 2]` each, for windows from `low` to `high`, `[D, B, 2]` each."""
    margins = tf.maximum(tf.reduce_max(tf.maximum(first - low, high - last), axis=[0, 2]), 0)
    starts = tf.reshape(low - first + margins[:, None], [-1, 2])
    boxes = tf.concat([first, last - first], axis=1)
    return Parts(boxes, ratios, margins, starts, tf.reshape(high - low, [-1, 2]), mirrored)


def _largest_ratios(windows: Windows, sides: tf.Tensor, size, ratios: tuple[int, ...]) -> tf.Tensor:
    """Return the largest ratio at which the smallest window of each image still has `size` pixels a side: int32 `[B]`."""
    shortest = tf.reshape(tf.minimum(windows.height, windows.width), [-1, tf.shape(sides)[0]])
    shortest = tf.reduce_min(shortest, axis=0)[:, None]
    return tf.reduce_max(tf.where(shortest >= tf.cast(tf.constant(ratios) * size, tf.float32), ratios, 1), axis=1)


# Decoding and cutting, copy by copy. An operation of TensorFlow costs as much as 100 pixels, and each tensor that a loop takes from
# outside three operations a turn: so all that a batch can compute at once comes to the loop as one table


def _render_parts(items, jpegs, parts: Parts, ratios: tuple[int, ...], transform: Transform, size, channels: int):
    """Return all windows of all parts at `size`: `[D*B, size, size, channels]`, uint8 or float32 as in `render_batch`.

    The copies of an image are made one after the other, so that only one part is held, but stored `B` rows apart.
    """
    table, resample = _turns(jpegs, parts, ratios, size, channels), _resampler(transform, size)
    dtype = tf.uint8 if transform.decode == "fast" else tf.float32

    def add(turn, held, rendered):
        numbers, box, start, extent = tf.split(tf.gather(table, turn), _COLUMNS)
        image, row, way, margin, kind, is_mirrored = tf.unstack(numbers)
        part = _decode_part(way, items.read(image), box, margin, held, ratios, channels, transform.decode)
        pixels = resample(tf.slice(part, start, extent), kind)
        pixels = tf.cast(tf.round(pixels), tf.uint8) if dtype == tf.uint8 else pixels * (1 / 255)
        if not transform.in_step:
            pixels = tf.switch_case(is_mirrored, [lambda: pixels, lambda: _mirror(pixels)])
        return turn + 1, part, rendered.write(row, pixels)

    count = tf.shape(table)[0]
    rendered = tf.TensorArray(dtype, count, element_shape=[None, None, channels])
    shapes = (tf.TensorShape([]), tf.TensorShape([None, None, channels]), tf.TensorShape(None))
    *_, rendered = tf.while_loop(
        lambda turn, *_: turn < count,
        add,
        (0, tf.zeros([0, 0, channels], tf.uint8), rendered),
        shape_invariants=shapes,
        parallel_iterations=1,
    )
    return tf.reshape(rendered.stack(), [count, size, size, channels])


_COLUMNS = [6, 4, 3, 3]  # numbers, the part's box, the window's start and extent within the part


def _turns(jpegs: tf.Tensor, parts: Parts, ratios: tuple[int, ...], size, channels: int) -> tf.Tensor:
    """Return what there is to do in each turn, the copies of an image in a row: int32 `[D*B, sum(_COLUMNS)]`.

    The numbers are the image's place in the batch, the row of the result, the way to decode (of `_decode_part`), the
    margin, the window's kind (of `_resampler`), and whether it is mirrored.
    """
    batch, count = tf.size(parts.ratios), tf.size(parts.mirrored)
    image, copy = tf.range(count) // (count // batch), tf.range(count) % (count // batch)
    row = copy * batch + image
    ways = tf.where(jpegs, tf.reduce_sum(tf.cast(parts.ratios[:, None] > ratios, tf.int32), axis=1), len(ratios))
    way = tf.where(copy > 0, len(ratios) + 1, tf.gather(ways, image))
    starts, extents = tf.gather(parts.starts, row), tf.gather(parts.extents, row)
    wide, huge = tf.reduce_min(extents, axis=1) >= 2 * size, tf.reduce_prod(extents, axis=1) > _HUGE
    kind = tf.cast(wide, tf.int32) + tf.cast(wide & huge, tf.int32)
    numbers = [image, row, way, tf.gather(parts.margins, image), kind, tf.gather(parts.mirrored, row)]
    numbers = tf.stack([tf.cast(column, tf.int32) for column in numbers], axis=1)
    start = tf.pad(starts, [[0, 0], [0, 1]])
    extent = tf.pad(extents, [[0, 0], [0, 1]], constant_values=channels)
    return tf.concat([numbers, tf.gather(parts.boxes, image), start, extent], axis=1)


def _decode_part(way, data, box, margin, held, ratios: tuple[int, ...], channels: int, how: str) -> tf.Tensor:
    """Return a part of an image with its margin, uint8 `[h, w, channels]`.

    Args:
        way: int32 scalar, a place in `ratios` for a JPEG, the next number for a PNG, one more for the part that is `held`.
    """

    def with_margin(pixels):
        return tf.pad(pixels, margin * tf.constant([[1, 1], [1, 1], [0, 0]]))  # no copy where nothing is added

    def jpeg(ratio: int):
        method = "INTEGER_ACCURATE" if how == "exact" else ""
        return with_margin(tf.io.decode_and_crop_jpeg(data, box, channels, ratio=ratio, dct_method=method))

    def png():
        corner, extent = tf.pad(box[:2], [[0, 1]]), tf.pad(box[2:], [[0, 1]], constant_values=channels)
        return with_margin(tf.slice(tf.io.decode_png(data, channels), corner, extent))

    ways = [functools.partial(jpeg, ratio) for ratio in ratios]
    part = tf.switch_case(way, [*ways, png, lambda: held])
    part.set_shape([None, None, channels])
    return part


_HUGE = 2**22  # pixels of a cut whose floats, 50 MB, are not worth a resize that is a fifth faster


def _resampler(transform: Transform, size) -> Callable:
    """Return a function of a cut, uint8 `[h, w, C]`, and its kind; it returns float32 in 0..255.

    Kind 1 is a window of twice the target or more, 2 one that is huge as well, 0 any other.
    """
    method, sides = transform.interpolation, tf.stack([size, size])

    def exactly(cut, _):
        # TensorFlow resizes floats faster than bytes
        pixels = tf.image.resize(tf.cast(cut, tf.float32), sides, method, antialias=transform.antialias)
        return tf.clip_by_value(pixels, 0.0, 255.0) if method == "bicubic" else pixels

    def over_areas(cut, kind):
        def plain():
            return tf.image.resize(tf.cast(cut, tf.float32), sides)

        def wide():  # twice as fast as the wide triangle that `antialias` stands for
            return tf.image.resize(tf.cast(cut, tf.float32), sides, "area")

        return tf.switch_case(kind, [plain, wide, lambda: tf.image.resize(cut, sides, "area")])

    fast = transform.decode == "fast" and transform.antialias and method == "bilinear"
    return over_areas if fast else exactly


def _mirror(pixels: tf.Tensor) -> tf.Tensor:
    """Return an image `[h, w, C]` mirrored; TensorFlow is several times faster at it without a batch axis."""
    return tf.reverse(pixels, [1])
