"""Exports a finished run as one SavedModel for several sizes, with a size cascade, and converts it for other engines.

    python experiments/export.py --run=runs/demo/b+ --sizes=12,16,24,32 --output=exported
    python experiments/export.py --run=runs/demo/b+ --sizes=24 --output=exported --version=2 --convert=onnx,openvino

The run is a folder that train.py or demo.py wrote. Half of the test set, or --cascade_examples of it, fits the cascade's
threshold; accuracies are measured on the rest. Writes what docs/serving.md describes, the report and what the cascade
reached on the rest (export_VERSION.json), converted models (converted/), and for the web page of serve.py the first image of each class
of the rest (samples/).
"""

import dataclasses
import json
import pathlib
import re

import keras
import numpy as np
from absl import app, flags, logging

import keras_mixsize as kms
from keras_mixsize.cli.run import (
    RunConfig,
    console,
    evaluate,
    first_examples,
    load_source,
    make_dataset,
    replace_file,
    versions,
)
from keras_mixsize.evaluation import Accuracy

RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
SIZES = flags.DEFINE_list("sizes", ["12", "16", "24", "32"], "Sizes in pixels.")
OUTPUT = flags.DEFINE_string("output", "exported", "Folder of the versions.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Of the data set; the run's unless given.")
VERSION = flags.DEFINE_integer("version", 1, "Version to write.", lower_bound=1)
CALIBRATION = flags.DEFINE_integer("calibration_batches", 200, "Batches of calibration at each size.", lower_bound=1)
CASCADE = flags.DEFINE_integer(
    "cascade_examples", None, "Test examples that fit the cascade, half unless given; 0 for no cascade.", lower_bound=0
)
ACCURACY = flags.DEFINE_float(
    "cascade_accuracy", None, "Accuracy that the cascade must reach; the best size's unless given."
)
CONVERT = flags.DEFINE_list("convert", [], "Engines to convert each size for: onnx, litert, openvino.")
CONVERTERS = {
    "onnx": kms.converters.to_onnx,
    "litert": kms.converters.to_litert,
    "openvino": kms.converters.to_openvino,
}
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}
REPRESENTATIVE = 256  # training images that measure the ranges for int8


def load_run(folder: pathlib.Path) -> RunConfig:
    """Return the settings of a finished run, with this script's sizes."""
    file = folder / "results.json"
    if not file.exists():
        raise app.UsageError(f"--run: {file} does not exist; train.py writes it at the end of a run")
    config = RunConfig.from_dict(json.loads(file.read_text())["config"])
    sizes = tuple(int(size) for size in SIZES.value)
    data_dir = DATA_DIR.value or config.data_dir
    return dataclasses.replace(config, sizes=sizes, calibration_batches=CALIBRATION.value, data_dir=data_dir)


def divide(source: kms.sources.Source, count: int | None) -> tuple[kms.sources.Source | None, kms.sources.Source]:
    """Return the examples that fit the cascade, None for no cascade, and the others."""
    if count == 0:
        return None, source
    if not isinstance(source, kms.sources.ArraySource):
        raise app.UsageError("--cascade_examples must be 0 for a test set that is not in memory")
    count = source.num_examples // 2 if count is None else count
    parts = [(source.images[part], source.labels[part]) for part in (slice(count), slice(count, None))]
    return tuple(kms.sources.ArraySource(*part, source.class_names) for part in parts)


def check_cascade(served: kms.serving.ServedModel, test: kms.sources.ArraySource) -> dict:
    """Return what the cascade reaches on examples that it was not fitted to."""
    limit = served.manifest["input"]["max_batch"]
    batches = [slice(low, low + limit) for low in range(0, test.num_examples, limit)]
    answers = [served.predict_cascade(test.images[batch]) for batch in batches]
    labels = np.concatenate([answer.labels[:, 0] for answer in answers])
    sizes = np.concatenate([answer.sizes for answer in answers])
    accuracy = Accuracy.of(int((labels == test.labels).sum()), len(labels))
    second = float((sizes == served.manifest["cascade"]["large"]).mean())
    console.print(f"cascade {served.manifest['cascade']}\non other examples: {accuracy}, {second:.1%} looked at again")
    return {"fitted": served.manifest["cascade"], "accuracy": dataclasses.asdict(accuracy), "share": second}


def convert(folder: pathlib.Path, engine: str, size: int, images: np.ndarray) -> None:
    """Write one size for one engine; for LiteRT in int8 as well."""
    place = pathlib.Path(OUTPUT.value) / "converted"
    place.mkdir(exist_ok=True)
    file = place / f"{VERSION.value}_{size}{SUFFIXES[engine]}"
    CONVERTERS[engine](folder, size, file)
    if engine == "litert":
        kms.converters.to_litert(folder, size, file.with_stem(f"{file.stem}_int8"), images=images)
    console.print(f"{size} px for {engine}: {file}")


def write_samples(test: kms.sources.ArraySource) -> None:
    """Write the first image of each class as PNG."""
    place = pathlib.Path(OUTPUT.value) / "samples"
    place.mkdir(exist_ok=True)
    labels, first = np.unique(test.labels, return_index=True)
    for label, index in zip(labels, first):
        name = re.sub(r"\W+", " ", test.class_names[label]) if test.class_names else "class"
        keras.utils.save_img(place / f"{label:04}_{name}.png", test.images[index], scale=False)


def main(_):
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells the names of all captured weights otherwise
    unknown = set(CONVERT.value) - set(CONVERTERS)
    if unknown:
        raise app.UsageError(f"--convert: {sorted(unknown)} are none of {list(CONVERTERS)}")
    config = load_run(pathlib.Path(RUN.value))
    source = first_examples(load_source(config.dataset, "train", config.data_dir), config.limit)
    fitting, test = divide(load_source(config.dataset, "test", config.data_dir, source.class_names), CASCADE.value)
    model, train = keras.saving.load_model(pathlib.Path(RUN.value) / "model.keras"), make_dataset(config, source)
    report = evaluate(model, test, train, config)
    folder = kms.export_saved_model(
        model,
        OUTPUT.value,
        report=report,
        calibration=train,
        batches=CALIBRATION.value,
        cascade=fitting and kms.FitCascade(fitting.images, fitting.labels, ACCURACY.value),
        version=VERSION.value,
    )
    results = {"report": json.loads(report.to_json()), "versions": versions()}
    if fitting is not None:
        results["cascade"] = check_cascade(kms.serving.load(folder), test)
    if isinstance(test, kms.sources.ArraySource):
        write_samples(test)
    replace_file(folder.parent / f"export_{VERSION.value}.json", json.dumps(results, indent=1))
    for engine in CONVERT.value:
        for size in config.sizes:
            convert(folder, engine, size, source.images[:REPRESENTATIVE])
    console.print(f"exported to {folder}; its model card is {folder / 'assets.extra/MODEL_CARD.md'}")


if __name__ == "__main__":
    app.run(main)
