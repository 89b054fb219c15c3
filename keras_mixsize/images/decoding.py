"""Decoding: encoded images to the pixels of their windows, at the cost that the target size needs.

Sizes are read from the headers and windows are drawn before anything is decoded. Of a JPEG only the region that its
windows cover is decoded, at 1/2, 1/4 or 1/8 of its size (a shorter inverse DCT) where every window is at least that many
times the target. PNG has no such shortcut and is decoded in full. Neighbours: `formats` (headers, whole images),
`regions` (what is decoded), `transform` (the settings); used by the sources.

    pixels = render_batch(read, indices, seeds, size, transform, channels=3)  # [D*B, size, size, 3] uint8
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from keras_mixsize.images.formats import sides_and_channels, within_limit
from keras_mixsize.images.headers import PIXEL_LIMIT
from keras_mixsize.images.regions import DCT_SCALES, Regions, covering_regions, largest_scales, whole_regions
from keras_mixsize.images.step_images import StepImages
from keras_mixsize.images.transform import Transform


def render_encoded(
    data: tf.Tensor, seeds: tf.Tensor, size, transform: Transform, channels: int, *, pixel_limit: int = PIXEL_LIMIT
) -> tf.Tensor | StepImages:
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
) -> tf.Tensor | StepImages:
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
        they are not mirrored yet, but StepImages.

    Raises:
        tf.errors.InvalidArgumentError: neither JPEG nor PNG, a damaged file, or more pixels than the limit.
    """
    items, sides, jpegs = _read_all(read, indices, pixel_limit)
    copies = tf.size(seeds) // tf.size(indices)
    heights, widths = tf.unstack(tf.tile(tf.cast(sides, tf.float32), [copies, 1]), axis=1)
    windows = transform.augmentation.windows(heights, widths, seeds)
    if transform.decode == "exact":
        scales, regions = (1,), whole_regions(windows, sides)
    else:
        scales = (1,) if transform.interpolation == "nearest" else DCT_SCALES
        regions = covering_regions(windows, sides, tf.where(jpegs, largest_scales(windows, sides, size, scales), 1))
    images = _render_regions(items, _tasks(jpegs, regions, scales, size, channels), scales, transform, size, channels)
    if not transform.in_step:
        return images
    return StepImages(images, tf.reshape(tf.cast(windows.mirrored, tf.bool), tf.shape(seeds)))


def _read_all(read: Callable, indices: tf.Tensor, pixel_limit: int) -> tuple[tf.TensorArray, tf.Tensor, tf.Tensor]:
    """Return the files of a batch, heights and widths int32 `[B, 2]`, and which ones are JPEG, bool `[B]`.

    The files are an array of scalars, because indexing a tensor of strings copies them.
    """
    batch = tf.size(indices)
    items = tf.TensorArray(tf.string, batch, element_shape=[], clear_after_read=False)
    headers = tf.TensorArray(tf.int32, batch, element_shape=[3])

    def add(image, items, headers):
        data = read(tf.gather(indices, image))
        return image + 1, items.write(image, data), headers.write(image, sides_and_channels(data))

    _, items, headers = tf.while_loop(lambda image, *_: image < batch, add, (0, items, headers))  # reads overlap
    headers = headers.stack()
    return items, within_limit(headers[:, :2], pixel_limit), headers[:, 2] > 0


# Decoding and cutting, copy by copy. An operation of TensorFlow costs as much as 100 pixels, and each tensor that a loop
# takes from outside three operations an iteration: so all that a batch can compute at once comes to the loop as one table

_COLUMNS = [6, 4, 3, 3]  # numbers, the region's box, the window's corner and extent within the region


def _tasks(jpegs: tf.Tensor, regions: Regions, scales: tuple[int, ...], size, channels: int) -> tf.Tensor:
    """Return what there is to do for each output, the copies of an image in a row: int32 `[D*B, sum(_COLUMNS)]`.

    The numbers are the image's index in the batch, the index of the output, the decoder (see `_decode_region`), the
    margin, the window's filter (see `_resampler`), and whether it is mirrored.
    """
    batch, count = tf.size(regions.scales), tf.size(regions.mirrored)
    image, copy = tf.range(count) // (count // batch), tf.range(count) % (count // batch)
    output = copy * batch + image
    of_scale = tf.reduce_sum(tf.cast(regions.scales[:, None] > scales, tf.int32), axis=1)
    decoders = tf.where(jpegs, of_scale, len(scales))
    decoder = tf.where(copy > 0, len(scales) + 1, tf.gather(decoders, image))
    corners, extents = tf.gather(regions.corners, output), tf.gather(regions.extents, output)
    wide, huge = tf.reduce_min(extents, axis=1) >= 2 * size, tf.reduce_prod(extents, axis=1) > _HUGE
    chosen = tf.cast(wide, tf.int32) + tf.cast(wide & huge, tf.int32)
    margin, mirrored = tf.gather(regions.margins, image), tf.gather(regions.mirrored, output)
    numbers = [tf.cast(column, tf.int32) for column in (image, output, decoder, margin, chosen, mirrored)]
    corner = tf.pad(corners, [[0, 0], [0, 1]])
    extent = tf.pad(extents, [[0, 0], [0, 1]], constant_values=channels)
    return tf.concat([tf.stack(numbers, axis=1), tf.gather(regions.boxes, image), corner, extent], axis=1)


def _render_regions(
    items: tf.TensorArray, tasks: tf.Tensor, scales: tuple[int, ...], transform: Transform, size, channels: int
) -> tf.Tensor:
    """Return all outputs: `[D*B, size, size, channels]`, uint8 or float32 as in `render_batch`.

    The copies of an image are made one after the other, so that only one region is held, but stored `B` rows apart.
    """
    resample, dtype = _resampler(transform, size), tf.uint8 if transform.decode == "fast" else tf.float32

    def add(task, last_region, rendered):
        numbers, box, corner, extent = tf.split(tf.gather(tasks, task), _COLUMNS)
        image, output, decoder, margin, chosen, mirrored = tf.unstack(numbers)
        decoders = _decoders(items.read(image), box, scales, transform.decode, channels)
        region = tf.switch_case(decoder, [*(_padded(decode, margin) for decode in decoders), lambda: last_region])
        region.set_shape([None, None, channels])
        pixels = resample(tf.slice(region, corner, extent), chosen)
        pixels = tf.cast(tf.round(pixels), tf.uint8) if dtype == tf.uint8 else pixels * (1 / 255)
        if not transform.in_step:
            pixels = tf.switch_case(mirrored, [lambda: pixels, lambda: _mirror(pixels)])
        return task + 1, region, rendered.write(output, pixels)

    count = tf.shape(tasks)[0]
    rendered = tf.TensorArray(dtype, count, element_shape=[None, None, channels])
    shapes = (tf.TensorShape([]), tf.TensorShape([None, None, channels]), tf.TensorShape(None))
    *_, rendered = tf.while_loop(
        lambda task, *_: task < count,
        add,
        (0, tf.zeros([0, 0, channels], tf.uint8), rendered),
        shape_invariants=shapes,
        parallel_iterations=1,
    )
    return tf.reshape(rendered.stack(), [count, size, size, channels])


def _decoders(data: tf.Tensor, box: tf.Tensor, scales: tuple[int, ...], how: str, channels: int) -> list[Callable]:
    """Return functions that decode a region, uint8 `[h, w, channels]`: of a JPEG at each scale, then of a PNG."""

    def jpeg(scale: int):
        method = "INTEGER_ACCURATE" if how == "exact" else ""
        return tf.io.decode_and_crop_jpeg(data, box, channels, ratio=scale, dct_method=method)

    def png():
        corner, extent = tf.pad(box[:2], [[0, 1]]), tf.pad(box[2:], [[0, 1]], constant_values=channels)
        return tf.slice(tf.io.decode_png(data, channels), corner, extent)

    return [*(functools.partial(jpeg, scale) for scale in scales), png]


def _padded(decode: Callable, margin: tf.Tensor) -> Callable:
    """Return a function of what another one returns, with black around it; no copy where nothing is added."""
    return lambda: tf.pad(decode(), margin * tf.constant([[1, 1], [1, 1], [0, 0]]))


_HUGE = 2**22  # pixels of a cut whose floats, 50 MB, are not worth a resize that is a fifth faster


def _resampler(transform: Transform, size) -> Callable:
    """Return a function of a cut, uint8 `[h, w, C]`, and its filter; it returns float32 in 0..255.

    Filter 1 is for a window of twice the target or more, 2 for one that is huge as well, 0 for any other.
    """
    method, sides = transform.interpolation, tf.stack([size, size])

    def exactly(cut, _):
        # TensorFlow resizes floats faster than bytes
        pixels = tf.image.resize(tf.cast(cut, tf.float32), sides, method, antialias=transform.antialias)
        return tf.clip_by_value(pixels, 0.0, 255.0) if method == "bicubic" else pixels

    def over_areas(cut, chosen):
        def plain():
            return tf.image.resize(tf.cast(cut, tf.float32), sides)

        def wide():  # twice as fast as the wide triangle that `antialias` stands for
            return tf.image.resize(tf.cast(cut, tf.float32), sides, "area")

        return tf.switch_case(chosen, [plain, wide, lambda: tf.image.resize(cut, sides, "area")])

    fast = transform.decode == "fast" and transform.antialias and method == "bilinear"
    return over_areas if fast else exactly


def _mirror(pixels: tf.Tensor) -> tf.Tensor:
    """Return an image `[h, w, C]` mirrored; TensorFlow is several times faster at it without a batch axis."""
    return tf.reverse(pixels, [1])
