"""What input.py measures against each other: pipelines and loops that make training images from JPEG files.

Each contender is a function of (files, size) that returns an endless iterator of how many images it has just made. The
files lie on disk, in the page cache. Every contender reads, decodes, crops at random and resizes, and all but `ours`
flip too; they differ in who does it. `other_loaders.py` has those of other frameworks, which need environments of their
own.

    taken = in_turns(["plain tf.data", "keras_mixsize"], files, 128, rounds=9, images=128)     # microseconds per image
"""

import functools
import io
import itertools
import os
import pathlib
import time
from collections.abc import Iterator

import numpy as np
import psutil
import tensorflow as tf
from measuring import alternate
from PIL import Image

import keras_mixsize as kms

BATCH = 64  # images, before copies, in every contender: the paper's batch of 256 on four devices
EPOCH = 10 * BATCH  # in ten steps each size of S(144) has its share
S144 = ((256, 0.1), (224, 0.1), (128, 0.6), (96, 0.2))  # the paper's regime of mean size 144
SCALES = (1, 2, 4, 8)  # by how much the decoder can scale down
PLAIN, OURS, QUICK = "plain tf.data", "keras_mixsize", "keras_mixsize, antialias=False"
FOUR, FOUR_QUICK = "keras_mixsize, D = 4", "keras_mixsize, D = 4, antialias=False"
FINISHED = "keras_mixsize, float32 batches"
PILLOW, LIMIT = "Pillow in a Python loop", "simplejpeg, decoding only"


def counted(dataset: tf.data.Dataset) -> Iterator[int]:
    """Return the batch sizes of an endless dataset of images, or of what the training step makes images of."""
    return (int(kms.images.images_of(inputs).shape[0]) for inputs in dataset)


def plain(files: list[str], size: int, *, calls: int = 1) -> Iterator[int]:
    """Make what people write by hand: decode, random crop, resize, flip, batch; one size, float32 in [0, 1]."""
    stored = tf.constant(files)

    def load(number):
        seed = tf.stack([number, number])
        image = tf.io.decode_jpeg(tf.io.read_file(stored[number % len(files)]), channels=3)
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(image), tf.zeros([0, 0, 4]), seed, area_range=(0.08, 1.0), use_image_if_no_bounding_boxes=True
        )
        image = tf.image.resize(tf.slice(image, begin, extent), [size, size]) / 255.0
        return tf.image.stateless_random_flip_left_right(image, seed)

    return counted(tf.data.Dataset.range(2**40).map(load, calls).batch(BATCH, drop_remainder=True).prefetch(1))


def ours(
    files: list[str], size: int, *, duplicates: int = 1, calls: int = 1, finished: bool = False, **transform
) -> Iterator[int]:
    """Make the library's batches at one size; size 144 stands for the regime S(144), with epochs of `EPOCH` images.

    They are as `MixSizeModel.fit` takes them, bytes and which of them are to be mirrored; or finished, float32 in [0,
    1].
    """
    sizes = S144 if size == 144 else ((size, 1.0),)
    files = [files[number % len(files)] for number in range(EPOCH)]
    regime = kms.Regime([kms.Bucket(side, BATCH, duplicates, share) for side, share in sizes])
    source = kms.sources.FileSource(files, np.zeros(len(files), np.int64), ("photograph",))
    data = kms.MixSizeDataset.from_source(source, regime=regime, parallel_calls=calls, **transform)
    return counted((data if finished else data.for_step()).map(lambda inputs, labels: inputs))


def one_by_one(load, files: list[str]) -> Iterator[int]:
    """Make images in a Python loop over the files, each read as bytes."""
    for number in itertools.count():
        load(pathlib.Path(files[number % len(files)]).read_bytes(), number)
        yield 1


def with_pillow(files: list[str], size: int) -> Iterator[int]:
    """Make images as a PyTorch DataLoader's worker does with torchvision's usual transforms."""

    def load(data, number):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        top, left, height, width = random_window(number, *image.size[::-1])
        image = image.crop((left, top, left + width, top + height)).resize((size, size), Image.BILINEAR)
        image = image.transpose(Image.FLIP_LEFT_RIGHT) if number % 2 else image
        return np.asarray(image, np.float32).transpose(2, 0, 1) / 255

    return one_by_one(load, files)


def only_decoded(files: list[str], size: int) -> Iterator[int]:
    """Decode with libjpeg-turbo, and nothing else, at the scale that the library would choose for the same windows."""
    import simplejpeg

    def load(data, number):
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        ratio = scale_of(random_window(number, height, width), size)
        return simplejpeg.decode_jpeg(
            data, fastdct=True, fastupsample=True, min_height=-(-height // ratio), min_width=-(-width // ratio)
        )

    return one_by_one(load, files)


CONTENDERS = {
    PLAIN: plain,
    OURS: ours,
    QUICK: functools.partial(ours, antialias=False),
    FINISHED: functools.partial(ours, finished=True),
    FOUR: functools.partial(ours, duplicates=4),
    FOUR_QUICK: functools.partial(ours, duplicates=4, antialias=False),
    PILLOW: with_pillow,
    LIMIT: only_decoded,
}


def random_window(number: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return a random resized crop (top, left, height, width), drawn as torchvision does."""
    draws = np.random.default_rng(number)
    area, ratio = draws.uniform(0.08, 1) * width * height, np.exp(draws.uniform(np.log(3 / 4), np.log(4 / 3)))
    h, w = (
        min(round(side), limit) for side, limit in zip((np.sqrt(area / ratio), np.sqrt(area * ratio)), (height, width))
    )
    return int(draws.integers(0, height - h + 1)), int(draws.integers(0, width - w + 1)), h, w


def scale_of(window: tuple[int, int, int, int], size: int) -> int:
    """Return by how much the library scales a window down while it decodes it."""
    return max(ratio for ratio in SCALES if ratio == 1 or min(window[2:]) >= ratio * size)


# Turns


def in_turns(names: list[str], files: list[str], size: int, *, rounds: int, images: int) -> dict[str, list[float]]:
    """Return the processor time of each contender in each round, in microseconds per image; they alternate at random.

    A turn ends when the process has fallen idle, so that what a pipeline makes ahead is counted as its own, and begins
    with as much made ahead as it ends with.
    """
    running = {name: CONTENDERS[name](files, size) for name in names}
    turns = {name: functools.partial(processor_time, make, images) for name, make in running.items()}
    return alternate(turns, rounds, warm_up=3, seed=0)


def processor_time(running: Iterator[int], images: int) -> float:
    """Return the microseconds per image that a contender takes for so many, and until it has fallen idle."""
    started, made = time.process_time(), 0
    while made < images:
        made += next(running)
    fall_idle()
    return 1e6 * (time.process_time() - started) / made


def fall_idle() -> None:
    """Wait until the threads of this process do nothing any more."""
    while True:
        started = time.process_time()
        time.sleep(0.03)
        if time.process_time() - started < 0.002:
            return


def memory(files: list[str], images: int) -> dict:
    """Return the memory of this process, in MB, at tenths of many images of the regime S(144)."""
    made, process, tenths = ours(files, 144, calls=os.cpu_count()), psutil.Process(), []
    count = 0
    for tenth in range(1, 11):
        while count < images * tenth / 10:
            count += next(made)
        tenths.append(round(process.memory_info().rss / 1e6))
    return {"images": count, "rss_mb_by_tenth": tenths, "peak_mb": max(tenths)}
