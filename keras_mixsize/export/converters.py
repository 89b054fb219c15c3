"""Convert one size of an export for other engines: ONNX, LiteRT (float32, int8) and OpenVINO, through their own tools.

Each takes images `[N, S, S, C]` float32 in [0, 1], called `images`, and gives `logits`, float32 `[N, classes]`; mean
and std are inside, the resize is not. Batch norm is folded into the convolutions by the tools. They need packages of
their own, see docs/serving.md. Neighbours: `saved_model` (what is read), the room `serving`.

    to_onnx("exported", 24, "model_24.onnx")
    to_litert("exported", 24, "model_24_int8.tflite", images=training_images)
    to_openvino("exported", 24, "model_24.xml")
"""

from __future__ import annotations

import os
import pathlib
import tempfile
import warnings

import numpy as np
import tensorflow as tf

from keras_mixsize.export.preprocessing import Preprocessing
from keras_mixsize.files import replaced
from keras_mixsize.serving.served_model import ServedModel, load

ONNX_OPSET = 17
_IMAGES, _LOGITS, _SIGNATURE = "images", "logits", "serving_default"


def to_onnx(path: str | os.PathLike, size: int, file: str | os.PathLike) -> None:
    """Write one size as ONNX; needs tf2onnx.

    Args:
        path: of the export, as for `serving.load`.
        size: one of its sizes in pixels.
        file: to write.

    Raises:
        ValueError: an unknown size.
        ModuleNotFoundError: tf2onnx is not installed.
    """
    import tf2onnx  # here, because few programs need it, and it must be installed apart

    served = load(path)  # must outlive the conversion: functions do not keep their variables alive
    function = inference(served, size)
    model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=ONNX_OPSET)
    with replaced(file) as stream:
        stream.write(model.SerializeToString())


def to_litert(path: str | os.PathLike, size: int, file: str | os.PathLike, *, images: np.ndarray | None = None) -> None:
    """Write one size as LiteRT (TensorFlow Lite).

    Args:
        path: of the export, as for `serving.load`.
        size: one of its sizes in pixels.
        file: to write.
        images: for int8 with float32 inputs and outputs: some hundred training images `[N, H, W, C]`, uint8 or float32
            in [0, 1], with which the ranges of activations are measured at this size. None for float32 throughout.

    Raises:
        ValueError: an unknown size.
    """
    served = load(path)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")  # inputs stay float32
        served.save(folder, {_SIGNATURE: inference(served, size)})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
        if images is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: _one_by_one(served, size, images)
        model = converter.convert()
    with replaced(file) as stream:
        stream.write(model)


def to_openvino(path: str | os.PathLike, size: int, file: str | os.PathLike) -> None:
    """Write one size as OpenVINO's pair of .xml and .bin, float32; needs openvino.

    To get float32 answers on CPUs with bf16, compile it with `{"INFERENCE_PRECISION_HINT": "f32"}`.

    Args:
        path: of the export, as for `serving.load`.
        size: one of its sizes in pixels.
        file: to write, of the suffix .xml.

    Raises:
        ValueError: an unknown size, or another suffix.
        ModuleNotFoundError: openvino is not installed.
    """
    if pathlib.Path(file).suffix != ".xml":
        raise ValueError(f"file must have the suffix .xml, got {file}")
    import openvino  # here, because few programs need it

    served = load(path)
    model = openvino.convert_model(inference(served, size).get_concrete_function())
    model.outputs[0].get_tensor().set_names({_LOGITS})
    openvino.save_model(model, file, compress_to_fp16=False)


def inference(served: ServedModel, size: int) -> tf.types.experimental.PolymorphicFunction:
    """Return the network at one size as a function of images of exactly that size, for a converter.

    Keep `served` as long as the function is in use.

    Raises:
        ValueError: an unknown size.
    """
    if size not in served.sizes:
        raise ValueError(f"size must be one of {served.sizes}, got {size!r}")
    preprocessing = Preprocessing(**served.manifest["preprocessing"])
    network, index = served.network, served.sizes.index(size)
    spec = tf.TensorSpec([None, size, size, served.manifest["input"]["channels"]], tf.float32, _IMAGES)

    @tf.function(input_signature=[spec], autograph=False)
    def infer(images):
        return {_LOGITS: network(preprocessing.normalise(images), tf.constant(index))}

    return infer


def _one_by_one(served: ServedModel, size: int, images: np.ndarray):
    options = Preprocessing(**served.manifest["preprocessing"] | {"mean": None, "std": None})
    for image in images:
        yield [options.prepare(tf.constant(image[None]), size)]
