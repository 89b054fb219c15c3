"""Measures an export beside a plain Keras export of the same network, and its size cascade, alternating, in one run.

    make serve          # or any other export of a run; stop it again
    python benchmarks/serving.py --run=runs/serve/b+ --output=docs/benchmarks/serving.json

For each size and batch: the time of a call (median, quartiles and 99th percentile) and images per second of both, on
images of exactly that size, and the ratio of their medians over ten parts of the run. Then the time to load and to
answer first, with and without warm-up, the bytes on the disk, and the time of the cascade beside that of its large size
on the test images that did not fit it.
"""

import functools
import itertools
import os
import pathlib
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from exported import EXPORTED, RUN, Examples, halves, in_batches, load_export
from measuring import Spread, alternate, console, ratios, seconds_of, write_results

import keras_mixsize as kms
from keras_mixsize.cli.results import load_run
from keras_mixsize.evaluation.calibration import get_statistics

PARTS = 10  # of the calls, each with a ratio of its own
BATCHES = flags.DEFINE_list("batches", ["1", "8", "32"], "Images at a time.")
ROUNDS = flags.DEFINE_integer("rounds", 200, "Calls of each kind.", lower_bound=PARTS)
COLD_STARTS = flags.DEFINE_integer("cold_starts", 3, "Times that both exports are loaded.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_serving.json", "File for the figures.")


# Calls


def milliseconds(calls: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Return the time of each function's calls, taken in turns after one that does not count."""
    turns = {name: functools.partial(seconds_of, call) for name, call in calls.items()}
    return {name: [1000 * value for value in values] for name, values in alternate(turns, rounds, warm_up=1).items()}


def describe(times: list[float], batch: int) -> dict:
    """Return quartiles, 99th percentile and throughput."""
    (p25, p50, p75), p99 = Spread.quartiles(times), float(np.percentile(times, 99))
    return {"p25_ms": p25, "p50_ms": p50, "p75_ms": p75, "p99_ms": p99, "images_per_second": 1000 * batch / p50}


def ratios_of_medians(ours: list[float], other: list[float]) -> Spread:
    """Return the quartiles of the ratio of medians, over the parts of the run."""
    return ratios(*([np.median(part) for part in np.array_split(times, PARTS)] for times in (ours, other)))


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
    times = milliseconds(calls, ROUNDS.value)
    ratio = ratios_of_medians(times["ours"], times["keras"])
    found = {kind: describe(values, batch) for kind, values in times.items()}
    console.print(f"{size} px, batch {batch}: {found['ours']['p50_ms']:.2f} ms, {ratio} of Keras's export")
    return {"size": size, "batch": batch} | found | {"ratio": ratio}


# Starts


class Start:
    """A loading of an export, whose parts are timed in milliseconds."""

    def __init__(self):
        self.taken = {}

    def time(self, name: str, function: Callable, *arguments):
        """Return what the function returns, and note how long it took."""
        made = []
        self.taken[name] = 1000 * seconds_of(lambda: made.append(function(*arguments)))
        return made[0]


def start_ours(size: int, warm: bool) -> dict[str, float]:
    """Return the times to load our export, to warm it up if asked for, and to answer first."""
    start = Start()
    served = start.time("load", load_export)
    images = np.zeros([1, size, size, served.manifest["input"]["channels"]], np.uint8)
    if warm:
        start.time("warm_up", served.warm_up)
    start.time("first_answer", lambda: served.predict(images, size=size))
    return start.taken


def start_plain(folder: str, size: int) -> dict[str, float]:
    """Return the times to load Keras's export and to answer first."""
    start = Start()
    plain = start.time("load", tf.saved_model.load, folder)
    (spec,) = plain.signatures["serving_default"].structured_input_signature[1].values()
    images = tf.zeros([1, size, size, spec.shape[-1]])
    start.time("first_answer", lambda: plain.serve(images).numpy())
    return start.taken


def starts(folder: str, size: int) -> dict:
    """Return the median milliseconds to load and to answer first, of both exports, loaded anew in turns."""
    kinds = {
        "cold": functools.partial(start_ours, size, False),
        "warmed_up": functools.partial(start_ours, size, True),
        "keras": functools.partial(start_plain, folder, size),
    }
    turns = alternate(kinds, COLD_STARTS.value)
    return {
        kind: {name: float(np.median([turn[name] for turn in found])) for name in found[0]}
        for kind, found in turns.items()
    }


# Bytes


def disk(folder: str | os.PathLike) -> dict:
    """Return the bytes of a SavedModel's graph and of its variables."""
    variables = sum(file.stat().st_size for file in pathlib.Path(folder, "variables").iterdir())
    return {"graph": pathlib.Path(folder, "saved_model.pb").stat().st_size, "variables": variables}


def newest(path: str) -> pathlib.Path:
    """Return the folder of the highest version."""
    versions = (entry for entry in pathlib.Path(path).iterdir() if entry.name.isdecimal())
    return max(versions, key=lambda entry: int(entry.name))


def count_bytes(network: keras.Model, plain: str) -> dict:
    """Return the bytes of both exports, and of the network's weights and of the statistics of one size."""
    return {
        "keras": disk(plain),
        "ours": disk(newest(EXPORTED.value)),
        "weights": sum(weight.numpy().nbytes for weight in network.weights),
        "statistics": sum(value.nbytes for layer in get_statistics(network) for value in layer),
    }


# The cascade


def cascade_times(served: kms.serving.ServedModel, examples: Examples) -> dict:
    """Return accuracy and time of the cascade and of its large size, on examples that did not fit it."""
    large, limit = served.manifest["cascade"]["large"], served.manifest["input"]["max_batch"]
    answers = {}

    def run(name, predict):
        answers[name] = in_batches(lambda batch: predict(batch).labels[:, 0], examples.images, batch=limit)

    calls = {
        "cascade": functools.partial(run, "cascade", served.predict_cascade),
        "large": functools.partial(run, "large", functools.partial(served.predict, size=large)),
    }
    times = milliseconds(calls, max(PARTS, ROUNDS.value // 20))
    accuracy = {name: float((examples.labels == found).mean()) for name, found in answers.items()}
    ratio, count = ratios_of_medians(times["cascade"], times["large"]), len(examples.labels)
    console.print(f"cascade: {ratio} of the time of {large} px, accuracy {accuracy}")
    per_image = {f"{name}_ms_per_image": float(np.median(values)) / count for name, values in times.items()}
    shared = {"cascade": served.manifest["cascade"], "images": count, "batch": limit}
    return {"time_ratio": ratio, "accuracy": accuracy} | per_image | shared


def main(_):
    served, folder = load_export(), pathlib.Path(RUN.value)
    network = keras.saving.load_model(folder / "model.keras").network
    results = {"run": folder.name, "rounds": ROUNDS.value}
    with tempfile.TemporaryDirectory() as place:
        network.export(place, verbose=False)
        plain, batches = tf.saved_model.load(place), map(int, BATCHES.value)
        results["sizes"] = [compare(served, plain, *case) for case in itertools.product(served.sizes, batches)]
        results["start"] = starts(place, served.sizes[0])
        results["bytes"] = count_bytes(network, place)
    results["multiply_adds"] = {row["size"]: row["multiply_adds"] for row in served.manifest["sizes"]}
    if served.manifest["cascade"] is not None:
        _, others = halves(load_run(folder))
        results["cascade"] = cascade_times(served, others)
    write_results(OUTPUT.value, results)


if __name__ == "__main__":
    app.run(main)
