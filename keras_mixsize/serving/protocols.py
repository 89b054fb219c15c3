"""KServe's two protocols: what a request asks for, and an answer in its form.

V1 is TensorFlow Serving's REST form, V2 KServe's own. Neighbours: `server` (who calls it), `served_model` (the
answers).

    images, size = read_v1({"signature_name": "serve_bytes_24", "instances": [{"b64": photo}]})
    write_v1(served.predict(images, size=size))
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # kserve is not there where the package is only tested
    from kserve import InferRequest, InferResponse

    from keras_mixsize.serving.served_model import Prediction

Images = np.ndarray | list[bytes]
Size = int | str | None
_TYPES = {"f": "FP32", "i": "INT32", "U": "BYTES"}  # V2's names of NumPy's kinds


def read_v1(payload: dict | bytes) -> tuple[Images, Size]:
    """Return what a V1 request asks for.

    Args:
        payload: the request's JSON object; its bytes if the header names no JSON, as with `curl -d`.

    Returns:
        Images, `[N, H, W, C]` uint8 or encoded files; and the size in pixels, "cascade" or None.

    Raises:
        ValueError: no JSON object, no instances, a mixture of files and arrays, arrays of various shapes, or a name of
            no signature.
        KeyError, TypeError: a file that is not text under the key b64.
    """
    payload = json.loads(payload) if isinstance(payload, bytes) else payload
    if not isinstance(payload, dict):
        raise ValueError(f"the request must be a JSON object with instances, got {type(payload).__name__}")
    instances = payload.get("instances")
    if not isinstance(instances, list) or not instances:
        raise ValueError("instances must be a list of at least one image")
    size = payload.get("size", size_of(payload.get("signature_name", "")))
    if all(isinstance(instance, dict) for instance in instances):
        return [base64.b64decode(instance["b64"], validate=True) for instance in instances], size
    pixels = np.array(instances)
    if not np.issubdtype(pixels.dtype, np.integer) or pixels.size and (pixels.min() < 0 or pixels.max() > 255):
        raise ValueError('instances must be arrays of whole numbers in 0..255, or encoded files as {"b64": ...}')
    return pixels.astype(np.uint8), size


def size_of(signature: str) -> Size:
    """Return the size that a signature's name says: 24 of `serve_bytes_24`, "cascade" of `serve_cascade`, or None.

    Raises:
        ValueError: a name of no signature.
    """
    last = [part for part in signature.split("_") if part not in ("bytes", "uint8")][-1]
    if last == "cascade":
        return last
    if last.isdecimal():
        return int(last)
    if signature in ("", "serving_default", "serve_bytes"):
        return None
    raise ValueError(
        f"signature_name must be serve_SIZE, serve_bytes_SIZE, serve_cascade or serving_default, got {signature}"
    )


def read_v2(request: InferRequest) -> tuple[Images, Size]:
    """Return what a V2 request asks for, as `read_v1` does.

    Raises:
        ValueError: other inputs than one of the name `images` or `image_bytes`, or text that is not base64.
    """
    if len(request.inputs) != 1 or request.inputs[0].name not in ("images", "image_bytes"):
        raise ValueError(f"inputs must be one, images or image_bytes, got {[value.name for value in request.inputs]}")
    size = (request.parameters or {}).get("size")
    values = request.inputs[0].as_numpy()
    if request.inputs[0].name == "images":
        return values, size
    return [base64.b64decode(value, validate=True) for value in values.ravel().tolist()], size


def columns(prediction: Prediction) -> dict[str, np.ndarray]:
    """Return the outputs by the names that the signatures give them, each with a row per image."""
    return {
        "probabilities": prediction.probabilities,
        "logits": prediction.logits,
        "top_labels": prediction.labels,
        "top_names": prediction.names,
        "top_probabilities": prediction.confidences,
        "sizes": prediction.sizes,
    }


def write_v1(prediction: Prediction) -> dict[str, list[dict[str, Any]]]:
    """Return a V1 answer: a row per image."""
    lists = {name: values.tolist() for name, values in columns(prediction).items()}
    return {"predictions": [dict(zip(lists, row)) for row in zip(*lists.values())]}


def write_v2(identity: str, model: str, prediction: Prediction) -> InferResponse:
    """Return a V2 answer: a tensor per output.

    Args:
        identity: of the request.
        model: its name on the server.
        prediction: the answer.
    """
    from kserve import InferOutput, InferResponse

    outputs = []
    for name, values in columns(prediction).items():
        output = InferOutput(name, list(values.shape), _TYPES[values.dtype.kind])
        output.set_data_from_numpy(values.astype(object) if values.dtype.kind == "U" else values, binary_data=False)
        outputs.append(output)
    return InferResponse(identity, model, outputs)
