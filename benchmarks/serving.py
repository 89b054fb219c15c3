"""Measures an export beside a plain Keras export of the same network, and its size cascade, alternating, in one run.

    make serve          # or any other export.py of a run; stop it again
    python experiments/benchmark_serving.py --run=runs/demo/b+ --exported=runs/serve/exported --output=docs/benchmarks/serving.json

For each size and batch: the time of a call (median, quartiles and 99th percentile) and images per second of both, on images of exactly
that size, and the ratio of their medians over ten parts of the run. Then the time to load and to answer first, with and without
warm-up, the bytes on the disk, and the time of the cascade beside that of its large size on the test images that did not fit it.
"""

import json
import os
import pathlib
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import keras_mixsize as kms
from keras_mixsize.cli.run import RunConfig, console, load_source, replace_file, versions
from keras_mixsize.evaluation.calibration import get_statistics

PARTS = 10  # of the calls, each with a ratio of its own
RUN = flags.DEFINE_string("run", None, "Folder of the finished run.", required=True)
EXPORTED = flags.DEFINE_string("exported", "exported", "What export.py wrote.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Of the data set; the run's unless given.")
BATCHES = flags.DEFINE_list("batches", ["1", "8", "32"], "Images at a time.")
ROUNDS = flags.DEFINE_integer("rounds", 200, "Calls of each kind.", lower_bound=PARTS)
COLD_STARTS = flags.DEFINE_integer("cold_starts", 3, "Times that both exports are loaded.", lower_bound=1)
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
    """Return quartiles, 99th percentile and throughput."""
    p25, p50, p75, p99 = np.percentile(times, [25, 50, 75, 99])
    return {"p25_ms": p25, "p50_ms": p50, "p75_ms": p75, "p99_ms": p99, "images_per_second": 1000 * batch / p50}


def ratios(ours: np.ndarray, other: np.ndarray) -> list[float]:
    """Return the quartiles of the ratio of medians, over the parts of the run."""
    parts = [np.array_split(times, PARTS) for times in (ours, other)]
    return np.percentile([np.median(mine) / np.median(its) for mine, its in zip(*parts)], [25, 50, 75]).tolist()


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
    found["ratio"] = ratios(times["ours"], times["keras"])
    console.print(f"{size} px, batch {batch}: {found['ours']['p50_ms']:.2f} ms, {found['ratio']} of Keras's export")
    return {"size": size, "batch": batch} | found


def starts(place: str) -> dict:
    """Return the milliseconds to load and to answer first, of both exports, in turns; each loading is a new one."""
    size = kms.serving.load(EXPORTED.value).sizes[0]

    def ours(warm: bool) -> dict:
        begin = time.perf_counter()
        served = kms.serving.load(EXPORTED.value)
        found = {"load": 1000 * (time.perf_counter() - begin)}
        images = np.zeros([1, size, size, served.manifest["input"]["channels"]], np.uint8)
        found |= {"warm_up": clocked(served.warm_up)} if warm else {}
        return found | {"first_answer": clocked(lambda: served.predict(images, size=size))}

    def keras_export() -> dict:
        begin = time.perf_counter()
        plain = tf.saved_model.load(place)
        found = {"load": 1000 * (time.perf_counter() - begin)}
        (spec,) = plain.signatures["serving_default"].structured_input_signature[1].values()
        images = tf.zeros([1, size, size, spec.shape[-1]])
        return found | {"first_answer": clocked(lambda: plain.serve(images).numpy())}

    kinds = {"cold": lambda: ours(False), "warmed_up": lambda: ours(True), "keras": keras_export}
    turns = [{kind: start() for kind, start in kinds.items()} for _ in range(COLD_STARTS.value)]
    return {
        kind: {name: float(np.median([turn[kind][name] for turn in turns])) for name in turns[0][kind]}
        for kind in kinds
    }


def disk(place: str | os.PathLike) -> dict:
    """Return the bytes of a SavedModel's graph and of its variables."""
    variables = sum(file.stat().st_size for file in pathlib.Path(place, "variables").iterdir())
    return {"graph": pathlib.Path(place, "saved_model.pb").stat().st_size, "variables": variables}


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
    times = in_turns(calls, max(PARTS, ROUNDS.value // 20))
    accuracy = {name: float((labels == found).mean()) for name, found in answers.items()}
    ratio = ratios(times["cascade"], times["large"])
    console.print(f"cascade: {ratio} of the time of {large} px, accuracy {accuracy}")
    per_image = {f"{name}_ms_per_image": float(np.median(values)) / len(images) for name, values in times.items()}
    shared = {"cascade": served.manifest["cascade"], "images": len(images), "batch": limit}
    return {"time_ratio": ratio, "accuracy": accuracy} | per_image | shared


def main(_):
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells the names of all captured weights otherwise
    folder = pathlib.Path(RUN.value)
    config = RunConfig.from_dict(json.loads((folder / "results.json").read_text())["config"])
    served = kms.serving.load(EXPORTED.value)
    model = keras.saving.load_model(folder / "model.keras").network
    with tempfile.TemporaryDirectory() as place:
        model.export(place, verbose=False)
        plain = tf.saved_model.load(place)
        batches = [int(batch) for batch in BATCHES.value]
        sizes = [compare(served, plain, size, batch) for size in served.sizes for batch in batches]
        results = {"versions": versions(), "run": folder.name, "rounds": ROUNDS.value, "sizes": sizes}
        results["start"] = starts(place)
        results["bytes"] = {"keras": disk(place), "ours": disk(newest(EXPORTED.value))}
    weights = sum(weight.numpy().nbytes for weight in model.weights)
    statistics = sum(value.nbytes for layer in get_statistics(model) for value in layer)
    results["bytes"] |= {"weights": weights, "statistics": statistics}
    results["multiply_adds"] = {row["size"]: row["multiply_adds"] for row in served.manifest["sizes"]}
    if served.manifest["cascade"] is not None:
        test = load_source(config.dataset, "test", DATA_DIR.value or config.data_dir)
        results["cascade"] = cascade_times(served, test)
    replace_file(pathlib.Path(OUTPUT.value), json.dumps(results, indent=1))


def newest(path: str) -> pathlib.Path:
    """Return the folder of the highest version."""
    return max(
        (entry for entry in pathlib.Path(path).iterdir() if entry.name.isdecimal()), key=lambda entry: int(entry.name)
    )


if __name__ == "__main__":
    app.run(main)
