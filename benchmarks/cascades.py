"""Draws what size cascades of an export reach into its report's picture: accuracy against mean compute.

    make serve          # or any other export.py of a run
    python experiments/cascades.py --exported=runs/serve/exported --run=runs/demo/b+ --output=docs/benchmarks/cascade.json

Cascades for several wanted accuracies are fitted on the half of the test set that fits the export's own, and looked at on the other
half, as the report is: each image is answered by the small size, or by the large one where that is unsure. Writes what each
reached, and the picture beside it (.png).
"""

import dataclasses
import json
import pathlib

import numpy as np
from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import RunConfig, console, load_source, replace_file, versions
from keras_mixsize.evaluation.report import Accuracy, CascadePoint
from keras_mixsize.export.cascade import Cascade, fit_cascade

EXPORTED = flags.DEFINE_string("exported", "runs/serve/exported", "What export.py wrote.")
RUN = flags.DEFINE_string("run", "runs/demo/b+", "Folder of the run that was exported.")
COUNT = flags.DEFINE_integer("count", 6, "Wanted accuracies to fit cascades to.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/cascade.json", "File for the figures; the picture lies beside it.")


def probabilities_by_size(served: kms.serving.ServedModel, images: np.ndarray) -> dict[int, np.ndarray]:
    """Return the answers of every size, `[N, classes]`."""
    limit = served.manifest["input"]["max_batch"]
    parts = [images[low : low + limit] for low in range(0, len(images), limit)]
    return {
        size: np.concatenate([served.predict(part, size=size).probabilities for part in parts]) for size in served.sizes
    }


def reach(cascade: Cascade, probabilities: dict[int, np.ndarray], labels: np.ndarray, costs: dict[int, int]) -> dict:
    """Return what a cascade reaches on other examples: accuracy, share of second looks, mean multiply-adds."""
    unsure = probabilities[cascade.small].max(-1) < np.float32(cascade.threshold)
    right = {size: probabilities[size].argmax(-1) == labels for size in (cascade.small, cascade.large)}
    correct = int(np.where(unsure, right[cascade.large], right[cascade.small]).sum())
    return {
        "fitted": dataclasses.asdict(cascade),
        "accuracy": dataclasses.asdict(Accuracy.of(correct, len(labels))),
        "share": float(unsure.mean()),
        "multiply_adds": costs[cascade.small] + float(unsure.mean()) * costs[cascade.large],
    }


def main(_):
    served = kms.serving.load(EXPORTED.value)
    config = RunConfig.from_dict(json.loads(pathlib.Path(RUN.value, "results.json").read_text())["config"])
    test = load_source(config.dataset, "test", config.data_dir)
    half = test.num_examples // 2
    known, other = (probabilities_by_size(served, test.images[part]) for part in (slice(half), slice(half, None)))
    labels, other_labels = test.labels[:half], test.labels[half:]
    costs = {row["size"]: row["multiply_adds"] for row in served.manifest["sizes"]}
    reached = [float((known[size].argmax(-1) == labels).mean()) for size in served.sizes]
    wanted = np.linspace(min(reached), max(reached), COUNT.value + 1)[1:]
    found = dict.fromkeys(fit_cascade(known, labels, costs, float(accuracy)) for accuracy in wanted)
    points = [reach(cascade, other, other_labels, costs) for cascade in found]
    version = max(pathlib.Path(EXPORTED.value).glob("export_*.json"))
    report = json.loads(version.read_text())["report"]
    results = {"versions": versions(), "images": len(other_labels), "report": report, "cascades": points}
    output = pathlib.Path(OUTPUT.value)
    replace_file(output, json.dumps(results, indent=1))
    drawn = [CascadePoint(Accuracy(**point["accuracy"]), point["multiply_adds"]) for point in points]
    title = f"size cascades, fitted on {half} images, on {len(other_labels)} others"
    kms.SizeReport.from_json(json.dumps(report)).plot(output.with_suffix(".png"), title=title, cascades=drawn)
    console.print(f"figures in {output}, picture in {output.with_suffix('.png')}")


if __name__ == "__main__":
    app.run(main)
