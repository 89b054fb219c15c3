"""What V1 requests ask for, and answers in their form, without a server."""

import base64
import json

import numpy as np
import pytest

from keras_mixsize.serving import v1
from keras_mixsize.serving.asking import Asked, Refused

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(250))
B64 = base64.b64encode(PNG).decode()
PIXELS = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)


def read(**fields):
    return v1.read(json.dumps(fields).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {"instances": [{"b64": B64}]},
        {"instances": [{"image_bytes": {"b64": B64}}]},
        {"inputs": [{"b64": B64}]},
        {"inputs": {"image_bytes": [{"b64": B64}]}},
    ],
)
def test_files_come_in_each_of_the_forms_of_tensorflow_serving(fields):
    asked = read(**fields, signature_name="serve_bytes_24")
    assert (asked.images, asked.signature, asked.by_column) == ([PNG], "serve_bytes_24", "inputs" in fields)


def test_line_breaks_within_a_text_are_read():
    body = b'{"instances": [{"b64": "' + base64.encodebytes(PNG) + b'"}]}'  # no JSON, strictly
    assert v1.read(body).images == [PNG]


@pytest.mark.parametrize("name", [None, "images"])
@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_arrays_come_by_row_and_by_column(key, name):
    rows = PIXELS.tolist()
    named = rows if name is None else [{name: row} for row in rows] if key == "instances" else {name: rows}
    asked = read(**{key: named}, size=8)
    np.testing.assert_array_equal(asked.images, PIXELS)
    assert asked.images.dtype == np.uint8 and asked.size == 8


@pytest.mark.parametrize(
    ("values", "signature", "dtype"),
    [
        ([[[[0, 255]]]], None, np.uint8),
        ([[[[0, 255]]]], "serve_8_uint8", np.uint8),
        ([[[[0, 1]]]], "serve_8_uint8", np.uint8),
        ([[[[0, 1]]]], "serve_8", np.float32),  # as TensorFlow Serving reads it: black and white
        ([[[[0.5, 1]]]], "serving_default", np.float32),
        ([[[[0.5, 1]]]], None, np.float32),
        ([[[[0.0, 1.0]]]], None, np.float32),
    ],
)
def test_arrays_mean_what_their_signature_says(values, signature, dtype):
    images = read(instances=values, signature_name=signature).images
    assert images.dtype == dtype
    np.testing.assert_allclose(images, np.array(values))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "must have instances"),
        ({"instances": [{"b64": B64}], "inputs": []}, "one of the two"),
        ({"instances": {}}, "list of at least one image, got an object"),
        ({"instances": []}, "list of at least one image"),
        ({"instances": [{"b64": B64}], "sise": 8}, "key 'sise' is not known; did you mean size"),
        ({"instances": [{"b64": B64}], "signature_name": 8}, "signature_name must be text"),
        ({"instances": [{"b64": B64}], "size": [8]}, "size must be a number of pixels or"),
        ({"instances": [{"b64": B64}, {"b46": B64}]}, r"key of instances\[1\], 'b46' is not known; did you mean b64"),
        ({"instances": [{"b64": B64}, {}]}, r"instances\[1\] must be"),
        ({"instances": [{"b64": B64}, {"b64": "?"}]}, r"instances\[1\] is neither"),
        ({"instances": [{"b64": B64}, [[[1]]]]}, r"instances\[1\] and instances\[0\] are not both files"),
        ({"instances": [B64]}, r"instances\[0\] is text; send an encoded file as"),
        ({"inputs": {"picture": []}}, "input 'picture' is not known"),
        ({"inputs": {"image_bytes": [], "images": []}}, "one of images and image_bytes"),
        ({"instances": [[[[0, 1]]]]}, "hold only 0 and 1, which may be floats"),
        ({"instances": [[[[256]]]]}, "whole numbers in 0..255"),
        ({"instances": [[[[-1]]]]}, "whole numbers in 0..255"),
        ({"instances": [[[[2.5]]]]}, r"floats in \[0, 1\]"),
        ({"instances": [[[[7]]]], "signature_name": "serve_8"}, r"floats in \[0, 1\]"),
        ({"instances": [[[[0.5]]]], "signature_name": "serve_8_uint8"}, "whole numbers in 0..255"),
        (
            {"instances": [[[[1]]], [[[1], [2]]]]},
            r"instances\[1\] has the shape \[1, 2, 1\], instances\[0\] \[1, 1, 1\]",
        ),
        ({"instances": [[[[1]]], [[[1], [2, 3]]]]}, r"instances\[1\] has rows of unlike lengths"),
        ({"instances": [[[[1]]], [[["a"]]]]}, r"instances\[1\] must be numbers"),
        ({"instances": [[[[1]]], None]}, r"instances\[1\] must be numbers"),
        ({"instances": [True]}, "must be numbers"),
        ({"instances": [[[[10**30]]]]}, "must be numbers"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place_and_the_remedy(fields, text):
    with pytest.raises(Refused, match=text) as caught:
        read(**fields)
    assert B64[:20] not in str(caught.value) and len(str(caught.value)) < 300


def test_an_answer_has_a_row_per_image_or_a_list_per_output():
    numbers = np.float32([[0.1, 0.9], [0.75, 0.25]])
    columns = {"probabilities": numbers, "top_names": np.array([["dog"], ["cat"]]), "sizes": np.int32([8, 12])}
    rows = json.loads(v1.write(Asked([PNG]), columns))["predictions"]
    assert [row["top_names"] for row in rows] == [["dog"], ["cat"]] and [row["sizes"] for row in rows] == [8, 12]
    assert rows[1]["probabilities"] == [0.75, 0.25]
    outputs = json.loads(v1.write(Asked([PNG], by_column=True), columns))["outputs"]
    assert outputs["sizes"] == [8, 12] and outputs["top_names"] == [["dog"], ["cat"]]
