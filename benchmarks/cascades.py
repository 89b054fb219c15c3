"""Draws what size cascades of an export reach into its report's picture: accuracy against mean compute.

    make serve          # or any other export of a run; stop it again
    python benchmarks/cascades.py --exported=runs/serve/exported --run=runs/serve/b+ \\
        --output=docs/benchmarks/cascade.json

Cascades for several wanted accuracies are fitted on the part of the test set that fits the export's own, and looked at
on the other, as the report is: each image is answered by the small size, or by the large one where that is unsure.
Writes what each reached, and the picture beside it (.png).
"""

import dataclasses
import json
import pathlib

import numpy as np
from absl import app, flags
from exported import EXPORTED, RUN, Examples, halves, in_batches, load_export
from measuring import console, write_results

import keras_mixsize as kms
from keras_mixsize.cli.results import load_run
from keras_mixsize.evaluation.report import Accuracy, CascadePoint
from keras_mixsize.export.cascade import Cascade, fit_cascade

COUNT = flags.DEFINE_integer("count", 6, "Wanted accuracies to fit cascades to.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/cascade.json", "File for the figures; the picture lies beside it.")


def probabilities_by_size(served: kms.serving.ServedModel, images) -> dict[int, np.ndarray]:
    """Return the answers of every size, `[N, classes]`."""
    limit = served.manifest["input"]["max_batch"]

    def answers(size: int) -> np.ndarray:
        return in_batches(lambda batch: served.predict(batch, size=size).probabilities, images, batch=limit)

    return {size: answers(size) for size in served.sizes}


def fit_cascades(served: kms.serving.ServedModel, known: Examples, costs: dict[int, int]) -> list[Cascade]:
    """Return the different cascades that accuracies between the worst and the best size's ask for."""
    probabilities = probabilities_by_size(served, known.images)
    reached = [float((found.argmax(-1) == known.labels).mean()) for found in probabilities.values()]
    wanted = np.linspace(min(reached), max(reached), COUNT.value + 1)[1:]
    fitted = (fit_cascade(probabilities, known.labels, costs, float(accuracy)) for accuracy in wanted)
    return list(dict.fromkeys(fitted))


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


def draw(report: dict, points: list[dict], title: str) -> pathlib.Path:
    """Write the picture of the report and the cascades and return its path."""
    picture = pathlib.Path(OUTPUT.value).with_suffix(".png")
    drawn = [CascadePoint(Accuracy(**point["accuracy"]), point["multiply_adds"]) for point in points]
    kms.SizeReport.from_json(json.dumps(report)).plot(picture, title=title, cascades=drawn)
    return picture


def main(_):
    served = load_export()
    known, others = halves(load_run(RUN.value))
    costs = {row["size"]: row["multiply_adds"] for row in served.manifest["sizes"]}
    probabilities = probabilities_by_size(served, others.images)
    points = [reach(cascade, probabilities, others.labels, costs) for cascade in fit_cascades(served, known, costs)]
    version = max(pathlib.Path(EXPORTED.value).glob("export_*.json"))
    report = json.loads(version.read_text())["report"]
    write_results(OUTPUT.value, {"images": len(others.labels), "report": report, "cascades": points})
    title = f"size cascades, fitted on {len(known.labels)} images, on {len(others.labels)} others"
    console.print(f"picture in {draw(report, points, title)}")


if __name__ == "__main__":
    app.run(main)
