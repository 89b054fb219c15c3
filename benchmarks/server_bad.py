"""Requests that a server should refuse, one of each kind: broken files, wrong arrays, and what there is not.

for name, request in bad_requests(exported, served).items():
    assert request.statuses in ((400,), (404,))
"""

from __future__ import annotations

import pathlib

import numpy as np
from server_good import pixels_of, samples
from server_requests import (
    BAD,
    LENGTH,
    V1,
    V2,
    Request,
    binary,
    encoded,
    encoded_raw,
    expecting,
    file_alone,
    files,
    huge_png,
    jpeg,
    pixels_in_json,
    pixels_raw,
    tensor,
    text_of,
    v1,
    v2,
)

import keras_mixsize as kms

MISSING = 404


def bad_requests(exported: pathlib.Path, served: kms.serving.ServedModel) -> dict[str, Request]:
    """Return the kinds.

    Args:
        exported: folder with sample images.
        served: the export.
    """
    content = samples(exported)[0]
    pixels = pixels_of([content], served.manifest["input"]["channels"])[0]
    refused = _bad_files(content, pixels) | _bad_pixels(pixels, served.sizes[0]) | _bad_bodies(content)
    refused |= _bad_names(content, served) | _bad_tensors(pixels) | _bad_lengths(content, pixels)
    missing = {
        "unknown model": files(content)._replace(path="/v1/models/other:predict"),
        "unknown version": files(content)._replace(path="/v1/models/mixsize/versions/99:predict"),
    }
    return {name: expecting(request, BAD) for name, request in refused.items()} | {
        name: expecting(request, MISSING) for name, request in missing.items()
    }


def _bad_files(content: bytes, pixels: np.ndarray) -> dict[str, Request]:
    """Return the kinds whose files are no image, or one that is too large."""
    photo = jpeg(pixels)
    return {
        "truncated JPEG": files(photo[: len(photo) // 2]),
        "truncated PNG": files(content[: len(content) // 2]),
        "truncated JPEG alone": file_alone(photo[:200]),
        "PNG of 10000 x 10000": files(huge_png()),
        "empty file": files(b""),
        "text": files(b"no image at all"),
        "GIF": files(b"GIF89a" + bytes(100)),
        "WebP alone": file_alone(b"RIFF\x1a\0\0\0WEBPVP8 " + bytes(30), kind="image/webp"),
        "good and bad in a batch": files(content, b"GIF89a"),
    }


def _bad_pixels(pixels: np.ndarray, size: int) -> dict[str, Request]:
    """Return the kinds of V1 whose arrays have a wrong rank, number of channels or range."""
    name = f"serve_{size}"
    return {
        "wrong rank": v1(instances=pixels.tolist()),
        "wrong channels": v1(instances=np.full([1, 8, 8, 5 - pixels.shape[-1]], 2).tolist()),
        "no pixels": v1(instances=[[]]),
        "0 and 1 without a signature": v1(instances=(pixels[None] > 99).astype(int).tolist()),
        "fractions as whole numbers": v1(instances=(pixels[None] / 255).tolist(), signature_name=f"{name}_uint8"),
        "whole numbers as fractions": v1(instances=pixels[None].tolist(), signature_name=name),
        "above 255": v1(instances=[[[[256]]]]),
        "below 0": v1(instances=[[[[-1, 5]]]]),
        "infinite": Request(V1, b'{"instances": [[[[1e999]]]]}'),
        "not a number": Request(V1, b'{"instances": [[[[NaN]]]]}'),
        "rows of unlike lengths": v1(instances=[[[[2]], [[2], [3]]]]),
        "images of unlike shapes": v1(instances=[pixels.tolist(), pixels[:5].tolist()]),
        "files and arrays": v1(instances=[{"b64": "aaaa"}, pixels.tolist()]),
    }


def _bad_bodies(content: bytes) -> dict[str, Request]:
    """Return the kinds whose body is no request."""
    whole = files(content).body
    bodies = {
        "no body": b"",
        "no JSON": b"no JSON",
        "half of a body": whole[: len(whole) // 2],
        "not UTF-8": b'{"instances": "\xff\xfe"}',
        "a list": b"[1, 2]",
        "deeply nested": b'{"instances": ' + b"[" * 100_000,
        "a long number": b'{"size": ' + b"9" * 5000 + b', "instances": [{"b64": "aaaa"}]}',
        "empty batch": b'{"instances": []}',
        "no base64": b'{"instances": [{"b64": "?"}]}',
        "text for a file": b'{"instances": ["aaaa"]}',
        "null for an image": b'{"instances": [null]}',
    }
    return {name: Request(V1, body) for name, body in bodies.items()}


def _bad_names(content: bytes, served: kms.serving.ServedModel) -> dict[str, Request]:
    """Return the kinds that ask for what there is not."""
    return {
        "batch above the limit": files(*[content] * (served.manifest["input"]["max_batch"] + 1)),
        "unknown size": files(content, size=max(served.sizes) + 1),
        "a list as size": files(content, size=[24]),
        "unknown signature": files(content, signature_name="serve_byte_24"),
        "signature of arrays": files(content, signature_name=f"serve_{served.sizes[0]}"),
        "misspelt key": files(content, sise=24),
        "misspelt query": file_alone(content, "?sise=24"),
        "instances and inputs": files(content, inputs=[]),
        "neither": v1(signature_name="serve_bytes"),
    }


def _bad_tensors(pixels: np.ndarray) -> dict[str, Request]:
    """Return the kinds of V2 whose input does not fit."""
    images = tensor("images", [1, 1, 1, 1], "UINT8", [3])
    return {
        "V2, wrong dtype": pixels_in_json(pixels[None], "INT64"),
        "V2, above 1": pixels_in_json(pixels[None].astype(float), "FP32"),
        "V2, NaN": pixels_raw(np.full([1, 4, 4, pixels.shape[-1]], np.nan, np.float32)),
        "V2, another input": v2(images | {"name": "image"}),
        "V2, no input": v2(),
        "V2, two inputs": v2(images, images),
        "V2, shape of more": v2(images | {"shape": [1, 2, 2, 1]}),
        "V2, shape below 0": v2(images | {"shape": [-1, 1, 1, 1]}),
        "V2, huge shape": v2(images | {"shape": [2**40] * 4}),
        "V2, no data": v2({"name": "images", "shape": [1, 1, 1, 1], "datatype": "UINT8"}),
        "V2, unknown output": v2(images, outputs=[{"name": "logit"}]),
        "V2, misspelt parameter": v2(images, parameters={"sise": 24}),
    }


def _bad_lengths(content: bytes, pixels: np.ndarray) -> dict[str, Request]:
    """Return the kinds of V2 whose raw bytes are not as long as they say."""
    whole = pixels_raw(pixels[None])
    lengths = {"no number": "abc", "below 0": "-5", "above the body": "99999999"}
    wrong = {f"V2, header length {name}": whole._replace(headers={LENGTH: value}) for name, value in lengths.items()}
    return wrong | {
        "V2, bytes without their length": whole._replace(headers={}),
        "V2, too few bytes": whole._replace(body=whole.body[:-9]),
        "V2, element beyond the data": binary("image_bytes", [1], "BYTES", b"\xff\xff\xff\x7f" + content),
        "V2, fewer elements": encoded_raw(content)._replace(body=encoded_raw(content).body.replace(b"[1]", b"[2]", 1)),
        "V2, text for raw bytes": Request(V2, encoded(b"text", b"GIF89a").body.replace(b"Z", b"!")),
        "V2, not base64": v2(tensor("image_bytes", [1], "BYTES", [text_of(b"no image") + "?"])),
    }
