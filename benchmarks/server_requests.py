"""Requests to a server of an export, in every form of its protocols, and what a right answer to each is.

Neighbours: `server_good` and `server_bad`, which have the kinds; `load_server`, which sends them.

    request = files(photo, size=24)                             # V1; 200 is expected
    is_right(request, status, answer, alone=None)
    expecting(files(b"GIF89a"), 400)
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

V1, V2 = "/v1/models/mixsize:predict", "/v2/models/mixsize/infer"
GOOD, BAD = 200, 400
JSON = {"Content-Type": "application/json"}
LENGTH = "Inference-Header-Content-Length"
_LONGEST = 500  # characters of a refusal
_ECHO = 48  # bytes of a request that a refusal must not repeat; a name of 40 it may


class Request(NamedTuple):
    """What is sent, and the statuses of which one should come back."""

    path: str
    body: bytes
    headers: Mapping[str, str] = JSON
    statuses: tuple[int, ...] = (GOOD,)


def expecting(request: Request, *statuses: int) -> Request:
    """Return the same request with other statuses expected."""
    return request._replace(statuses=statuses)


# Files


def png(pixels: np.ndarray) -> bytes:
    """Return an image `[H, W, C]`, uint8 or uint16, as a PNG file."""
    return tf.io.encode_png(pixels).numpy()


def jpeg(pixels: np.ndarray, **options: Any) -> bytes:
    """Return an image `[H, W, C]` uint8 as a JPEG file."""
    return tf.io.encode_jpeg(pixels, **options).numpy()


def huge_png(side: int = 10_000) -> bytes:
    """Return a PNG file of 0.3 MB that decodes to 10000 x 10000 pixels of three channels."""
    image = png(np.zeros([1, 1, 3], np.uint8))
    header = b"IHDR" + struct.pack(">II", side, side) + image[24:29]
    packer, row = zlib.compressobj(), bytes(1 + 3 * side)
    data = b"IDAT" + b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return image[:8] + b"".join(map(_chunk, (header, data, b"IEND")))


def _chunk(content: bytes) -> bytes:
    """Return a chunk of a PNG file, its length and checksum added."""
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def text_of(content: bytes) -> str:
    """Return a file in base64."""
    return base64.b64encode(content).decode()


# Protocol V1


def v1(path: str = V1, **body: Any) -> Request:
    """Return a request with these keys."""
    return Request(path, json.dumps(body).encode())


def files(*contents: bytes, **options: Any) -> Request:
    """Return a request with image files."""
    return v1(instances=[{"b64": text_of(content)} for content in contents], **options)


def file_alone(content: bytes, query: str = "", kind: str = "image/jpeg") -> Request:
    """Return a request whose body is a file."""
    return Request(V1 + query, content, {"Content-Type": kind} if kind else {})


# Protocol V2


def v2(*inputs: Mapping[str, Any], raw: bytes = b"", **body: Any) -> Request:
    """Return a request with these inputs, raw bytes after them, and other keys."""
    header = json.dumps({"inputs": inputs} | body).encode()
    headers = {LENGTH: str(len(header)), "Content-Type": "application/octet-stream"} if raw else JSON
    return Request(V2, header + raw, headers)


def tensor(name: str, shape: Sequence[int], datatype: str, data: list) -> dict[str, Any]:
    """Return an input whose values stand in the JSON."""
    return {"name": name, "shape": [*shape], "datatype": datatype, "data": data}


def encoded(*contents: bytes, **options: Any) -> Request:
    """Return a request with image files in base64."""
    return v2(tensor("image_bytes", [len(contents)], "BYTES", [*map(text_of, contents)]), **options)


def encoded_raw(*contents: bytes, **options: Any) -> Request:
    """Return a request with the bytes of image files, each after its length, as tritonclient sends them."""
    raw = b"".join(struct.pack("<I", len(content)) + content for content in contents)
    return binary("image_bytes", [len(contents)], "BYTES", raw, **options)


def pixels_in_json(values: np.ndarray, datatype: str, **options: Any) -> Request:
    """Return a request with an array in JSON."""
    return v2(tensor("images", values.shape, datatype, values.ravel().tolist()), **options)


def pixels_raw(values: np.ndarray, **options: Any) -> Request:
    """Return a request with the bytes of an array, uint8 or float32."""
    return binary("images", values.shape, {"u": "UINT8", "f": "FP32"}[values.dtype.kind], values.tobytes(), **options)


def binary(name: str, shape: Sequence[int], datatype: str, raw: bytes, **options: Any) -> Request:
    """Return a request whose input is raw bytes after the JSON."""
    value = {"name": name, "shape": [*shape], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
    return v2(value, raw=raw, **options)


# Answers


def is_right(request: Request, status: int, answer: bytes, alone: bytes | None) -> bool:
    """Return whether an answer has the status that it should, and what it should.

    Args:
        request: what was asked.
        status: that came back.
        answer: the body that came back.
        alone: the one that came when the request was sent alone, if it was.
    """
    if status not in request.statuses:
        return False
    if status != GOOD:
        return is_refusal(request, answer)
    return bool(answer) and (alone is None or _is_close(answer, alone))


def is_refusal(request: Request, answer: bytes) -> bool:
    """Return whether a refusal says something, in a few words, and repeats no body."""
    text = json.loads(answer)["error"].encode()
    parts = [text[place : place + _ECHO] for place in range(0, len(text) - _ECHO, _ECHO)]
    return 0 < len(text) <= _LONGEST and not any(part in request.body for part in parts)


def _is_close(answer: bytes, alone: bytes) -> bool:
    """Return whether two answers are alike; rounding may differ with what else is computed at a time."""
    try:
        return all(np.allclose(*pair, atol=1e-5) for pair in zip(*map(_probabilities, (answer, alone)), strict=True))
    except ValueError:  # raw bytes
        return len(answer) == len(alone)


def _probabilities(answer: bytes) -> list[np.ndarray]:
    content = json.loads(answer)
    if "predictions" in content:
        return [np.array(row["probabilities"]) for row in content["predictions"]]
    if isinstance(content["outputs"], dict):
        return [np.array(content["outputs"]["probabilities"])]
    return [np.array(output["data"]) for output in content["outputs"] if output["name"] == "probabilities"]
