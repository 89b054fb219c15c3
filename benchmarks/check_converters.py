"""Converts every size of an export for other engines and compares them with the export on the whole test set.

    pip install onnx onnxruntime openvino ai-edge-litert && pip install --no-deps tf2onnx
    python benchmarks/check_converters.py --exported=runs/serve/exported --run=runs/serve/b+ \\
        --output=docs/benchmarks/converters.json

Writes for each size and engine its accuracy, that of the export, on how many images the two agree, the largest
difference between their logits, and the size of the file. LiteRT in int8 measures its ranges on 256 training images at
that size.
"""

import functools
import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import app, flags
from exported import EXPORTED, RUN, in_batches, load_export, source_of
from measuring import console, write_results

import keras_mixsize as kms
from keras_mixsize.cli.results import load_run
from keras_mixsize.export.preprocessing import Preprocessing

OUTPUT = flags.DEFINE_string("output", "runs/converters.json", "File for the figures.")
REPRESENTATIVE = 256
all_of = functools.partial(in_batches, batch=200)


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


def compare(served: kms.serving.ServedModel, size: int, test: kms.sources.ArraySource, training: np.ndarray) -> list:
    """Return a row per engine."""
    preprocessing = Preprocessing(**served.manifest["preprocessing"] | {"mean": None, "std": None})
    expected = all_of(lambda batch: served.predict(batch, size=size).logits, test.images)
    inputs = all_of(lambda batch: preprocessing.prepare(tf.constant(batch), size).numpy(), test.images)
    rows = []
    for name, make in ENGINES.items():
        with tempfile.TemporaryDirectory() as folder:
            file, run = make(pathlib.Path(folder), size, training)
            row = figures_of(all_of(run, inputs), expected, test.labels)
            rows.append({"size": size, "engine": name} | row | {"bytes": file.stat().st_size})
        console.print(rows[-1])
    return rows


def figures_of(logits: np.ndarray, expected: np.ndarray, labels: np.ndarray) -> dict:
    """Return how an engine's logits compare with the export's, and both with the labels."""
    found, own = logits.argmax(-1), expected.argmax(-1)
    return {
        "accuracy": float((found == labels).mean()),
        "export_accuracy": float((own == labels).mean()),
        "agreement": float((found == own).mean()),
        "largest_difference": float(np.abs(logits - expected).max()),
    }


def main(_):
    served, run = load_export(), load_run(RUN.value)
    test = source_of(run, "test")
    training = source_of(run, "train").images[:REPRESENTATIVE]
    rows = [row for size in served.sizes for row in compare(served, size, test, training)]
    write_results(OUTPUT.value, {"images": test.num_examples, "rows": rows})


if __name__ == "__main__":
    app.run(main)
