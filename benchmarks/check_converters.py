"""Converts every size of an export for other engines and compares them with the export on the whole test set.

    pip install onnx onnxruntime openvino ai-edge-litert && pip install --no-deps tf2onnx
    python experiments/check_converters.py --exported=runs/serve/exported --run=runs/demo/b+ --output=docs/benchmarks/converters.json

Writes for each size and engine its accuracy, that of the export, on how many images the two agree, the largest difference between
their logits, and the size of the file. LiteRT in int8 measures its ranges on 256 training images at that size.
"""

import json
import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import keras_mixsize as kms
from keras_mixsize.cli.run import RunConfig, console, load_source, replace_file, versions
from keras_mixsize.export.preprocessing import Preprocessing

EXPORTED = flags.DEFINE_string("exported", "runs/serve/exported", "What export.py wrote.")
RUN = flags.DEFINE_string("run", "runs/demo/b+", "Folder of the run that was exported.")
OUTPUT = flags.DEFINE_string("output", "runs/converters.json", "File for the figures.")
BATCH = 200
REPRESENTATIVE = 256


def onnx(folder: pathlib.Path, size: int, images: np.ndarray) -> tuple[pathlib.Path, Callable]:
    """Return the converted file and a function from a batch to logits."""
    import onnxruntime

    file = folder / f"{size}.onnx"
    kms.converters.to_onnx(EXPORTED.value, size, file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return file, lambda batch: session.run(["logits"], {"images": batch})[0]


def litert(folder: pathlib.Path, size: int, images: np.ndarray | None) -> tuple[pathlib.Path, Callable]:
    """Return the same for LiteRT, in int8 if there are images."""
    from ai_edge_litert.interpreter import Interpreter

    file = folder / f"{size}_{'float32' if images is None else 'int8'}.tflite"
    kms.converters.to_litert(EXPORTED.value, size, file, images=images)
    interpreter = Interpreter(str(file))
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(batch):
        interpreter.resize_tensor_input(entry["index"], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], batch)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return file, run


def openvino(folder: pathlib.Path, size: int, images: np.ndarray) -> tuple[pathlib.Path, Callable]:
    """Return the same for OpenVINO."""
    import openvino as engine

    file = folder / f"{size}.xml"
    kms.converters.to_openvino(EXPORTED.value, size, file)
    compiled = engine.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return file.with_suffix(".bin"), lambda batch: compiled({"images": batch})["logits"]


ENGINES = {
    "ONNX Runtime": onnx,
    "LiteRT": lambda folder, size, images: litert(folder, size, None),
    "LiteRT, int8": litert,
    "OpenVINO": openvino,
}


def in_batches(function: Callable, images: np.ndarray) -> np.ndarray:
    """Return the function's rows for all images."""
    return np.concatenate([function(images[low : low + BATCH]) for low in range(0, len(images), BATCH)])


def compare(served: kms.serving.ServedModel, size: int, test: kms.sources.ArraySource, training: np.ndarray) -> list:
    """Return a row per engine."""
    preprocessing = Preprocessing(**served.manifest["preprocessing"] | {"mean": None, "std": None})
    expected = in_batches(lambda batch: served.predict(batch, size=size).logits, test.images)
    inputs = in_batches(lambda batch: preprocessing.prepare(tf.constant(batch), size).numpy(), test.images)
    rows = []
    for name, make in ENGINES.items():
        with tempfile.TemporaryDirectory() as folder:
            file, run = make(pathlib.Path(folder), size, training)
            logits, count = in_batches(run, inputs), file.stat().st_size
        found, own = logits.argmax(-1), expected.argmax(-1)
        row = {"size": size, "engine": name, "accuracy": float((found == test.labels).mean())}
        row |= {"export_accuracy": float((own == test.labels).mean()), "agreement": float((found == own).mean())}
        rows.append(row | {"largest_difference": float(np.abs(logits - expected).max()), "bytes": count})
        console.print(rows[-1])
    return rows


def main(_):
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells the names of all captured weights otherwise
    served = kms.serving.load(EXPORTED.value)
    config = RunConfig.from_dict(json.loads(pathlib.Path(RUN.value, "results.json").read_text())["config"])
    test = load_source(config.dataset, "test", config.data_dir)
    training = load_source(config.dataset, "train", config.data_dir).images[:REPRESENTATIVE]
    rows = [row for size in served.sizes for row in compare(served, size, test, training)]
    results = {"versions": versions(), "images": test.num_examples, "rows": rows}
    replace_file(pathlib.Path(OUTPUT.value), json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
