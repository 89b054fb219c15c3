"""Requests that a server should answer, one of each kind that clients send.

for name, request in good_requests(exported, served).items():
    ...
"""

from __future__ import annotations

import base64
import json
import pathlib

import numpy as np
import tensorflow as tf
from server_requests import (
    V1,
    Request,
    encoded,
    encoded_raw,
    file_alone,
    files,
    jpeg,
    pixels_in_json,
    pixels_raw,
    png,
    text_of,
    v1,
)

import keras_mixsize as kms


def samples(exported: pathlib.Path) -> list[bytes]:
    """Return the sample images of an export."""
    return [file.read_bytes() for file in sorted((exported / "samples").iterdir())]


def pixels_of(contents: list[bytes], channels: int) -> np.ndarray:
    """Return images of one size, uint8 `[N, H, W, C]`."""
    return np.stack([tf.io.decode_image(content, channels).numpy() for content in contents])


def good_requests(exported: pathlib.Path, served: kms.serving.ServedModel) -> dict[str, Request]:
    """Return the kinds.

    Args:
        exported: folder with sample images.
        served: the export, with a cascade, of 1 or 3 channels.
    """
    contents = samples(exported)
    pixels = pixels_of(contents, served.manifest["input"]["channels"])
    size = served.sizes[-1]
    return (
        _by_size(contents[0], served.sizes)
        | _formats(pixels[0])
        | _files(contents, size)
        | _arrays(pixels, size)
        | _v2_files(contents, size)
        | _v2_arrays(pixels, size)
    )


def _by_size(content: bytes, sizes: tuple[int, ...]) -> dict[str, Request]:
    by_signature = {f"serve_bytes_{size}": files(content, signature_name=f"serve_bytes_{size}") for size in sizes[-2:]}
    return {f"PNG at {size} px": files(content, size=size) for size in sizes} | by_signature


def _formats(pixels: np.ndarray) -> dict[str, Request]:
    colours = np.repeat(pixels[..., :1], 3, -1)
    alpha = np.concatenate([colours, 255 - pixels[..., :1]], -1)
    return {
        "JPEG": files(jpeg(colours)),
        "grey JPEG": files(jpeg(pixels[..., :1])),
        "progressive JPEG": files(jpeg(colours, progressive=True)),
        "PNG with alpha": files(png(alpha)),
        "PNG of 16 bits": files(png(pixels.astype(np.uint16) * 257)),
        "JPEG alone": file_alone(jpeg(colours), "?size=cascade"),
        "PNG alone, no content type": file_alone(png(colours), kind=""),
    }


def _files(contents: list[bytes], size: int) -> dict[str, Request]:
    lines = base64.encodebytes(contents[0]).decode()
    broken = json.dumps({"instances": [{"b64": "?"}]}).replace("?", lines).encode()  # lines that JSON forbids
    url = base64.urlsafe_b64encode(contents[0]).decode().rstrip("=")
    return {
        "batch of files, cascade": files(*contents, size="cascade"),
        "serve_cascade_bytes": files(*contents, signature_name="serve_cascade_bytes"),
        "base64 in lines": Request(V1, broken),
        "base64 of the URL alphabet": v1(instances=[{"b64": url}]),
        "named instances": v1(instances=[{"image_bytes": {"b64": text_of(content)}} for content in contents]),
        "columns of files": v1(inputs={"image_bytes": [{"b64": text_of(content)} for content in contents]}),
        "a version by its number": v1("/v1/models/mixsize/versions/1:predict", instances=[{"b64": url}], size=size),
    }


def _arrays(pixels: np.ndarray, size: int) -> dict[str, Request]:
    floats = (pixels[:2] / np.float32(255)).tolist()
    many = np.resize(pixels[0], (1, 300, 300, pixels.shape[-1]))
    return {
        "whole numbers": v1(instances=pixels[:2].tolist()),
        "floats": v1(instances=floats, signature_name=f"serve_{size}"),
        "fractions without a signature": v1(instances=floats),
        "columns, serve_at": v1(inputs={"images": floats, "size": size}, signature_name="serve_at"),
        "many numbers": v1(instances=many.tolist(), size=size),
    }


def _v2_files(contents: list[bytes], size: int) -> dict[str, Request]:
    return {
        "V2, files": encoded(*contents),
        "V2, files as raw bytes": encoded_raw(*contents, parameters={"size": size}),
        "V2, one output": encoded(contents[0], outputs=[{"name": "probabilities"}], id="7"),
        "V2, raw answer": encoded(contents[0], parameters={"binary_data_output": True, "size": "cascade"}),
    }


def _v2_arrays(pixels: np.ndarray, size: int) -> dict[str, Request]:
    large = np.resize(pixels[0], (16, 250, 250, pixels.shape[-1]))
    return {
        "V2, uint8": pixels_in_json(pixels[:2], "UINT8"),
        "V2, float32": pixels_in_json(pixels[:2] / 255, "FP32", parameters={"size": size}),
        "V2, uint8 as raw bytes": pixels_raw(pixels),
        "V2, float32 as raw bytes": pixels_raw(pixels / np.float32(255)),
        "V2, a megabyte as raw bytes": pixels_raw(large),
    }
