"""Measures how fast TFRecord shards are indexed, beside a loop in Python over the same records.

    python benchmarks/index_records.py --output=docs/benchmarks/index_records.json

The loop is what version 0.1.0 did: a record at a time from TensorFlow, parsed by protobuf, its image's header read.
Both check every checksum and find the same offsets, labels and sides. The processor's time is that of all threads, and
hardly depends on who else uses the machine, as records a second do.
"""

import io
import pathlib
import tempfile
import time

import numpy as np
import tensorflow as tf
from absl import app, flags
from measuring import Spread, alternate, ratios, show_spreads, write_results

from keras_mixsize.images.headers import read_header
from keras_mixsize.sources.tfrecords import FRAME, index_shards

RECORDS = flags.DEFINE_integer("records", 20_000, "Records in all shards.", lower_bound=4)
SHARDS = flags.DEFINE_integer("shards", 4, "Shards.", lower_bound=1)
SIDE = flags.DEFINE_integer("side", 96, "Side of the JPEG images in pixels.", lower_bound=8)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds that count.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_index_records.json", "File for the figures.")


def write_shards(folder: str) -> list[str]:
    """Write shards of JPEG images of noise, as large as photographs of that side, and return their paths."""
    noise = np.random.default_rng(0).integers(96, 160, (16, SIDE.value, SIDE.value, 3)).astype(np.uint8)
    images = [tf.io.encode_jpeg(pixels, quality=80).numpy() for pixels in noise]
    paths = [f"{folder}/train.tfrecord-{number:05}-of-{SHARDS.value:05}" for number in range(SHARDS.value)]
    for path in paths:
        with tf.io.TFRecordWriter(path) as writer:
            for number in range(RECORDS.value // SHARDS.value):
                writer.write(example(images[number % len(images)], number % 1000))
    return paths


def example(image: bytes, label: int) -> bytes:
    """Return a serialised tf.train.Example."""
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def one_by_one(paths: list[str]) -> np.ndarray:
    """Return offset, label, height and width of each record, by a loop: `[N, 4]`."""
    rows = []
    for path in paths:
        offset = 0
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            header = read_header(io.BytesIO(features["image"].bytes_list.value[0]))
            rows.append((offset, features["label"].int64_list.value[0], header.height, header.width))
            offset += len(record) + FRAME
    return np.array(rows)


def in_batches(paths: list[str]) -> np.ndarray:
    """Return the same, by the library."""
    with tempfile.TemporaryDirectory() as folder:
        index = index_shards(paths, cache=pathlib.Path(folder) / "index", progress=False)
    return np.stack([index.offsets, index.labels, index.heights, index.widths], axis=1)


def measured(function, paths: list[str]) -> tuple[float, float]:
    """Return seconds of the clock and of the processor."""
    start = time.perf_counter(), time.process_time()
    function(paths)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main(_):
    with tempfile.TemporaryDirectory() as folder:
        paths = write_shards(folder)
        size = sum(pathlib.Path(path).stat().st_size for path in paths)
        np.testing.assert_array_equal(one_by_one(paths), in_batches(paths))
        contenders = {"loop": one_by_one, "library": in_batches}
        turns = alternate({name: lambda f=f: measured(f, paths) for name, f in contenders.items()}, ROUNDS.value)
    count = RECORDS.value // SHARDS.value * SHARDS.value
    facts = {}
    for name, pairs in turns.items():
        seconds, processor = zip(*pairs)
        facts[f"{name}_records_a_second"] = Spread.quartiles(count / np.array(seconds))
        facts[f"{name}_processor_us_a_record"] = Spread.quartiles(1e6 * np.array(processor) / count)
    for place, what in enumerate(("clock", "processor")):
        loop, library = ([pair[place] for pair in turns[name]] for name in contenders)
        facts[f"loop_over_library_{what}"] = ratios(loop, library)
    show_spreads("indexing TFRecord shards", facts, digits=1)
    settings = {"records": count, "shards": SHARDS.value, "bytes_a_record": size / count, "rounds": ROUNDS.value}
    write_results(OUTPUT.value, settings | facts)


if __name__ == "__main__":
    app.run(main)
