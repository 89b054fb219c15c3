"""Protocol V2, KServe's and Triton's: tensors by name, as JSON or, with the extension for binary data, as raw bytes.

Arrays of raw bytes are read where they lie. `image_bytes` holds files, raw or in base64. Neighbours: `asking`, `v1`,
`answering`, `grpc`.

    asked = read(body, header_length="182")
    write(asked, columns, "mixsize", "1")                       # the body and the length of its JSON, if bytes follow

Source: https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.md
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mixsize.serving.asking import (
    BYTES,
    IMAGES,
    OUTPUTS,
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

_DATATYPES = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
_NAMES = {"f": "FP32", "i": "INT32", "U": "BYTES"}  # of NumPy's kinds, in answers
_WIDTH = 4  # bytes before an element of BYTES that say its length
_LONGEST_LENGTH = 10  # digits


def read(body: bytes | bytearray, header_length: str | None = None) -> Asked:
    """Return what a request asks for.

    Args:
        body: JSON, and after it raw bytes if a length is given.
        header_length: the header Inference-Header-Content-Length.

    Raises:
        Refused: no such JSON, unknown names, or data that does not fit its datatype and shape.
    """
    length = len(body) if header_length is None else _length(header_length, len(body))
    request = parsed(body[:length])
    check_names("key", request, ("id", "inputs", "outputs", "parameters", "model_name"))
    parameters = _object(request, "parameters")
    check_names("parameter", parameters, ("size", "binary_data_output"))
    value = _only_input(request.get("inputs"))
    check_names("key of an input", value, ("name", "shape", "datatype", "data", "parameters"))
    data = _data(value, memoryview(body)[length:])
    images = tensor(value["name"], value.get("datatype"), value.get("shape"), data)
    outputs = _outputs(request.get("outputs"), parameters.get("binary_data_output", False) is True)
    identity = request.get("id")
    return Asked(images, checked_size(parameters.get("size")), outputs=outputs, identity=identity and str(identity))


def _length(text: str, longest: int) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_LENGTH
    if not is_number or not 0 < int(text) <= longest:
        raise Refused(
            "Inference-Header-Content-Length must be the length of the body's JSON, a number of 1 to "
            f"{longest} bytes here, got {said(text)}"
        )
    return int(text)


def _object(parent: dict, name: str) -> dict:
    value = parent.get(name)
    if not isinstance(value, dict | None):
        raise Refused(f"{name} must be an object, got {said(value)}")
    return value or {}


def _only_input(inputs: Any) -> dict:
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Refused(f"inputs must be a list of one, {IMAGES} or {BYTES}, got {said(inputs)}")
    check_input(inputs[0].get("name"))
    return inputs[0]


def check_input(name: Any) -> None:
    """Refuse an input of another name."""
    check_names("input", [name], (IMAGES, BYTES))


def _data(value: dict, raw: memoryview) -> memoryview | list:
    parameters = _object(value, "parameters")
    check_names("parameter of an input", parameters, ("binary_data_size",))
    size = parameters.get("binary_data_size")
    if size is None:
        if len(raw):
            raise Refused(f"{len(raw)} bytes follow the JSON; the input must say so in its parameter binary_data_size")
        if not isinstance(value.get("data"), list):
            raise Refused(f"data must be a list, got {said(value.get('data'))}")
        return value["data"]
    if "data" in value or isinstance(size, bool) or size != len(raw):
        follow = f"the {len(raw)} bytes that follow the JSON, without data"
        raise Refused(f"binary_data_size must be {follow}, got {said(size)}")
    return raw


def _outputs(outputs: Any, binary: bool) -> dict[str, bool] | None:
    if outputs is None or outputs == []:
        return dict.fromkeys(OUTPUTS, True) if binary else None
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise Refused(f'outputs must be a list of objects, as {{"name": "logits"}}, got {said(outputs)}')
    check_names("output", [output.get("name") for output in outputs], OUTPUTS)
    wanted = {}
    for output in outputs:
        parameters = _object(output, "parameters")
        check_names("parameter of an output", parameters, ("binary_data",))
        wanted[output["name"]] = parameters.get("binary_data", binary) is True
    return wanted


def tensor(name: str, datatype: Any, shape: Any, data: memoryview | list | np.ndarray) -> np.ndarray | list[bytes]:
    """Return images or files of an input.

    Args:
        name: `images` or `image_bytes`.
        datatype: UINT8 or FP32 of images, BYTES of files.
        shape: of the input.
        data: raw bytes, or values in lists.

    Raises:
        Refused: data that does not fit datatype and shape.
    """
    is_shape = isinstance(shape, list) and all(type(side) is int and 0 <= side < 2**31 for side in shape)
    if not is_shape or not 0 < len(shape) < 10:
        raise Refused(f"shape of {name} must be a list of whole numbers, got {said(shape)}")
    known = ("BYTES",) if name == BYTES else tuple(_DATATYPES)
    if datatype not in known:
        raise Refused(f"datatype of {name} must be {' or '.join(known)}, got {said(datatype)}")
    count = math.prod(shape)
    if datatype == "BYTES":
        return _files(data, count)
    values = _raw(data, name, datatype) if isinstance(data, memoryview) else _listed(data, name, datatype)
    if values.size != count:
        raise Refused(f"data of {name} has {values.size} values, its shape {shape} needs {count}")
    return values.reshape(shape)


def _raw(data: memoryview, name: str, datatype: str) -> np.ndarray:
    dtype = _DATATYPES[datatype]
    if len(data) % dtype.itemsize:
        raise Refused(f"data of {name} has {len(data)} bytes, no multiple of the {dtype.itemsize} of {datatype}")
    return np.frombuffer(data, dtype)


def _listed(data: list | np.ndarray, name: str, datatype: str) -> np.ndarray:
    values = numbers(data, "data") if len(data) else np.zeros([0], np.uint8)
    if datatype == "UINT8":
        return whole_numbers(values, f"data of {name}, UINT8,")
    return values.astype(np.float32)


def _files(data: memoryview | list, count: int) -> list[bytes]:
    elements = list(_elements(data, count)) if isinstance(data, memoryview) else data
    if len(elements) != count:
        raise Refused(f"data of {BYTES} has {len(elements)} elements, its shape needs {count}")
    return [file_of(element, f"{BYTES}[{index}]") for index, element in enumerate(elements)]


def _elements(data: memoryview, count: int):
    place = 0
    for index in range(count):
        length = int.from_bytes(data[place : place + _WIDTH], "little")
        place += _WIDTH
        if place > len(data) or place + length > len(data):
            form = "each element is its length, 4 bytes little-endian, and its bytes"
            raise Refused(f"{BYTES}[{index}] ends after the data; {form}")
        yield bytes(data[place : place + length])
        place += length
    if place != len(data):
        raise Refused(f"{len(data) - place} bytes follow the {count} elements of {BYTES}; the shape must count all")


def write(asked: Asked, columns: Mapping[str, np.ndarray], model: str, version: str) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON if raw bytes follow it."""
    outputs, raw = [], []
    for name, is_binary in (asked.outputs or dict.fromkeys(OUTPUTS, False)).items():
        values = columns[name]
        output = {"name": name, "datatype": datatype_of(values), "shape": list(values.shape)}
        if is_binary:
            raw.append(raw_bytes(values))
            output["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            output["data"] = values.ravel()
        outputs.append(output)
    names = {"model_name": model, "model_version": version}
    header = written(names | ({"id": asked.identity} if asked.identity else {}) | {"outputs": outputs})
    return b"".join([header, *raw]), len(header) if raw else None


def datatype_of(values: np.ndarray) -> str:
    """Return V2's name of an output's dtype."""
    return _NAMES[values.dtype.kind]


def raw_bytes(values: np.ndarray) -> bytes:
    """Return an output as the binary form has it: little-endian, texts each after its length."""
    if values.dtype.kind != "U":
        return values.astype(values.dtype.newbyteorder("<")).tobytes()
    texts = [text.encode() for text in values.ravel().tolist()]
    return b"".join(len(text).to_bytes(_WIDTH, "little") + text for text in texts)


def metadata(channels: int, classes: int, top: int) -> tuple[list[dict], list[dict]]:
    """Return the inputs and outputs as V2's metadata lists them; -1 stands for any number."""
    inputs = [{"name": IMAGES, "datatype": "UINT8", "shape": [-1, -1, -1, channels]}]
    inputs += [{"name": BYTES, "datatype": "BYTES", "shape": [-1]}] if channels in (1, 3) else []
    kinds = {"probabilities": ("FP32", classes), "logits": ("FP32", classes), "top_labels": ("INT32", top)}
    kinds |= {"top_names": ("BYTES", top), "top_probabilities": ("FP32", top)}
    outputs = [{"name": name, "datatype": kind, "shape": [-1, count]} for name, (kind, count) in kinds.items()]
    return inputs, [*outputs, {"name": "sizes", "datatype": "INT32", "shape": [-1]}]
