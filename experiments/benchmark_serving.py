"""Measures an export beside a plain Keras export of the same network, and its size cascade, alternating, in one run.

    python experiments/export.py --run=runs/demo/b+ --output=exported
    python experiments/benchmark_serving.py --run=runs/demo/b+ --exported=exported --output=docs/benchmarks/serving.json

For each size and batch: the time of a call (median and 99th percentile) and images per second of both, on images of exactly that
size, as the ratio of their medians. Then the time to load and to answer first, with and without warm-up, and the time of the
cascade beside that of its large size on the test images that did not fit it.
"""

import json
import pathlib
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import keras_mixsize as kms
from one_run import RunConfig, console, load_source, replace_file, versions

RUN = flags.DEFINE_string("run", None, "Folder of the finished run.", required=True)
EXPORTED = flags.DEFINE_string("exported", "exported", "What export.py wrote.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Of the data set; the run's unless given.")
BATCHES = flags.DEFINE_list("batches", ["1", "32"], "Images at a time.")
ROUNDS = flags.DEFINE_integer("rounds", 200, "Calls of each kind.", lower_bound=10)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_serving.json", "File for the figures.")


def clocked(function) -> float:
    """Return the milliseconds of a call."""
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def in_turns(functions: dict, rounds: int) -> dict[str, np.ndarray]:
    """Return the milliseconds of each function's calls, taken in turns after one that does not count."""
    for function in functions.values():
        function()
    times = [{name: clocked(function) for name, function in functions.items()} for _ in range(rounds)]
    return {name: np.array([turn[name] for turn in times]) for name in functions}


def describe(times: np.ndarray, batch: int) -> dict:
    """Return median, 99th percentile and throughput."""
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50_ms": p50, "p99_ms": p99, "images_per_second": 1000 * batch / p50}


def compare(served: kms.serving.ServedModel, plain, size: int, batch: int) -> dict:
    """Return the times of both exports for batches of one size."""
    channels = served.manifest["input"]["channels"]
    images = tf.random.stateless_uniform([batch, size, size, channels], (0, 0))
    signature, other = served.signatures[f"serve_{size}"], plain.signatures["serving_default"]
    (name,) = other.structured_input_signature[1]
    calls = {
        "ours": lambda: signature(images=images)["logits"].numpy(),
        "keras": lambda: next(iter(other(**{name: images}).values())).numpy(),
    }
    times = in_turns(calls, ROUNDS.value)
    found = {kind: describe(values, batch) for kind, values in times.items()}
    ratio = found["ours"]["p50_ms"] / found["keras"]["p50_ms"]
    console.print(f"{size} px, batch {batch}: {found['ours']['p50_ms']:.2f} ms, {ratio:.3f} of Keras's export")
    return {"size": size, "batch": batch, "ratio": ratio} | found


def starts() -> dict:
    """Return the seconds to load, and the milliseconds of the first answer cold and after `warm_up`."""
    start = time.perf_counter()
    cold, warm = kms.serving.load(EXPORTED.value), kms.serving.load(EXPORTED.value)
    load_seconds = (time.perf_counter() - start) / 2
    size = cold.sizes[0]
    images = np.zeros([1, size, size, cold.manifest["input"]["channels"]], np.uint8)
    return {
        "load_seconds": load_seconds,
        "first_answer_cold_ms": clocked(lambda: cold.predict(images, size=size)),
        "warm_up_seconds": clocked(warm.warm_up) / 1000,
        "first_answer_warm_ms": clocked(lambda: warm.predict(images, size=size)),
    }


def cascade_times(served: kms.serving.ServedModel, test: kms.sources.ArraySource) -> dict:
    """Return accuracy and time of the cascade and of its large size, on the half of the test set that did not fit it."""
    large, limit = served.manifest["cascade"]["large"], served.manifest["input"]["max_batch"]
    images, labels = test.images[test.num_examples // 2 :], test.labels[test.num_examples // 2 :]
    parts = [slice(low, low + limit) for low in range(0, len(images), limit)]
    answers = {}

    def run(name, predict):
        answers[name] = np.concatenate([predict(images[part]).labels[:, 0] for part in parts])

    calls = {
        "cascade": lambda: run("cascade", served.predict_cascade),
        "large": lambda: run("large", lambda batch: served.predict(batch, size=large)),
    }
    times = in_turns(calls, max(5, ROUNDS.value // 20))
    accuracy = {name: float((labels == found).mean()) for name, found in answers.items()}
    ratio = float(np.median(times["cascade"]) / np.median(times["large"]))
    console.print(f"cascade: {ratio:.2f} of the time of {large} px, accuracy {accuracy}")
    return {"time_ratio": ratio, "accuracy": accuracy, "cascade": served.manifest["cascade"], "images": len(images)}


def main(_):
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells the names of all captured weights otherwise
    folder = pathlib.Path(RUN.value)
    config = RunConfig.from_dict(json.loads((folder / "results.json").read_text())["config"])
    served = kms.serving.load(EXPORTED.value)
    with tempfile.TemporaryDirectory() as place:
        keras.saving.load_model(folder / "model.keras").network.export(place, verbose=False)
        plain = tf.saved_model.load(place)
        batches = [int(batch) for batch in BATCHES.value]
        sizes = [compare(served, plain, size, batch) for size in served.sizes for batch in batches]
    results = {"versions": versions(), "run": folder.name, "sizes": sizes, "start": starts()}
    if served.manifest["cascade"] is not None:
        test = load_source(config.dataset, "test", DATA_DIR.value or config.data_dir)
        results["cascade"] = cascade_times(served, test)
    replace_file(pathlib.Path(OUTPUT.value), json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
