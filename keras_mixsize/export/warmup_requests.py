"""Warmup requests: the file with which TensorFlow Serving runs every signature once before it takes requests.

It is a TFRecord of PredictionLog messages. TensorFlow Serving's own package cannot be installed beside `tensorflow-cpu`
without tricks, and the messages nest only strings and tensors, so they are encoded here. Neighbours: `signatures`,
`saved_model` (who writes them).

    signatures = serving.load("exported").signatures
    example_inputs(signatures["serve_24_uint8"], size=24)       # {"images": a grey image, uint8 [1, 24, 24, C]}
    write_requests("exported/1", {"serve_32": {"images": np.zeros([1, 32, 32, 3], "float32")}})

Source: tensorflow_serving/apis/{prediction_log,predict,model}.proto and the protocol buffers' encoding.
"""

from __future__ import annotations

import os
import pathlib

import numpy as np
import tensorflow as tf

from keras_mixsize.export.signatures import BYTES, SIZE, inputs_of

FILE = "assets.extra/tf_serving_warmup_requests"

# Field numbers
_PREDICT_LOG = 6  # of PredictionLog
_REQUEST = 1  # of PredictLog
_MODEL_SPEC, _INPUTS = 1, 2  # of PredictRequest
_NAME, _SIGNATURE = 1, 3  # of ModelSpec
_KEY, _VALUE = 1, 2  # of a map's entry


def write_requests(path: str | os.PathLike, requests: dict[str, dict[str, np.ndarray]], model: str = "model") -> None:
    """Write one request per signature.

    Args:
        path: folder of the SavedModel; must exist.
        requests: signature -> input's name -> its value.
        model: name; TensorFlow Serving ignores it here.
    """
    file = pathlib.Path(path) / FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, inputs in requests.items():
            writer.write(prediction_log(model, signature, inputs))


def example_inputs(signature: tf.types.experimental.ConcreteFunction, size: int) -> dict[str, np.ndarray]:
    """Return a small request for a signature: a grey image, or a PNG file of one, and the size where it is an input.

    Args:
        signature: one of `signatures.make_signatures`.
        size: side of the image in pixels, one of the export's sizes.
    """
    return {name: _example(name, spec, size) for name, spec in inputs_of(signature).items()}


def _example(name: str, spec: tf.TensorSpec, size: int) -> np.ndarray:
    if name == SIZE:
        return np.int32(size)
    if name == BYTES:
        return np.array([tf.io.encode_png(np.full([size, size, 1], 128, np.uint8)).numpy()], object)
    grey = np.full([1, size, size, spec.shape[-1]], 128, np.uint8)
    return grey if spec.dtype == tf.uint8 else np.float32(grey / 255.0)


def prediction_log(model: str, signature: str, inputs: dict[str, np.ndarray]) -> bytes:
    """Return a PredictionLog message that holds one PredictRequest."""
    spec = field(_NAME, model.encode()) + field(_SIGNATURE, signature.encode())
    request = field(_MODEL_SPEC, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += field(_INPUTS, field(_KEY, name.encode()) + field(_VALUE, tensor))
    return field(_PREDICT_LOG, field(_REQUEST, request))


def field(number: int, content: bytes) -> bytes:
    """Return a field of a message: bytes, a string or a message within it."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
