"""ask a server of an export about an image: the five likeliest classes at each size

    mixsize client boot.jpg --sizes=16,24,32,cascade --url=http://localhost:8080

Speaks TensorFlow Serving's REST form (V1), so it works with `mixsize serve`, KServe and TensorFlow
Serving alike. The image is a JPEG or PNG file. Unless sizes are given, the server chooses one.
"""

from __future__ import annotations

import base64
import json
import pathlib
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from absl import flags

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
URL = flags.DEFINE_string("url", "http://localhost:8080", "Of the server.", **_OWN)
MODEL = flags.DEFINE_string("model", "mixsize", "Its name on the server.", **_OWN)
IMAGE = flags.DEFINE_string("image", None, "JPEG or PNG file; may stand without the flag.", **_OWN)
SIZES = flags.DEFINE_list("sizes", None, "Sizes in pixels, and cascade, with commas between.", **_OWN)
TIMEOUT = 60  # seconds


def main(arguments: Sequence[str]) -> None:
    """Print a line for each size."""
    images = [*arguments, *([IMAGE.value] if IMAGE.value else [])]
    if len(images) != 1:
        raise ValueError(f"name one image, as in `mixsize client boot.jpg --sizes=16,24`; got {images}")
    image = pathlib.Path(images[0]).read_bytes()
    for size in SIZES.value or [""]:
        start = time.perf_counter()
        answer = ask(f"{URL.value.rstrip('/')}/v1/models/{MODEL.value}:predict", image, size)
        milliseconds = 1000 * (time.perf_counter() - start)
        print(in_words(size or "any size", answer, milliseconds), flush=True)


def ask(url: str, image: bytes, size: str = "") -> dict:
    """Return the answer of a server for one encoded image.

    Args:
        url: of the model's V1 address, which ends in `:predict`.
        image: JPEG or PNG file.
        size: in pixels, `cascade`, or nothing for the server's own choice.

    Raises:
        ValueError: the server refused it, and why.
        OSError: no server answers.
    """
    signature = "serve_cascade_bytes" if size == "cascade" else f"serve_bytes_{size}".rstrip("_")
    body = {"signature_name": signature, "instances": [{"b64": base64.b64encode(image).decode()}]}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)["predictions"][0]
    except urllib.error.HTTPError as error:
        raise ValueError(f"{size or 'the image'}: refused with {error.code}: {error.read().decode()}") from error
    except urllib.error.URLError as error:
        raise OSError(f"no server answers at {url} ({error.reason}); `mixsize serve` starts one") from error


def in_words(size: str, answer: dict, milliseconds: float) -> str:
    """Return an answer as a line: the size asked for, the one that answered, the time, and the classes."""
    best = zip(answer["top_names"], answer["top_probabilities"])
    classes = ", ".join(f"{name} {100 * share:.1f} %" for name, share in best)
    return f"{size} ({answer['sizes']} px, {milliseconds:.0f} ms): {classes}"
