"""What a request asks for, whatever its protocol, and the refusals that all of them share.

A refusal says where the fault is and what to send instead, and repeats no body. Neighbours: `v1` and `v2` (which read
requests), `answering` (which answers what is asked). NumPy alone, so that a process without TensorFlow can read.

    asked = Asked([photo], signature="serve_bytes_24")
    asked.chosen_size(["serve_24", "serve_bytes_24"])           # 24
    file_of("/9j/4AAQ...", "instances[0]")                      # the bytes of a file
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

try:
    import orjson
except ImportError:  # where the package is only tested; kserve brings it
    orjson = None

Size = int | str | None
IMAGES, BYTES, CASCADE = "images", "image_bytes", "cascade"
OUTPUTS = ("probabilities", "logits", "top_labels", "top_names", "top_probabilities", "sizes")
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # of JPEG and PNG files
_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
_LONGEST = 40  # characters of a request that a message repeats


class Refused(ValueError):
    """A request that cannot be answered as it is, and the remedy.

    Args:
        text: for the client.
        status: of HTTP.
    """

    def __init__(self, text: str, status: int = 400):
        super().__init__(text, status)
        self.text, self.status = text, status

    def __str__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a request asks for.

    Attributes:
        images: array `[N, H, W, C]`, uint8 or float32 in [0, 1], or N encoded files.
        size: in pixels, "cascade", or None for the server's choice.
        signature: the name of one, or None.
        outputs: names in their order and whether each is wanted as raw bytes; None for all, as JSON.
        by_column: V1's column form (`inputs`), which is answered by columns.
        identity: of the request, repeated in the answer.
    """

    images: np.ndarray | list[bytes]
    size: Size = None
    signature: str | None = None
    outputs: dict[str, bool] | None = None
    by_column: bool = False
    identity: str | None = None

    def with_values(self, values: dict[str, Any]) -> Asked:
        """Return the same with other values of some attributes."""
        return dataclasses.replace(self, **values)

    def chosen_size(self, signatures: Sequence[str]) -> Size:
        """Return the size that signature and size together say.

        Args:
            signatures: those of the export.

        Raises:
            Refused: a name of no signature, one for other inputs, or one of another size.
        """
        if self.signature is None:
            return self.size
        if self.signature not in signatures:
            raise Refused(f"signature_name {said(self.signature)} is not served{nearest(self.signature, signatures)}")
        takes, gets = ("files", "arrays") if "bytes" in self.signature else ("arrays", "files")
        if (takes == "files") != isinstance(self.images, list):
            raise Refused(f"signature {self.signature} takes {takes}, got {gets}; {_OTHER_SIGNATURE[gets]}")
        size = _size_of(self.signature)
        if size is not None and self.size not in (None, size):
            raise Refused(f"size {said(self.size)} and signature {self.signature} differ; leave one of them out")
        if self.signature.startswith("serve_at") and self.size is None:
            raise Refused(f"signature {self.signature} needs a size; send it as the input size")
        return self.size if size is None else size


_OTHER_SIGNATURE = {
    "arrays": "arrays go to serve_SIZE (floats in [0, 1]) or serve_SIZE_uint8 (whole numbers)",
    "files": "files go to serve_bytes_SIZE, serve_bytes or serve_cascade_bytes",
}


def _size_of(signature: str) -> Size:
    last = [part for part in signature.split("_") if part not in ("bytes", "uint8")][-1]
    return int(last) if last.isdecimal() else CASCADE if last == CASCADE else None


def checked_size(size: Any) -> Size:
    """Return a size that may be one.

    Raises:
        Refused: neither a whole number nor "cascade" nor None.
    """
    if isinstance(size, str) and size.isascii() and size.isdecimal() and len(size) < 6:
        return int(size)
    if size is None or size == CASCADE or isinstance(size, int) and not isinstance(size, bool):
        return size
    raise Refused(f'size must be a number of pixels or "cascade", got {said(size)}')


def check_names(what: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Refuse names that are not known, with the nearest one."""
    for name in names:
        if name not in known:
            raise Refused(f"{what} {said(name)} is not known{nearest(name, known)}")


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the end of a sentence that names what may have been meant, and what there is."""
    found = difflib.get_close_matches(str(name)[:_LONGEST], known, n=1)
    there_are = f"there are {', '.join(known)}" if known else "there are none"
    return f"; did you mean {found[0]}? ({there_are})" if found else f"; {there_are}"


def said(value: Any) -> str:
    """Return a value of a request as a message may repeat it: a short text or number, or what kind of thing it is."""
    if isinstance(value, str | int | float | None):
        text = repr(value[: _LONGEST + 1] if isinstance(value, str) else value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return {dict: "an object", list: "a list"}.get(type(value), type(value).__name__)


def parsed(document: bytes | bytearray) -> dict:
    """Return a JSON object.

    Raises:
        Refused: no JSON, or no object.
    """
    try:
        value = _loaded(document)
    except (ValueError, RecursionError) as error:
        place = getattr(error, "pos", None)
        at = "" if place is None else f" (at character {place})"
        remedy = "send a JSON object, or an image file alone with its content type"
        raise Refused(f"the body is no JSON{at}; {remedy}") from None
    if not isinstance(value, dict):
        raise Refused(f"the request must be a JSON object, got {said(value)}")
    return value


def _loaded(document: bytes | bytearray) -> Any:
    if orjson:
        try:
            return orjson.loads(document)
        except ValueError:  # as of line breaks within texts, which `base64 photo.jpg` prints
            pass
    return json.loads(document, strict=False)


def written(value: Any) -> bytes:
    """Return JSON of a value that may hold arrays."""
    if orjson:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY, default=lambda array: array.tolist())
    return json.dumps(value, default=lambda array: array.tolist()).encode()


def is_file(data: bytes) -> bool:
    """Return whether bytes start as a JPEG or PNG file does."""
    return data.startswith(_STARTS)


def file_of(text: str | bytes, where: str) -> bytes:
    """Return the file that a request holds, raw or in base64 of either alphabet, with or without line breaks.

    Args:
        text: raw bytes, base64, or raw bytes as a text of one character a byte.
        where: its place in the request, for the message.

    Raises:
        Refused: it is neither.
    """
    data = text if isinstance(text, bytes) else _as_bytes(text, where)
    if is_file(data):
        return data
    with contextlib.suppress(binascii.Error):  # as most clients send it, without another copy
        return base64.b64decode(data, validate=True)
    data = b"".join(data.split()).translate(_URL_ALPHABET)
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except binascii.Error:
        raise Refused(f"{where} is neither a JPEG or PNG file nor base64 of one; {_ENCODE}") from None


_ENCODE = "send the file's bytes in base64, as `base64 -w0 photo.jpg` prints them"


def _as_bytes(text: str, where: str) -> bytes:
    if not isinstance(text, str):
        raise Refused(f"{where} must be text in base64, got {said(text)}; {_ENCODE}")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise Refused(f"{where} is not base64; {_ENCODE}") from None


def whole_numbers(values: np.ndarray, what: str) -> np.ndarray:
    """Return values as uint8.

    Raises:
        Refused: fractions, or values out of 0..255.
    """
    if values.size and (values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255):
        raise Refused(f"{what} must be whole numbers in 0..255; send floats in [0, 1] as FP32 or to serve_SIZE")
    return values.astype(np.uint8)


def numbers(values: Any, where: str) -> np.ndarray:
    """Return nested lists as an array of numbers.

    Raises:
        Refused: other things than numbers, or lists of unlike lengths; the message has the index of the first.
    """
    try:
        array = np.array(values)
    except (ValueError, OverflowError):
        array = None
    if array is not None and array.dtype.kind in "iuf":
        return array
    if isinstance(values, list):
        _refuse_unlike(values, where)
    raise Refused(f"{where} must be numbers, in lists of one length for each axis")


def _refuse_unlike(values: list, where: str) -> None:
    first = None
    for index, value in enumerate(values):
        try:
            array = np.array(value)
        except (ValueError, OverflowError):
            raise Refused(f"{where}[{index}] has rows of unlike lengths, or numbers that are too large") from None
        if array.dtype.kind not in "iuf":
            raise Refused(f"{where}[{index}] must be numbers, or an encoded file throughout; got {said(value)}")
        first = array.shape if first is None else first
        if array.shape != first:
            remedy = "send images of one shape in a request, or files"
            raise Refused(f"{where}[{index}] has the shape {list(array.shape)}, {where}[0] {list(first)}; {remedy}")
