"""Decoding against Pillow, full decoding and tf.image; files are made here."""

import dataclasses
import io
import itertools
import subprocess
import sys

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf
from pictures import photograph, saved, seeds
from PIL import Image, ImageOps

from keras_mixsize.images import decoding, formats
from keras_mixsize.images.augmentations import PadCropFlip, RandomResizedCrop, WholeImage
from keras_mixsize.images.step_images import mirror_inputs
from keras_mixsize.images.transform import Transform


def windows_of(augmentation, height, width, copies):
    fill = [tf.fill([copies], float(side)) for side in (height, width)]
    return augmentation.windows(*fill, seeds(copies))


def with_pillow(data, window, size):
    """Return one window as torchvision would, by Pillow's decoder, crop and bilinear resize: floats of whole 0..255."""
    top, left, height, width = (float(side) for side in window[:4])
    image = Image.open(io.BytesIO(data)).convert("RGB").crop((left, top, left + width, top + height))
    image = image.resize((size, size), Image.BILINEAR)
    pixels = np.asarray(image, np.float32)
    return pixels[:, ::-1] if window[4] else pixels


@pytest.mark.parametrize("size", [16, 40, 64, 230])
def test_exact_decoding_is_that_of_pillow(size):
    data = saved(photograph())
    transform = Transform(RandomResizedCrop(), decode="exact")
    rendered = decoding.render_encoded(tf.constant(data), seeds(3), size, transform, 3)
    for pixels, *window in zip(
        rendered.numpy(), *(field.numpy() for field in windows_of(RandomResizedCrop(), 210, 275, 3))
    ):
        np.testing.assert_allclose(255 * pixels, with_pillow(data, window, size), atol=2.1)  # Pillow rounds twice


@pytest.mark.parametrize("size", [12, 20, 32, 50, 96, 150])
@pytest.mark.parametrize("copies", [1, 4])
@pytest.mark.parametrize("antialias", [True, False])
def test_the_fast_path_is_never_worse_than_plain_bilinear(size, copies, antialias):
    transform = Transform(RandomResizedCrop(), antialias=antialias)
    fast, plain = [], []
    for number in range(4):
        data = saved(photograph(seed=number))
        rendered = decoding.render_encoded(tf.constant(data), seeds(copies), size, transform, 3).numpy()
        windows = windows_of(RandomResizedCrop(), 210, 275, copies)
        decoded = tf.io.decode_jpeg(data, 3).numpy()
        for pixels, *window in zip(rendered, *(field.numpy() for field in windows)):
            reference = with_pillow(data, window, size)
            top, left, height, width = (int(side) for side in window[:4])
            cut = tf.image.resize(decoded[top : top + height, left : left + width], [size, size]).numpy().round()
            fast.append(np.abs(pixels - reference).mean())
            plain.append(np.abs((cut[:, ::-1] if window[4] else cut) - reference).mean())
    assert np.mean(fast) <= np.mean(plain) * 1.001


def averaging(extent, size):
    """Return the matrix that takes a line of pixels to `size` of them: means if half or less, else interpolation."""
    if extent >= 2 * size:
        edges = np.linspace(0, extent, size + 1)
        covered = np.minimum(edges[1:, None], np.arange(1, extent + 1)) - np.maximum(
            edges[:-1, None], np.arange(extent)
        )
        return np.maximum(covered, 0) * size / extent
    centers = (np.arange(size) + 0.5) * extent / size - 0.5
    return np.stack([np.interp(centers, np.arange(extent), row) for row in np.eye(extent)], axis=1)


def sampled(pixels, subsampling, quality=92):
    """Return a JPEG file whose chroma is sampled so."""
    if subsampling == "grey":
        return saved(pixels, quality=quality)
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, colorsubsampling=subsampling.replace(":", ""))


def elongated(draws, longest=1500):
    """Return the sides of an image of a random aspect ratio up to 100:1, standing or lying."""
    ratio = 100 ** draws.random()
    short = int(draws.integers(6, max(7, longest / ratio)))
    sides = [short, max(1, min(longest, round(short * ratio)))]
    return sides if draws.random() < 0.5 else sides[::-1]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("number", range(6))
def test_each_axis_is_averaged_over_areas_where_it_shrinks_by_two(channels, number):
    draws = np.random.default_rng(10 * channels + number)
    height, width = elongated(draws)
    pixels = draws.integers(0, 256, (height, width, channels)).astype(np.uint8)
    size = int(draws.integers(5, 100))
    rendered = decoding.render_encoded(
        tf.constant(saved(pixels.squeeze(2) if channels == 1 else pixels, "PNG")), seeds(1), size, Transform(), channels
    )
    expected = np.einsum("sh,hwc,tw->stc", averaging(height, size), pixels, averaging(width, size), optimize=True)
    np.testing.assert_allclose(tf.cast(rendered[0], tf.float32), expected, atol=0.51)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("length", [91, 600, 4800])
def test_no_stripe_of_one_pixel_vanishes(across, length):
    stripes = np.zeros((60, length), np.uint8)
    stripes[:, 3::10] = 255
    data = tf.constant(saved(stripes.T if across else stripes, "PNG"))
    rendered = tf.cast(decoding.render_encoded(data, seeds(1), 48, Transform(), 1)[0, ..., 0], tf.float32)
    assert abs(np.mean(rendered) - stripes.mean()) < (0.6 if length >= 600 else 3)
    if length >= 600:
        np.testing.assert_allclose(rendered, 25.5, atol=16)  # a mean over 12.5 pixels holds one stripe or two


TOLERANCE = 6.0  # of 255 on average, as the docstring of render_batch says


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "grey"])
@pytest.mark.parametrize("duplicates", [(1,), (2, 3, 4)], ids=str)
def test_fast_and_exact_decoding_agree_at_every_scale_and_aspect_ratio(subsampling, duplicates):
    draws = np.random.default_rng(len(subsampling) + max(duplicates))
    first = len(subsampling) + ord(subsampling[2])  # so that every scale meets every number of copies
    for scale, copies in zip((1, 2, 4, 8), itertools.islice(itertools.cycle(duplicates), first % 3, None)):
        height, width = elongated(draws)
        size = max(4, min(height, width) // scale)
        picture = photograph(height, width, 1 if subsampling == "grey" else 3, seed=scale)
        data = tf.constant(sampled(picture, subsampling))
        augmentation = WholeImage() if copies == 1 else RandomResizedCrop((0.5, 1.0))
        channels = 1 if subsampling == "grey" else 3
        fast, exact = (
            decoding.render_encoded(data, seeds(copies), size, Transform(augmentation, decode=how), channels)
            for how in ("fast", "exact")
        )
        difference = np.abs(tf.cast(fast, tf.float32) - 255 * exact).mean()
        assert difference < TOLERANCE, (height, width, size, difference)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_colours_are_kept_whatever_the_sampling_of_chroma(subsampling, scale):
    coarse = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    pixels = coarse.repeat(scale, axis=0).repeat(scale, axis=1)
    data = tf.constant(sampled(pixels, subsampling, quality=98))
    decoded = np.asarray(Image.open(io.BytesIO(data.numpy())).reduce(scale), np.float32)
    rendered = tf.cast(decoding.render_encoded(data, seeds(1), 32, Transform(), 3)[0], tf.float32)
    # The fast inverse DCT alone is wrong by up to 3 at this quality
    assert np.abs(rendered - coarse).mean() < np.abs(decoded - coarse).mean() + 3


def test_windows_over_the_border_are_black_outside():
    data = saved(np.full((40, 40, 3), 255, np.uint8))
    for how in ("fast", "exact"):
        rendered = decoding.render_encoded(
            tf.constant(data), seeds(8), 40, Transform(PadCropFlip(8, flip=False), decode=how), 3
        )
        windows = windows_of(PadCropFlip(8, flip=False), 40, 40, 8)
        for pixels, top, left in zip(
            rendered.numpy(), windows.top.numpy().astype(int), windows.left.numpy().astype(int)
        ):
            expected = np.pad(np.ones((40, 40)), 8)[8 + top : 48 + top, 8 + left : 48 + left]
            np.testing.assert_allclose(pixels[..., 0] / (255 if how == "fast" else 1), expected, atol=0.01)


def test_a_flip_is_the_mirror_image():
    data, window = tf.constant(saved(photograph())), windows_of(WholeImage(), 210, 275, 2)

    class Both:
        def windows(self, heights, widths, seeds):
            return window._replace(mirrored=tf.constant([False, True]))

    straight, mirrored = decoding.render_encoded(data, seeds(2), 32, Transform(Both()), 3).numpy()
    np.testing.assert_array_equal(straight, mirrored[:, ::-1])


def test_fast_decoding_rounds_to_bytes():
    pixels = photograph(64, 64)
    data = tf.constant(saved(pixels, "PNG"))
    unchanged = decoding.render_encoded(data, seeds(1), 64, Transform(), 3)
    assert unchanged.dtype == tf.uint8
    np.testing.assert_array_equal(unchanged[0], pixels)
    fast = decoding.render_encoded(data, seeds(5), 50, Transform(PadCropFlip(9), antialias=False), 3)
    exact = decoding.render_encoded(data, seeds(5), 50, Transform(PadCropFlip(9), decode="exact", antialias=False), 3)
    np.testing.assert_allclose(tf.cast(fast, tf.float32), 255 * exact, atol=0.501)


def test_mirroring_can_be_left_to_the_training_step():
    data, transform = tf.constant(saved(photograph())), Transform(RandomResizedCrop())
    whole = decoding.render_encoded(data, seeds(9), 40, transform, 3)
    left = decoding.render_encoded(data, seeds(9), 40, dataclasses.replace(transform, in_step=True), 3)
    assert 0 < np.count_nonzero(left.mirrored) < 9
    np.testing.assert_array_equal(mirror_inputs(left), whole)


def test_an_augmentation_may_say_what_is_mirrored_in_numbers():
    class Numbers:
        def windows(self, heights, widths, seeds):
            which = tf.numpy_function(lambda: np.float32([0, 1, 1]), [], tf.float32)
            return WholeImage().windows(heights, widths, seeds)._replace(mirrored=which)

    data = tf.constant(saved(photograph()))
    left = decoding.render_encoded(data, seeds(3), 24, Transform(Numbers(), in_step=True), 3)
    np.testing.assert_array_equal(left.mirrored, [False, True, True])
    whole = decoding.render_encoded(data, seeds(3), 24, Transform(Numbers()), 3)
    np.testing.assert_array_equal(mirror_inputs(left), whole)


@pytest.mark.parametrize("how", ["fast", "exact"])
def test_a_batch_is_its_images_duplicate_major(how):
    files = [saved(photograph(seed=1)), saved(photograph(90, 130), "PNG"), saved(photograph(300, 500, seed=2))]
    transform, stored = Transform(RandomResizedCrop(), decode=how), tf.constant(files)
    read = lambda index: tf.gather(stored, index)  # noqa: E731
    drawn = seeds(6)
    batch = tf.function(lambda: decoding.render_batch(read, tf.range(3, dtype=tf.int64), drawn, 48, transform, 3))()
    assert batch.shape == (6, 48, 48, 3) and batch.dtype == (tf.uint8 if how == "fast" else tf.float32)
    for number, data in enumerate(files):
        alone = decoding.render_encoded(tf.constant(data), drawn[number::3], 48, transform, 3)
        np.testing.assert_array_equal(batch[number::3], alone)


def bomb():
    """Return a PNG header of 100,000 x 100,000 pixels, without any."""
    data = bytearray(saved(photograph(8, 8), "PNG"))
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    return bytes(data)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is not JPEG, PNG, WebP"),
        (b"GIF89a" + bytes(40), "is not JPEG, PNG, WebP"),
        (b"\x89PNG\r\n\x1a\n", "is not JPEG, PNG, WebP"),
        (b"\xff\xd8\xff", "JPEG"),
        (saved(photograph())[:300], "JPEG"),
        (saved(photograph(), "PNG")[:300], "PNG"),
        (bomb(), r"1 to 178000000 pixels"),
    ],
)
def test_what_cannot_be_decoded_is_refused(data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decoding.render_encoded(tf.constant(data), seeds(1), 8, Transform(), 3)


def test_the_pixel_limit_can_be_set():
    data = tf.constant(saved(photograph(20, 30)))
    assert decoding.render_encoded(data, seeds(1), 8, Transform(), 3, pixel_limit=600).shape == (1, 8, 8, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 599 pixels"):
        decoding.render_encoded(data, seeds(1), 8, Transform(), 3, pixel_limit=599)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", ["fast", "exact"])
def test_other_kinds_of_pixels_are_converted(channels, how):
    colour, grey = photograph(64, 64), photograph(64, 64, 1)
    transparent = np.concatenate([colour, np.full((64, 64, 1), 128, np.uint8)], axis=-1)
    deep = grey.astype(np.uint16) * 257
    kinds = {
        "grey JPEG": (saved(grey), grey),
        "CMYK JPEG": (saved(colour, mode="CMYK"), colour),
        "grey PNG": (saved(grey, "PNG"), grey),
        "RGBA PNG": (saved(transparent, "PNG"), colour),
        "16-bit PNG": (saved(deep, "PNG"), grey),
        "palette PNG": (saved(colour, "PNG", "P"), colour),
    }
    if channels == 1:  # TensorFlow has no way from CMYK to grey
        with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG"):
            decoding.render_encoded(tf.constant(kinds.pop("CMYK JPEG")[0]), seeds(1), 64, Transform(decode=how), 1)
    for name, (data, pixels) in kinds.items():
        rendered = decoding.render_encoded(tf.constant(data), seeds(1), 64, Transform(decode=how), channels)[0].numpy()
        rendered = rendered * np.float32(255 if how == "exact" else 1)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=-1)
        expected = pixels if channels == 3 else np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
        assert np.abs(rendered - expected).mean() < (20 if name == "palette PNG" else 6), name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("how", ["fast", "exact"])
def test_a_turned_image_is_cut_and_mirrored_as_it_is_shown(orientation, how):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(photograph(96, 160))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=92, exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(stream.getvalue()))))
    transform = Transform(RandomResizedCrop((0.5, 1.0)), decode=how)
    turned = decoding.render_encoded(tf.constant(stream.getvalue()), seeds(4), 20, transform, 3)
    upright = decoding.render_encoded(tf.constant(saved(shown, "PNG")), seeds(4), 20, transform, 3)
    scale = 1 if how == "fast" else 255
    assert np.abs(scale * (tf.cast(turned, tf.float32) - tf.cast(upright, tf.float32))).mean() < 3
    stored = decoding.render_encoded(
        tf.constant(stream.getvalue()), seeds(4), 20, dataclasses.replace(transform, exif=False), 3
    )
    as_stored = decoding.render_encoded(tf.constant(saved(np.asarray(image), quality=92)), seeds(4), 20, transform, 3)
    np.testing.assert_array_equal(stored, as_stored)


def test_turned_images_can_be_mirrored_in_the_step():
    exif = Image.Exif()
    exif[0x0112] = 6
    data, transform = tf.constant(saved(photograph(), exif=exif)), Transform(RandomResizedCrop())
    left = decoding.render_encoded(data, seeds(9), 40, dataclasses.replace(transform, in_step=True), 3)
    np.testing.assert_array_equal(mirror_inputs(left), decoding.render_encoded(data, seeds(9), 40, transform, 3))


def test_huge_windows_are_averaged_over_areas_too():
    pixels = np.random.default_rng(0).integers(0, 256, (2200, 2200, 3)).astype(np.uint8)
    assert decoding._HUGE < 2200 * 2200
    rendered = decoding.render_encoded(
        tf.constant(saved(pixels, "PNG", compress_level=1)), seeds(1), 40, Transform(), 3
    )
    expected = pixels.reshape(40, 55, 40, 55, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(tf.cast(rendered[0], tf.float32), expected, atol=0.51)


HUGE_WINDOW = """
import pathlib, re, sys
import tensorflow as tf
from keras_mixsize.images import decoding
from keras_mixsize.images.transform import Transform

def peak(path):
    decoding.render_encoded(tf.io.read_file(path), tf.constant([1], tf.uint32), 40, Transform(), 3)
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

small, huge = map(peak, sys.argv[1:])
print(huge - small)
"""


@pytest.mark.slow
def test_huge_windows_are_not_held_as_floats(tmp_path):
    paths = [str(tmp_path / f"{side}.png") for side in (40, 8000)]
    for path, side in zip(paths, (40, 8000)):
        Image.new("RGB", (side, side), (10, 200, 30)).save(path)
    done = subprocess.run([sys.executable, "-c", HUGE_WINDOW, *paths], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    image = 3 * 8000**2
    assert image < int(done.stdout) < 4 * image  # decoded, its part, the window; as floats four more


def test_nearest_picks_pixels():
    data = saved(photograph(), "JPEG")
    whole = formats.decode(tf.constant(data), 3)
    rendered = decoding.render_encoded(tf.constant(data), seeds(1), 30, Transform(interpolation="nearest"), 3)
    np.testing.assert_array_equal(rendered[0], tf.image.resize(whole, [30, 30], "nearest"))
