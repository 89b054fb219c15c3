"""Decoding: encoded images to the pixels of their windows, at the cost that the target size needs.

Sizes are read from the headers and windows are drawn before anything is decoded. Of a JPEG only the region that its
windows cover is decoded, at 1/2, 1/4 or 1/8 of its size (a shorter inverse DCT) where every window is at least that
many times the target. Other formats have no such shortcut and are decoded in full. Neighbours: `formats` (headers,
whole images), `regions` (what is decoded), `transform` (the settings); used by the sources.

    pixels = render_batch(read, indices, seeds, size, transform, channels=3)  # [D*B, size, size, 3] uint8
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from keras_mixsize.images.augmentations import draw_windows
from keras_mixsize.images.batch_headers import JPEG, Headers, parse_headers
from keras_mixsize.images.formats import checked_headers, other_decoders, start_of
from keras_mixsize.images.headers import PIXEL_LIMIT
from keras_mixsize.images.orientation import shown_sides, stored_windows, turned, turns
from keras_mixsize.images.regions import DCT_SCALES, Regions, covering_regions, largest_scales, whole_regions
from keras_mixsize.images.step_images import StepImages
from keras_mixsize.images.transform import Transform


def render_encoded(
    data: tf.Tensor, seeds: tf.Tensor, size, transform: Transform, channels: int, *, pixel_limit: int = PIXEL_LIMIT
) -> tf.Tensor | StepImages:
    """Return the augmented copies of one encoded image; see `render_batch`, which is faster for many.

    Args:
        data: string scalar, a file of one of the formats of `formats`.
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
    `tf.image.resize`. With `"fast"` a JPEG is decoded at the smallest scale at which every window still holds the
    target size, in luma and chroma. The edges of its windows are rounded to that grid, which moves them by at most
    half an output pixel. Along an axis on which a window is still twice the target or more, `transform.antialias`
    averages over areas; along one on which it is not, two-point interpolation skips no pixel. Interpolation `"nearest"`
    picks pixels, so images are not scaled for it. With `transform.exif` a JPEG is turned as its Exif orientation says.

    For pictures like photographs the two differ by less than 6 of 255 on average, at any aspect ratio up to 100:1: a
    mean over an area is not the wide triangle that `"exact"` weighs with.

    Args:
        read: function of an example's index, int64 scalar, that returns its encoded image, string scalar.
        indices: int64 `[B]`.
        seeds: uint32 `[D*B]`; number n is for a copy of example `indices[n % B]`.
        size: side of the result in pixels, int32 scalar or integer.
        transform: its augmentation, interpolation, antialias, decode, exif and in_step are used.
        channels: 1 (grey) or 3 (RGB); every image is converted.
        pixel_limit: largest height times width; checked before decoding.

    Returns:
        `[D*B, size, size, channels]`, uint8 with `"fast"` and float32 in [0, 1] with `"exact"`. With
        `transform.in_step` they are not mirrored yet, but StepImages.

    Raises:
        tf.errors.InvalidArgumentError: another format, a damaged file, or more pixels than the limit.
    """
    items, headers = _read_all(read, indices, pixel_limit)
    orientations = headers.orientations if transform.exif else tf.ones_like(headers.orientations)
    copies = tf.size(seeds) // tf.size(indices)
    shown = tf.cast(shown_sides(headers.sides, orientations), tf.float32)
    windows = draw_windows(transform.augmentation, *tf.unstack(tf.tile(shown, [copies, 1]), axis=1), seeds, size)
    stored = stored_windows(windows, headers.sides, orientations)
    if transform.decode == "exact":
        scales, regions = (1,), whole_regions(stored, headers.sides)
    else:
        scales = (1,) if transform.interpolation == "nearest" else DCT_SCALES
        chroma = tf.ones_like(headers.chroma) if channels == 1 else headers.chroma
        largest = largest_scales(stored, chroma, size, scales)
        regions = covering_regions(stored, headers.sides, tf.where(headers.formats == JPEG, largest, 1))
    flips = tf.zeros_like(windows.mirrored) if transform.in_step else windows.mirrored
    turn = turns(tf.tile(orientations, [copies]), flips)
    tasks = _tasks(headers.formats, regions, turn, scales, size, channels)
    images = _render_regions(items, tasks, scales, transform, size, channels)
    if not transform.in_step:
        return images
    return StepImages(images, tf.reshape(tf.cast(windows.mirrored, tf.bool), tf.shape(seeds)))


def _read_all(read: Callable, indices: tf.Tensor, pixel_limit: int) -> tuple[tf.TensorArray, Headers]:
    """Return the files of a batch and their headers.

    The files are an array of scalars, because indexing a tensor of strings copies them.
    """
    batch = tf.size(indices)
    items = tf.TensorArray(tf.string, batch, element_shape=[], clear_after_read=False)
    starts = tf.TensorArray(tf.string, batch, element_shape=[])
    jpeg_sides = tf.TensorArray(tf.int32, batch, element_shape=[2])

    def add(image, items, starts, jpeg_sides):
        data = read(tf.gather(indices, image))
        start, sides = start_of(data)
        return image + 1, items.write(image, data), starts.write(image, start), jpeg_sides.write(image, sides)

    state = (0, items, starts, jpeg_sides)
    _, items, starts, jpeg_sides = tf.while_loop(lambda image, *_: image < batch, add, state)  # reads overlap
    return items, checked_headers(parse_headers(starts.stack(), jpeg_sides.stack()), pixel_limit)


# Decoding and cutting, copy by copy. An operation of TensorFlow costs as much as 100 pixels, and each tensor that a
# loop
# takes from outside three operations an iteration: so all that a batch can compute at once comes to the loop as one
# table

_OTHERS = 3  # formats beside JPEG
_COLUMNS = [6, 4, 3, 3]  # numbers, the region's box, the window's corner and extent within the region


def _tasks(
    formats: tf.Tensor, regions: Regions, turn: tf.Tensor, scales: tuple[int, ...], size, channels: int
) -> tf.Tensor:
    """Return what there is to do for each output, the copies of an image in a row: int32 `[D*B, sum(_COLUMNS)]`.

    The numbers are the image's index in the batch, the index of the output, the decoder (see `_decoders`; beyond its
    end, the region of the copy before), the margin, the window's filter (see `_resampler`), and how it is turned.
    """
    batch, count = tf.size(regions.scales), tf.size(turn)
    image, copy = tf.range(count) // (count // batch), tf.range(count) % (count // batch)
    output = copy * batch + image
    of_scale = tf.reduce_sum(tf.cast(regions.scales[:, None] > scales, tf.int32), axis=1)
    decoders = tf.where(formats == JPEG, of_scale, len(scales) - 1 + formats)
    decoder = tf.where(copy > 0, len(scales) + _OTHERS, tf.gather(decoders, image))
    corners, extents = tf.gather(regions.corners, output), tf.gather(regions.extents, output)
    numbers = [
        image,
        output,
        decoder,
        tf.gather(regions.margins, image),
        _filters(extents, size),
        tf.gather(turn, output),
    ]
    corner = tf.pad(corners, [[0, 0], [0, 1]])
    extent = tf.pad(extents, [[0, 0], [0, 1]], constant_values=channels)
    return tf.concat([tf.stack(numbers, axis=1), tf.gather(regions.boxes, image), corner, extent], axis=1)


def _filters(extents: tf.Tensor, size) -> tf.Tensor:
    """Return the filter for windows of these heights and widths, int32 `[N, 2]`; see `_resampler`."""
    rows, columns = tf.unstack(tf.cast(extents >= 2 * size, tf.int32), axis=1)
    huge = tf.cast(tf.reduce_prod(extents, axis=1) > _HUGE, tf.int32)
    return rows + 2 * columns + rows * columns * huge


def _render_regions(
    items: tf.TensorArray, tasks: tf.Tensor, scales: tuple[int, ...], transform: Transform, size, channels: int
) -> tf.Tensor:
    """Return all outputs: `[D*B, size, size, channels]`, uint8 or float32 as in `render_batch`.

    The copies of an image are made one after the other, so that only one region is held, but stored `B` rows apart.
    """
    resample, dtype = _resampler(transform, size), tf.uint8 if transform.decode == "fast" else tf.float32

    def add(task, last_region, rendered):
        numbers, box, corner, extent = tf.split(tf.gather(tasks, task), _COLUMNS)
        image, output, decoder, margin, chosen, turn = tf.unstack(numbers)
        decoders = _decoders(items.read(image), box, scales, transform.decode, channels)
        region = tf.switch_case(decoder, [*(_padded(decode, margin) for decode in decoders), lambda: last_region])
        region.set_shape([None, None, channels])
        pixels = resample(tf.slice(region, corner, extent), chosen)
        pixels = tf.cast(tf.round(pixels), tf.uint8) if dtype == tf.uint8 else pixels * (1 / 255)
        return task + 1, region, rendered.write(output, turned(pixels, turn))

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
    """Return functions that decode a region, uint8 `[h, w, channels]`: of a JPEG at each scale, then of the others."""

    def jpeg(scale: int):
        # Chroma that is interpolated between its samples smears where it has about as many of them as there are outputs
        options = {"dct_method": "INTEGER_ACCURATE" if how == "exact" else "", "fancy_upscaling": scale == 1}
        return tf.io.decode_and_crop_jpeg(data, box, channels, ratio=scale, **options)

    def cut(decode):
        corner, extent = tf.pad(box[:2], [[0, 1]]), tf.pad(box[2:], [[0, 1]], constant_values=channels)
        return tf.slice(decode(), corner, extent)

    others = [functools.partial(cut, decode) for decode in other_decoders(data, channels)]
    return [*(functools.partial(jpeg, scale) for scale in scales), *others]


def _padded(decode: Callable, margin: tf.Tensor) -> Callable:
    """Return a function of what another one returns, with black around it; no copy where nothing is added."""
    return lambda: tf.pad(decode(), margin * tf.constant([[1, 1], [1, 1], [0, 0]]))


_HUGE = 2**22  # pixels of a cut whose floats, 50 MB, are not worth a resize that is a fifth faster


def _resampler(transform: Transform, size) -> Callable:
    """Return a function of a cut, uint8 `[h, w, C]`, and its filter; it returns float32 in 0..255.

    Filter 0 is for a window that is less than twice the target along both axes, 1 for one that is twice the target or
    more in height only, 2 in width only, 3 in both, 4 for such a one that is huge.
    """
    method, sides = transform.interpolation, tf.stack([size, size])

    def exactly(cut, _):
        # TensorFlow resizes floats faster than bytes
        pixels = tf.image.resize(tf.cast(cut, tf.float32), sides, method, antialias=transform.antialias)
        return tf.clip_by_value(pixels, 0.0, 255.0) if method == "bicubic" else pixels

    def over_areas(cut, chosen):
        height, width = tf.unstack(tf.shape(cut)[:2])

        def both():  # twice as fast as the wide triangle that `antialias` stands for
            return tf.image.resize(tf.cast(cut, tf.float32), sides, "area")

        filters = [
            lambda: tf.image.resize(tf.cast(cut, tf.float32), sides),
            lambda: tf.image.resize(tf.image.resize(cut, tf.stack([size, width]), "area"), sides),
            lambda: tf.image.resize(tf.image.resize(cut, tf.stack([height, size]), "area"), sides),
            both,
            lambda: tf.image.resize(cut, sides, "area"),
        ]
        return tf.switch_case(chosen, filters)

    fast = transform.decode == "fast" and transform.antialias and method == "bilinear"
    return over_areas if fast else exactly
