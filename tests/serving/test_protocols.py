"""What requests ask for, and answers in their form, without a server."""

import base64
import json
import types

import numpy as np
import pytest

from keras_mixsize.serving import protocols
from keras_mixsize.serving.served_model import Prediction

DATA = b"\x89PNG"
B64 = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, None),
        ({"size": 24}, 24),
        ({"size": "cascade"}, "cascade"),
        ({"signature_name": "serve_bytes_24"}, 24),
        ({"signature_name": "serve_cascade_bytes"}, "cascade"),
        ({"signature_name": "serving_default"}, None),
    ],
)
def test_v1_asks_for_files_at_a_size(fields, size):
    payload = {"instances": [{"b64": B64}]} | fields
    assert protocols.read_v1(payload) == ([DATA], size)
    assert protocols.read_v1(json.dumps(payload).encode()) == ([DATA], size)


def test_v1_asks_for_pixels():
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    images, size = protocols.read_v1({"instances": pixels.tolist(), "size": 8})
    np.testing.assert_array_equal(images, pixels)
    assert images.dtype == np.uint8 and size == 8


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "must be a JSON object with instances, got list"),
        ({}, "instances must be a list"),
        ({"instances": {}}, "instances must be a list"),
        ({"instances": [[[[256]]]]}, "whole numbers in 0..255"),
        ({"instances": [[[[-1]]]]}, "whole numbers in 0..255"),
        ({"instances": [[[[0.5]]]]}, "whole numbers in 0..255"),
        ({"instances": [{"b64": "?"}]}, "base64|Non-base64|padding"),
        ({"instances": [{"b64": B64}], "signature_name": "serve_all"}, "signature_name must be serve_SIZE"),
    ],
)
def test_v1_that_cannot_be_read_is_refused(payload, message):
    with pytest.raises(ValueError, match=message):
        protocols.read_v1(payload)


def v2(name, values, **parameters):
    value = types.SimpleNamespace(name=name, as_numpy=lambda: values)
    return types.SimpleNamespace(inputs=[value], parameters=parameters or None)


def test_v2_asks_for_files_or_pixels():
    assert protocols.read_v2(v2("image_bytes", np.array([[B64]], object), size=24)) == ([DATA], 24)
    images, size = protocols.read_v2(v2("images", np.zeros([1, 2, 2, 3], np.uint8)))
    assert images.shape == (1, 2, 2, 3) and size is None
    with pytest.raises(ValueError, match="inputs must be one, images or image_bytes, got .'pixels'."):
        protocols.read_v2(v2("pixels", None))


def test_a_v1_answer_has_a_row_per_image():
    numbers, labels = np.float32([[0.1, 0.9], [0.75, 0.25]]), np.int32([[1], [0]])
    prediction = Prediction(
        numbers, np.log(numbers), labels, np.array([["dog"], ["cat"]]), numbers[:, :1], np.int32([8, 12])
    )
    rows = json.loads(json.dumps(protocols.write_v1(prediction)))["predictions"]
    assert [row["top_names"] for row in rows] == [["dog"], ["cat"]] and [row["sizes"] for row in rows] == [8, 12]
    assert rows[1]["probabilities"] == [0.75, 0.25]
