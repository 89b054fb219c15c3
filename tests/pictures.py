"""Helpers of tests: image files, TFRecord shards, and rendering a source's examples."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_mixsize.images.augmentations import WholeImage
from keras_mixsize.images.rendering import to_float
from keras_mixsize.images.transform import Transform


def gradient(height, width, value=0):
    """Return a smooth image: uint8 `[height, width, 3]`."""
    row = np.arange(width, dtype=np.uint8)[None, :, None] * 3 + value
    return np.broadcast_to(row, (height, width, 3)) + np.uint8([0, 20, 40])


def encoded(pixels, suffix=".jpg"):
    """Return pixels as the bytes of a JPEG or PNG file."""
    encode = tf.io.encode_png if suffix == ".png" else tf.io.encode_jpeg
    return encode(tf.constant(pixels)).numpy()


def write_image(path, height=20, width=30, value=0):
    """Write a smooth image in the format of the path's suffix and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = gradient(height, width, value)
    path.write_bytes(encoded(pixels, path.suffix))
    return pixels


def feature(values):
    """Return a feature of one value or a list of them: bytes, integers or floats."""
    values = values if isinstance(values, list) else [values]
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def example(image, label, image_key="image", label_key="label"):
    """Return a serialised tf.train.Example; image and label are one value each, or a list of them."""
    features = {"name": tf.train.Feature(), image_key: feature(image), label_key: feature(label)}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_shards(folder, counts, name="train.tfrecord", label=int, **keys):
    """Write shards of PNG images whose heights and labels count up from 10 and 0; return paths and images."""
    paths, images = [], []
    for shard, count in enumerate(counts):
        paths.append(folder / f"{name}-{shard:05}-of-{len(counts):05}")
        with tf.io.TFRecordWriter(str(paths[-1])) as writer:
            for _ in range(count):
                images.append(encoded(gradient(10 + len(images), 30, len(images)), ".png"))
                writer.write(example(images[-1], label(len(images) - 1), **keys))
    return paths, images


def render(source, indices, size=16, duplicates=1, augmentation=None):
    """Return a source's images as an array: float32 `[D*B, size, size, C]` in [0, 1]."""
    seeds = tf.cast(tf.range(len(indices) * duplicates, dtype=tf.int64), tf.uint32)
    transform = Transform(augmentation=augmentation or WholeImage())
    return to_float(source.render(tf.constant(indices, tf.int64), seeds, tf.constant(size), transform)).numpy()


def photograph(height=210, width=275, channels=3, seed=0):
    """Return smooth shapes with texture, uint8 `[height, width, channels]`: of all frequencies, as a photograph."""
    draws = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = sum(
        np.sin(
            x[..., None] * draws.normal(0, f, channels) + y[..., None] * draws.normal(0, f, channels) + draws.random()
        )
        / (1 + 8 * f)
        for f in (0.01, 0.03, 0.1, 0.3, 0.9, 1.5)
    )
    pixels = 127 + 45 * waves + draws.normal(0, 6, (height, width, channels))
    return np.clip(pixels, 0, 255).astype(np.uint8).squeeze()


def saved(pixels, form="JPEG", mode=None, **options):
    """Return pixels as the bytes of a file that Pillow writes, of good quality unless `options` say otherwise."""
    stream, image = io.BytesIO(), Image.fromarray(pixels)
    options = {"quality": 92} | options if form == "JPEG" else options
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


def seeds(count):
    """Return seeds of copies, uint32 `[count]`, always the same."""
    return tf.cast(np.random.default_rng(5).integers(0, 2**32, count), tf.uint32)
