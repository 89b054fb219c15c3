"""Good and bad requests to a server of an export, one of each kind, and what a right answer to each is.

for name, request in requests_by_kind(exported, kms.serving.load(exported)).items():
    status, content = ask(request)
    assert is_right(request, status, content, alone=None), name
"""

from __future__ import annotations

import base64
import json
import pathlib
import zlib
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import keras_mixsize as kms

V1, V2 = "/v1/models/mixsize:predict", "/v2/models/mixsize/infer"
HUGE_SIDE = 23_000
GOOD, BAD = 200, 400


class Request(NamedTuple):
    """Where a body is sent, and the status that should come back."""

    path: str
    body: str
    status: int


def huge_png() -> bytes:
    """Return a PNG file of about 1.5 MB that decodes to 23000 x 23000 pixels of three channels."""
    image = png(np.zeros([1, 1, 3], np.uint8))
    header = b"IHDR" + b"".join(value.to_bytes(4, "big") for value in (HUGE_SIDE, HUGE_SIDE)) + image[24:29]
    packer, row = zlib.compressobj(), bytes(1 + 3 * HUGE_SIDE)
    data = b"IDAT" + b"".join(packer.compress(row) for _ in range(HUGE_SIDE)) + packer.flush()
    return image[:8] + b"".join(map(chunk, (header, data, b"IEND")))


def chunk(content: bytes) -> bytes:
    """Return a chunk of a PNG file, its length and checksum added."""
    return (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")


def png(pixels: np.ndarray) -> bytes:
    """Return an image `[H, W, C]` uint8 as a PNG file."""
    return tf.io.encode_png(pixels).numpy()


# Bodies


def files(*contents: bytes, status: int = BAD, **options: Any) -> Request:
    """Return a request of protocol V1 with image files."""
    instances = [{"b64": base64.b64encode(content).decode()} for content in contents]
    return Request(V1, json.dumps({"instances": instances, **options}), status)


def instances(values: list, status: int = BAD) -> Request:
    """Return a request of protocol V1 with pixels."""
    return Request(V1, json.dumps({"instances": values}), status)


def tensor(values: np.ndarray, datatype: str, status: int = BAD) -> Request:
    """Return a request of protocol V2 with pixels."""
    return _v2("images", values.shape, datatype, values.ravel().tolist(), status)


def encoded(*contents: bytes, status: int = BAD) -> Request:
    """Return a request of protocol V2 with image files."""
    return _v2(
        "image_bytes", [len(contents)], "BYTES", [base64.b64encode(content).decode() for content in contents], status
    )


def _v2(name: str, shape, datatype: str, data: list, status: int) -> Request:
    value = {"name": name, "shape": [*shape], "datatype": datatype, "data": data}
    return Request(V2, json.dumps({"inputs": [value]}), status)


# Kinds


def requests_by_kind(exported: pathlib.Path, served: kms.serving.ServedModel) -> dict[str, Request]:
    """Return one request of each kind."""
    channels = served.manifest["input"]["channels"]
    pngs = [file.read_bytes() for file in sorted((exported / "samples").iterdir())]
    pixels = np.stack([tf.io.decode_png(content, channels).numpy() for content in pngs])
    bad = bad_files(pngs[0], pixels[0]) | bad_pixels(pixels[0]) | bad_bodies(pngs[0], served)
    return good_requests(pngs, pixels, served) | bad


def good_requests(pngs: list[bytes], pixels: np.ndarray, served: kms.serving.ServedModel) -> dict[str, Request]:
    """Return the kinds that should be answered, with images of one size."""
    sizes = {f"PNG at {size} px": files(pngs[0], status=GOOD, size=size) for size in served.sizes}
    return sizes | {
        "JPEG": files(tf.io.encode_jpeg(pixels[0]).numpy(), status=GOOD),
        "batch of files, cascade": files(*pngs, status=GOOD, size="cascade"),
        "pixels": instances(pixels[:2].tolist(), GOOD),
        "V2, files": encoded(*pngs, status=GOOD),
        "V2, float32": tensor(pixels[:2] / 255, "FP32", GOOD),
    }


def bad_files(content: bytes, pixels: np.ndarray) -> dict[str, Request]:
    """Return the kinds whose files are no image, or one that is too large."""
    jpeg = tf.io.encode_jpeg(pixels).numpy()
    return {
        "truncated JPEG": files(jpeg[: len(jpeg) // 2]),
        "truncated PNG": files(content[: len(content) // 2]),
        "PNG of 23000 x 23000": files(huge_png()),
        "empty file": files(b""),
        "text": files(b"no image at all"),
        "GIF": files(b"GIF89a" + bytes(100)),
        "good and bad in a batch": files(content, b"GIF89a"),
    }


def bad_pixels(pixels: np.ndarray) -> dict[str, Request]:
    """Return the kinds whose pixels have a wrong rank, number of channels, dtype or range; uint8 is right."""
    return {
        "wrong rank": instances(pixels.tolist()),
        "wrong channels": instances(np.zeros([1, 8, 8, 5 - pixels.shape[-1]], int).tolist()),
        "fractions in V1": instances((pixels[None] / 255).tolist()),
        "wrong dtype": tensor(pixels[None].astype(int), "INT64"),
        "float32 above 1": tensor(pixels[None].astype(float), "FP32"),
    }


def bad_bodies(content: bytes, served: kms.serving.ServedModel) -> dict[str, Request]:
    """Return the kinds that ask for what there is not, or not in JSON."""
    return {
        "empty batch": instances([]),
        "batch above the limit": files(*[content] * (served.manifest["input"]["max_batch"] + 1)),
        "unknown size": files(content, size=max(served.sizes) + 1),
        "no base64": instances([{"b64": "?"}]),
        "no JSON": Request(V1, "no JSON", BAD),
        "unknown model": Request("/v1/models/other:predict", files(content).body, 404),
    }


# Answers


def answers_of(content: dict) -> list[np.ndarray]:
    """Return the probabilities in an answer of either protocol."""
    if "predictions" in content:
        return [np.array(row["probabilities"]) for row in content["predictions"]]
    return [np.array(output["data"]) for output in content["outputs"] if output["name"] == "probabilities"]


def is_right(request: Request, status: int, content: dict, alone: dict | None) -> bool:
    """Return whether an answer has the status that it should, and what it should."""
    if status != request.status:
        return False
    if status != GOOD:
        return bool(content.get("error"))
    found = answers_of(content)
    return alone is None or all(np.allclose(*pair, atol=1e-5) for pair in zip(found, answers_of(alone), strict=True))
