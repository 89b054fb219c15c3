"""Trains a network of the evidence and keeps it as a preset of `kms.models.from_preset`, with its model card.

    python experiments/pretrain.py --preset=glyphs_resnet14_mixsize --data=glyphs.npz
    python experiments/pretrain.py --preset=fashion4k_resnet14_mixsize --data=DIR/usr/share/datasets/fashion-mnist

A preset is one run of evidence.py's grid, which says what its data are. Writes the folder
keras_mixsize/models/data/PRESET; its accuracies are those of that run's test, and are measured once more with the
network that was written, which must answer the same. It takes 4 to 5 minutes on one core.
"""

import json
import pathlib

import keras
import tensorflow as tf
from absl import app, flags
from evidence.runs import CALIBRATION_BATCHES, Run, run_one
from evidence.settings import SETTINGS

import keras_mixsize as kms

RUNS = {
    "glyphs_resnet14_mixsize": Run("glyphs", "b+finish", 0.2, 0),
    "glyphs_resnet14_fixed": Run("glyphs", "fixed", 0.2, 0),
    "fashion4k_resnet14_mixsize": Run("fashion4k", "b+finish", 0.4, 0),
    "fashion4k_resnet14_fixed": Run("fashion4k", "fixed", 0.1, 0),
}
DATA = {  # of a setting: what it is, its licence, its classes
    "glyphs": (
        "4,000 pictures of letters and digits in fonts, white on black; tested on 9,300 of other font families: "
        "`kms.sources.glyphs`.",
        "free licences of several kinds, named in keras_mixsize/sources/data/glyphs.LICENSE.",
        list(kms.sources.glyphs("test").class_names),
    ),
    "fashion4k": (
        "4,000 of the training images of Fashion-MNIST, padded with black to 32 px; tested on its 10,000 test images.",
        "MIT (Zalando).",
        list(kms.sources.fashion_mnist("test").class_names),
    ),
}
PRESET = flags.DEFINE_enum("preset", None, list(RUNS), "Which preset.", required=True)
PATH = flags.DEFINE_string("data", None, "The file glyphs.npz, or the folder of Fashion-MNIST's files.", required=True)
OUTPUT = flags.DEFINE_string("output", "keras_mixsize/models/data", "Folder of the presets.")
JOBS = flags.DEFINE_integer("jobs", 1, "Threads.", lower_bound=1)


def save(model: kms.MixSizeModel, batches: kms.MixSizeDataset, about: dict, folder: pathlib.Path) -> None:
    """Write a trained network as a preset, calibrated for its base size, with the statistics of all its sizes."""
    statistics = {}
    for size in map(int, about["accuracy"]):
        with kms.calibrated(model, batches, size, CALIBRATION_BATCHES):
            statistics[size] = kms.models.moving_statistics(model.network)
    with kms.calibrated(model, batches, about["base_size"], CALIBRATION_BATCHES):
        kms.models.save_preset(model.network, folder, statistics=statistics, about=about)


def describe(name: str, result: dict) -> dict:
    """Return what the preset's metadata.json says of the network, from its run's result."""
    data, licence, class_names = DATA[result["setting"]]
    kept = {key: result[key] for key in ("setting", "arm", "learning_rate", "seed", "steps", "pixels", "phases")}
    counts = result["test"]
    return {
        "name": name,
        "network": result["about"]["network"],
        "base_size": result["about"]["base_size"],
        "input": "images [N, S, S, 1], float32 in [0, 1]",
        "data": data,
        "licence": licence,
        "class_names": class_names,
        "test_images": counts[str(result["about"]["base_size"])]["count"],
        "accuracy": {size: row["correct"] / row["count"] for size, row in counts.items()},
        "accuracy_uncalibrated": {size: row["raw"] / row["count"] for size, row in counts.items()},
        "multiply_adds": result["multiply_adds"],
        "training": kept | {"versions": result["versions"], "cpu_seconds": result["cpu_seconds"]["train"]},
        "command": f"python experiments/pretrain.py --preset={name} --data=PATH",
    }


def check(folder: pathlib.Path, about: dict, test) -> None:
    """Raise a RuntimeError if the network that was written does not answer as the trained one did."""
    for size, expected in about["accuracy"].items():
        network = kms.models.from_preset(folder, size=int(size))
        network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        (row,) = kms.evaluate_sizes(network, test, [int(size)], latency=False).rows
        if abs(row.accuracy.value - expected) > 1e-3:  # an image or two on the edge between two classes
            raise RuntimeError(f"{folder} has accuracy {row.accuracy.value} at {size} px, its run {expected}")


def card(about: dict) -> str:
    """Return the model card as Markdown."""
    rows = [
        f"| {size} px | {100 * value:.2f} % | {100 * about['accuracy_uncalibrated'][size]:.2f} % | "
        f"{about['multiply_adds'][size] / 1e6:.1f} M |"
        for size, value in about["accuracy"].items()
    ]
    training = about["training"]
    regimes = ", then ".join(phase["regime"] for phase in training["phases"])
    return "\n".join(
        [
            f"# {about['name']}\n",
            f"A {about['network']} with {about['parameter_count']:,} parameters for {about['input']}, "
            f"{len(about['class_names'])} classes.\n",
            f"- **Data.** {about['data']}",
            f"- **Licence.** Of the weights as of keras_mixsize: Apache-2.0. Of the data: {about['licence']}",
            f"- **Training.** Arm `{training['arm']}` of experiments/evidence/arms.py, base {about['base_size']} px, "
            f"learning rate {training['learning_rate']:g}, seed {training['seed']}, {training['steps']:,} steps: "
            f"{regimes} (size x batch x copies : share of steps).",
            f"- **Made by** `{about['command']}`",
            f"- **SHA-256** of {', '.join(f'{file} `{digest}`' for file, digest in about['sha256'].items())}\n",
            f"Accuracy on {about['test_images']:,} test images, with batch norm calibrated for the size and without:\n",
            "| size | calibrated | as trained | multiply-adds |",
            "|---:|---:|---:|---:|",
            *rows,
            "",
        ]
    )


def main(_):
    name, run = PRESET.value, RUNS[PRESET.value]
    tf.config.threading.set_intra_op_parallelism_threads(JOBS.value)
    tf.config.threading.set_inter_op_parallelism_threads(JOBS.value)
    setting, folder, trained = SETTINGS[run.setting], pathlib.Path(OUTPUT.value) / name, []
    data = setting.load(PATH.value)
    about = describe(name, run_one(run, setting, data, keep=lambda *parts: trained.append(parts)))
    save(*trained[0], about, folder)
    check(folder, about, data.test)
    (folder / "README.md").write_text(card(json.loads((folder / "metadata.json").read_text())))
    print(f"{folder}: {about['accuracy']}")


if __name__ == "__main__":
    app.run(main)
