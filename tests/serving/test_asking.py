"""What requests of any protocol may hold, and what refusals say."""

import base64
import pickle

import numpy as np
import pytest

from keras_mixsize.serving import asking

JPEG, PNG = b"\xff\xd8\xff\xe0 \x00\xfb\xef\xbe more", b"\x89PNG\r\n\x1a\n\xfb\xff\xfe rest of it" * 9
SIGNATURES = ["serving_default", "serving_default_uint8", "serve_24", "serve_24_uint8", "serve_bytes_24", "serve_bytes"]
SIGNATURES += ["serve_cascade", "serve_cascade_bytes", "serve_at"]
PIXELS = np.zeros([1, 2, 2, 3], np.uint8)


@pytest.mark.parametrize("data", [JPEG, PNG, PNG + b"?"], ids=["jpeg", "png", "padded"])
@pytest.mark.parametrize(
    "form",
    [
        lambda data: data,
        lambda data: data.decode("latin-1"),
        base64.b64encode,
        lambda data: base64.b64encode(data).decode(),
        lambda data: base64.encodebytes(data).decode(),
        lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
        lambda data: base64.urlsafe_b64encode(data).decode(),
        lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    ],
    ids=["raw", "latin-1", "base64 bytes", "base64", "line breaks", "Windows", "URL alphabet", "no padding"],
)
def test_a_file_is_read_in_every_form_that_clients_send(data, form):
    assert asking.file_of(form(data), "image_bytes[0]") == data


@pytest.mark.parametrize("value", ["?", "ab\u20ac", b"GIF89a\x00", 7, None, ["a"], "abcde"])
def test_what_is_no_file_is_refused_with_its_place_and_without_its_bytes(value):
    with pytest.raises(asking.Refused, match=r"instances\[3\] .* base64") as caught:
        asking.file_of(value, "instances[3]")
    assert "GIF" not in str(caught.value) and "abcde" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "signature", "size", "expected"),
    [
        ([JPEG], None, None, None),
        ([JPEG], None, 24, 24),
        ([JPEG], "serve_bytes_24", None, 24),
        ([JPEG], "serve_bytes_24", 24, 24),
        ([JPEG], "serve_bytes", 16, 16),
        ([JPEG], "serve_cascade_bytes", None, "cascade"),
        (PIXELS, "serve_24_uint8", None, 24),
        (PIXELS, "serving_default", None, None),
        (PIXELS, "serve_cascade", None, "cascade"),
        (PIXELS, "serve_at", 24, 24),
    ],
)
def test_a_signature_says_the_size(images, signature, size, expected):
    assert asking.Asked(images, size, signature).chosen_size(SIGNATURES) == expected


@pytest.mark.parametrize(
    ("images", "signature", "size", "text"),
    [
        ([JPEG], "serve_byte_24", None, "did you mean serve_bytes_24"),
        ([JPEG], "predict" * 100, None, "is not served; there are serving_default"),
        ([JPEG], "serve_24", None, "takes arrays, got files; files go to serve_bytes_SIZE"),
        (PIXELS, "serve_bytes_24", None, "takes files, got arrays; arrays go to serve_SIZE"),
        (PIXELS, "serve_24", 16, "size 16 and signature serve_24 differ"),
        (PIXELS, "serve_at", None, "needs a size"),
    ],
)
def test_a_signature_that_cannot_answer_is_refused(images, signature, size, text):
    with pytest.raises(asking.Refused, match=text) as caught:
        asking.Asked(images, size, signature).chosen_size(SIGNATURES)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("size", "expected"), [(24, 24), ("24", 24), ("cascade", "cascade"), (None, None)])
def test_sizes_are_numbers_or_the_cascade(size, expected):
    assert asking.checked_size(size) == expected


@pytest.mark.parametrize("size", [True, 24.0, "large", "9" * 99, [24], {}])
def test_other_sizes_are_refused(size):
    with pytest.raises(asking.Refused, match="size must be a number of pixels or") as caught:
        asking.checked_size(size)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("document", [b"", b"no json", b"[1]", b"{", b"\xff", b"[" * 100_000, b"3"])
def test_what_is_no_object_is_refused(document):
    with pytest.raises(asking.Refused, match="no JSON|must be a JSON object"):
        asking.parsed(document)


def test_a_refusal_passes_from_process_to_process():
    refused = pickle.loads(pickle.dumps(asking.Refused("too large", 413)))
    assert (refused.text, refused.status, str(refused)) == ("too large", 413, "too large")


def test_reading_needs_no_tensorflow():
    import subprocess
    import sys

    code = "import sys, keras_mixsize.serving.readers; print('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
