"""Protocol V1, TensorFlow Serving's REST form: the same JSON means the same here as there.

A signature of floats takes floats in [0, 1], one of the suffix `_uint8` whole numbers. Without a signature, whole
numbers of which one is above 1 are 0..255; where all are 0 and 1, nothing tells them apart, and they are refused.
Neighbours: `asking`, `v2`, `answering`.

    read(b'{"signature_name": "serve_bytes_24", "instances": [{"b64": "/9j/4AAQ..."}]}')
    write(asked, served.predict(asked.images, size=24))

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mixsize.serving.asking import (
    BYTES,
    IMAGES,
    Asked,
    Refused,
    check_names,
    checked_size,
    file_of,
    numbers,
    parsed,
    said,
    whole_numbers,
    written,
)

_KEYS = ("instances", "inputs", "signature_name", "size")


def read(body: bytes | bytearray) -> Asked:
    """Return what a request asks for.

    Raises:
        Refused: no JSON object, unknown keys, neither or both of instances and inputs, or images that cannot be read.
    """
    request = parsed(body)
    check_names("key", request, _KEYS)
    signature = request.get("signature_name") or None
    if not isinstance(signature, str | None):
        raise Refused(f"signature_name must be text, got {said(signature)}")
    size = checked_size(request.get("size"))
    if ("instances" in request) == ("inputs" in request):
        raise Refused("the request must have instances, a list of images, or inputs, a list by input; one of the two")
    if "instances" in request:
        return Asked(_images("instances", request["instances"], signature), size, signature)
    values, asked_size = _columns(request["inputs"])
    size = size if asked_size is None else asked_size
    return Asked(_images("inputs", values, signature), size, signature, by_column=True)


def _columns(inputs: Any) -> tuple[Any, Any]:
    if not isinstance(inputs, dict) or "b64" in inputs:
        return inputs, None
    check_names("input", inputs, (IMAGES, BYTES, "size"))
    if (IMAGES in inputs) == (BYTES in inputs):
        raise Refused(f"inputs must have one of {IMAGES} and {BYTES}")
    return inputs.get(IMAGES, inputs.get(BYTES)), checked_size(inputs.get("size"))


def _images(what: str, values: Any, signature: str | None) -> np.ndarray | list[bytes]:
    if not isinstance(values, list) or not values:
        raise Refused(f"{what} must be a list of at least one image, got {said(values)}")
    values = [_unnamed(value) for value in values]
    kinds = [isinstance(value, dict) for value in values]
    if all(kinds):
        return [_file(value, f"{what}[{index}]") for index, value in enumerate(values)]
    if any(kinds):
        odd = kinds.index(not kinds[0])
        raise Refused(f"{what}[{odd}] and {what}[0] are not both files or both arrays; send two requests")
    if isinstance(values[0], str):
        raise Refused(f'{what}[0] is text; send an encoded file as {{"b64": ...}}')
    return _typed(numbers(values, what), what, signature)


def _unnamed(value: Any) -> Any:
    """Return an instance without the name of its only input, which TensorFlow Serving lets clients give."""
    named = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in (IMAGES, BYTES)
    return next(iter(value.values())) if named else value


def _file(value: dict, where: str) -> bytes:
    check_names(f"key of {where},", value, ("b64",))
    if "b64" not in value:
        raise Refused(f'{where} must be {{"b64": ...}}, got an object without the key b64')
    return file_of(value["b64"], where)


def _typed(values: np.ndarray, what: str, signature: str | None) -> np.ndarray:
    is_whole = values.dtype.kind in "iu"
    if signature is None and is_whole and values.size and values.min() >= 0 and values.max() <= 1:
        remedy = "name the signature, serve_SIZE or serve_SIZE_uint8, or write floats with a point, as 1.0"
        raise Refused(f"{what} hold only 0 and 1, which may be floats in [0, 1] or whole numbers in 0..255; {remedy}")
    if is_whole if signature is None else signature.endswith("_uint8"):
        return whole_numbers(values, what)
    if values.size and not (values.min() >= 0 and values.max() <= 1.001):
        remedy = "send whole numbers in 0..255 without a signature, or to one of the suffix _uint8"
        raise Refused(f"{what} must be floats in [0, 1] for a signature without the suffix _uint8; {remedy}")
    return values.astype(np.float32)


def write(asked: Asked, columns: Mapping[str, np.ndarray]) -> bytes:
    """Return the answer: a row per image, or a list per output if the request came by columns."""
    if asked.by_column:
        return written({"outputs": dict(columns)})
    lists = {name: values.tolist() if values.dtype.kind == "U" else values for name, values in columns.items()}
    return written({"predictions": [dict(zip(lists, row)) for row in zip(*lists.values())]})
