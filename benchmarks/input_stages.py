"""Where the time of the library's input pipeline goes: what each stage adds, in one loop of TensorFlow operations.

    taken = stages(files, 128, rounds=9)             # up to each stage, in microseconds per image, by round
    left = in_step(128, rounds=9)                    # what is left to the training step

All of it is processor time, as in `input_contenders`, whose windows and scales it takes.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from input_contenders import BATCH, SCALES, random_window, scale_of
from measuring import alternate
from PIL import Image

import keras_mixsize as kms

STAGES = ("read the file", "header", "entropy decoding", "inverse DCT and colour", "cut and resize", "round to bytes")


def stages(files: list[str], size: int, *, rounds: int) -> dict[str, list[float]]:
    """Return the microseconds per image up to each stage, by round, of processor time in one loop of operations.

    Decoding at 1/8 stands for the entropy decoding: it has only one value per block to transform.
    """
    numbers = range(len(files))
    sides = [Image.open(file).size[::-1] for file in files]
    windows = [random_window(number, *side) for number, side in zip(numbers, sides)]
    ratios = tf.constant([scale_of(window, size) for window in windows])
    stored, windows = tf.constant(files), tf.constant(windows)
    loops = {name: _loop_to(stage, stored, windows, ratios, size) for stage, name in enumerate(STAGES)}
    turns = {name: functools.partial(per_image, loop, len(files)) for name, loop in loops.items()}
    return alternate(turns, rounds, warm_up=1)


def in_step(size: int, *, rounds: int) -> list[float]:
    """Return the microseconds per image that a training step takes on this CPU to finish images, by round."""
    images = tf.zeros([BATCH, size, size, 3], tf.uint8)
    inputs = kms.images.StepImages(images, tf.range(BATCH) % 2 == 0)
    finish = tf.function(lambda: kms.images.to_float(kms.images.mirror_inputs(inputs)), autograph=False)
    return alternate({"finish": lambda: per_image(finish, BATCH)}, rounds, warm_up=2)["finish"]


def _loop_to(stage: int, stored: tf.Tensor, windows: tf.Tensor, ratios: tf.Tensor, size: int):
    """Return a function that takes every file as far as a stage, and returns a number that depends on all of it."""

    def decoded(data, window, ratio: int):
        part = tf.maximum(window // ratio, [0, 0, 1, 1])
        return tf.io.decode_and_crop_jpeg(data, part, channels=3, ratio=ratio)

    def one(number):
        data, window = tf.io.read_file(stored[number]), windows[number]

        def at_scale():
            scales = [lambda ratio=ratio: decoded(data, window, ratio) for ratio in SCALES]
            return tf.switch_case(tf.reduce_sum(tf.cast(ratios[number] > SCALES, tf.int32)), scales)

        made = [
            lambda: tf.strings.length(data),
            lambda: tf.io.extract_jpeg_shape(data),
            lambda: decoded(data, window, 8),
            at_scale,
            lambda: tf.image.resize(tf.cast(at_scale(), tf.float32), [size, size]),
            lambda: tf.cast(tf.round(tf.image.resize(tf.cast(at_scale(), tf.float32), [size, size])), tf.uint8),
        ]
        return tf.cast(tf.reshape(made[stage](), [-1])[0], tf.int32)

    def add(number, total):
        return number + 1, total + one(number)

    def loop():
        return tf.while_loop(lambda number, _: number < len(windows), add, (0, 0), parallel_iterations=1)[1]

    return tf.function(loop, autograph=False)


def per_image(work: Callable[[], Any], images: int) -> float:
    """Return the processor time of a call, in microseconds per image."""
    started = time.process_time()
    work()
    return 1e6 * (time.process_time() - started) / images
