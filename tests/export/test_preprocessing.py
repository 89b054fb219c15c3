"""What an export does to images, against tf.image.resize and a NumPy crop."""

import functools
import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from pictures import photograph, saved
from PIL import Image, ImageOps

import keras_mixsize as kms
from keras_mixsize.export.preprocessing import Preprocessing


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 20, 28, 3)).astype("uint8")


@functools.cache
def decoder(size):
    spec = tf.TensorSpec([None], tf.string)
    return tf.function(lambda data: Preprocessing().decode(data, size, 3, 10_000_000), input_signature=[spec])


def decode(files, size):
    return decoder(size)(tf.constant(files)).numpy()


def smooth_picture(side):
    ramp = np.linspace(0, 255, side)
    return np.stack([np.tile(ramp, (side, 1)), np.tile(ramp[:, None], side), np.full((side, side), 90)], -1).astype(
        "uint8"
    )


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("size", [12, 40])
def test_whole_images_are_resized(images, size, interpolation):
    options = Preprocessing(interpolation=interpolation)
    expected = tf.image.resize(images / np.float32(255), [size, size], method=interpolation, antialias=True)
    np.testing.assert_allclose(options.prepare(tf.constant(images), size), np.clip(expected, 0, 1), atol=1e-6)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(9, 14), (40, 33)])
def test_each_image_of_a_batch_is_resized_as_alone(count, channels, height, width):
    images = np.random.default_rng(0).integers(0, 256, (count, height, width, channels)).astype("uint8")
    expected = tf.image.resize(images, [16, 16], antialias=True) / np.float32(255)
    np.testing.assert_array_equal(Preprocessing().prepare(tf.constant(images), 16), expected)


def test_uint8_and_float32_give_the_same(images):
    floats = tf.constant(images / np.float32(255))
    np.testing.assert_allclose(*(Preprocessing().prepare(x, 12) for x in (tf.constant(images), floats)), atol=1e-6)


def test_an_image_of_the_size_is_taken_as_it_is(images):
    square = images[:, :20, :20] / np.float32(255)
    np.testing.assert_array_equal(Preprocessing().prepare(tf.constant(square), 20), square)


def test_the_central_square_is_that_of_the_evaluation(images):
    window = kms.CenterCrop(0.8).windows(tf.fill([3], 20.0), tf.fill([3], 28.0), tf.zeros([3], tf.uint32))
    expected = kms.images.render(tf.constant(images), window, 12)
    np.testing.assert_allclose(Preprocessing(center_crop=0.8).prepare(tf.constant(images), 12), expected, atol=1e-5)


def test_mean_and_std_act_on_unit_range(images):
    options = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    expected = (Preprocessing().prepare(tf.constant(images), 12) - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    np.testing.assert_allclose(options.prepare(tf.constant(images), 12), expected, atol=1e-5)


def test_png_files_are_decoded_to_their_pixels(images):
    files = [tf.io.encode_png(image).numpy() for image in images]
    np.testing.assert_allclose(decode(files, 12), Preprocessing().prepare(tf.constant(images), 12), atol=1e-6)


@pytest.mark.parametrize("size", [16, 60, 200])
def test_a_jpeg_decoded_at_a_scale_looks_like_one_decoded_whole(size):
    file = tf.io.encode_jpeg(smooth_picture(128), quality=95)
    whole = Preprocessing().prepare(tf.io.decode_jpeg(file)[None], size)
    assert np.abs(decode([file.numpy()], size) - whole).max() < 0.03


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, Preprocessing()),
        ({"window": "WholeImage()", "antialias": False}, Preprocessing(antialias=False)),
        ({"window": repr(kms.CenterCrop()), "interpolation": "bicubic"}, Preprocessing(0.875, "bicubic")),
    ],
)
def test_it_follows_a_report(about, expected):
    assert Preprocessing.of_report(about) == expected


def test_a_report_of_another_window_is_refused():
    with pytest.raises(ValueError, match="preprocessing must be given for a report measured with the window Tiles"):
        Preprocessing.of_report({"window": "Tiles()"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"center_crop": 1.5}, "center_crop must be in"),
        ({"interpolation": "cubic"}, "interpolation must be"),
        ({"mean": (0.5,)}, "given together"),
        ({"mean": (0.5,), "std": (0.0,)}, "std must be a positive"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**options)


def test_mean_of_other_channels_is_refused():
    with pytest.raises(ValueError, match="model's 3 channels, got 1"):
        Preprocessing(mean=(0.5,), std=(0.5,)).check_channels(3)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_jpeg_is_turned_as_it_is_shown_and_as_the_network_was_trained(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(photograph(60, 90), exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))
    assert np.abs(decode([file], 12) - Preprocessing().prepare(shown[None], 12)).mean() < 0.02


HUGE_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 23000, 23000) + b"\x08\x02\0\0\0"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "image 1 cannot be used: it is empty"),
        (b"GIF89a something", "image 1 cannot be used: it is neither JPEG nor PNG"),
        (HUGE_PNG, "image 1 cannot be used: it has more pixels"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
        (saved(photograph(9, 9), "BMP"), "image 1 cannot be used: it is neither JPEG nor PNG"),
        (saved(photograph(9, 9), "WEBP"), "image 1 cannot be used: it is neither JPEG nor PNG"),
    ],
)
def test_bad_files_are_refused(images, data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode([tf.io.encode_png(images[0]).numpy(), data], 12)
