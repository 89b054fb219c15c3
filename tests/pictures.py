"""Helpers of tests: image files, TFRecord shards, and rendering a source's examples."""

import numpy as np
import tensorflow as tf

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


def example(image, label, image_key="image", label_key="label"):
    """Return a serialised tf.train.Example; the label is an integer or a list of floats."""
    kinds = {"int64_list": tf.train.Int64List(value=[label])} if isinstance(label, int) else {}
    kinds = kinds or {"float_list": tf.train.FloatList(value=label)}
    image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    feature = {"name": tf.train.Feature(), image_key: image, label_key: tf.train.Feature(**kinds)}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


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
