"""What V2 requests ask for, as JSON and with raw bytes, and answers in their form, without a server."""

import base64
import json
import struct

import numpy as np
import pytest

from keras_mixsize.serving import v2
from keras_mixsize.serving.asking import OUTPUTS, Asked, Refused

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(250))
B64 = base64.b64encode(PNG).decode()
FILE = {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": [B64]}
ARRAY = {"name": "images", "shape": [1, 1, 2, 1], "datatype": "UINT8", "data": [7, 255]}
COLUMNS = {
    "probabilities": np.float32([[0.25, 0.75]]),
    "logits": np.float32([[-1, 1]]),
    "top_labels": np.int32([[1]]),
    "top_names": np.array([["caf\u00e9"]]),
    "top_probabilities": np.float32([[0.75]]),
    "sizes": np.int32([8]),
}


def read(value, **fields):
    return v2.read(json.dumps({"inputs": [value], **fields}).encode())


def with_bytes(raw, **changes):
    """Return a body of a JSON header and raw bytes, and the header's length."""
    value = {"name": "images", "parameters": {"binary_data_size": len(raw)}} | changes
    header = json.dumps({"inputs": [value]}).encode()
    return header + raw, str(len(header))


def elements(*files):
    return b"".join(struct.pack("<I", len(file)) + file for file in files)


def test_arrays_come_as_json_flat_or_nested():
    for data in (ARRAY["data"], [[[[7], [255]]]]):
        asked = read(ARRAY | {"data": data}, parameters={"size": 8}, id="a")
        np.testing.assert_array_equal(asked.images, np.uint8([[[[7], [255]]]]))
        assert asked.images.dtype == np.uint8 and (asked.size, asked.identity) == (8, "a")


@pytest.mark.parametrize(("datatype", "dtype"), [("UINT8", np.uint8), ("FP32", np.float32)])
def test_arrays_come_as_raw_bytes(datatype, dtype):
    values = np.arange(24).astype(dtype).reshape(2, 2, 2, 3)
    asked = v2.read(*with_bytes(values.tobytes(), datatype=datatype, shape=[2, 2, 2, 3]))
    np.testing.assert_array_equal(asked.images, values)


def test_files_come_raw_or_in_base64():
    raw = elements(PNG, B64.encode())
    assert v2.read(*with_bytes(raw, name="image_bytes", datatype="BYTES", shape=[2, 1])).images == [PNG, PNG]
    texts = [B64, PNG.decode("latin-1"), base64.encodebytes(PNG).decode()]
    assert read(FILE | {"shape": [3], "data": texts}).images == [PNG] * 3


@pytest.mark.parametrize(
    ("value", "fields", "text"),
    [
        (FILE, {"parameters": {"sise": 8}}, "parameter 'sise' is not known; did you mean size"),
        (FILE, {"outputs": [{"name": "logit"}]}, "output 'logit' is not known; did you mean logits"),
        (FILE, {"outputs": ["logits"]}, "outputs must be a list of objects"),
        (FILE, {"output": []}, "key 'output' is not known; did you mean outputs"),
        (FILE, {"parameters": [8]}, "parameters must be an object, got a list"),
        (FILE | {"name": "image"}, {}, "input 'image' is not known; did you mean images"),
        (FILE | {"datatype": "UINT8"}, {}, "datatype of image_bytes must be BYTES, got 'UINT8'"),
        (FILE | {"shape": [2]}, {}, "has 1 elements, its shape needs 2"),
        (FILE | {"shape": "1"}, {}, "shape of image_bytes must be a list of whole numbers"),
        (FILE | {"data": ["?"]}, {}, r"image_bytes\[0\] is neither"),
        (FILE | {"data": None}, {}, "data must be a list, got None"),
        (ARRAY | {"datatype": "INT64"}, {}, "datatype of images must be UINT8 or FP32, got 'INT64'"),
        (ARRAY | {"data": [7, 256]}, {}, "whole numbers in 0..255"),
        (ARRAY | {"data": [7, -1]}, {}, "whole numbers in 0..255"),
        (ARRAY | {"data": [7, 0.5]}, {}, "whole numbers in 0..255"),
        (ARRAY | {"data": [7, "x"]}, {}, r"data\[1\] must be numbers"),
        (ARRAY | {"data": [7]}, {}, "has 1 values, its shape"),
        (ARRAY | {"shape": [1, 1, -2, 1]}, {}, "list of whole numbers"),
        (ARRAY | {"parameters": {"binary_data_size": 2}}, {}, "binary_data_size must be the 0 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_remedy(value, fields, text):
    with pytest.raises(Refused, match=text) as caught:
        read(value, **fields)
    assert B64[:20] not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("inputs", [None, [], {}, [FILE, FILE], ["image_bytes"]])
def test_there_must_be_one_input(inputs):
    with pytest.raises(Refused, match="inputs must be a list of one"):
        v2.read(json.dumps({"inputs": inputs}).encode())


@pytest.mark.parametrize("length", ["abc", "-1", "0", "1.5", "9" * 30, "99999", "", "\u0663"])
def test_a_length_of_the_header_that_cannot_be_is_refused(length):
    with pytest.raises(Refused, match="Inference-Header-Content-Length must be the length"):
        v2.read(b"{}", length)


@pytest.mark.parametrize(
    ("raw", "changes", "text"),
    [
        (b"abc", {"datatype": "FP32", "shape": [1]}, "3 bytes, no multiple of the 4 of FP32"),
        (b"abc", {"datatype": "UINT8", "shape": [4]}, "3 values, its shape"),
        (b"abc", {"datatype": "UINT8", "shape": [3], "parameters": {"binary_data_size": 2}}, "must be the 3 bytes"),
        (b"abc", {"datatype": "UINT8", "shape": [3], "parameters": {}}, "3 bytes follow the JSON"),
        (elements(PNG), {"name": "image_bytes", "datatype": "BYTES", "shape": [2]}, r"image_bytes\[1\] ends after"),
        (
            elements(PNG)[:-1],
            {"name": "image_bytes", "datatype": "BYTES", "shape": [1]},
            r"image_bytes\[0\] ends after",
        ),
        (elements(PNG, PNG), {"name": "image_bytes", "datatype": "BYTES", "shape": [1]}, "bytes follow the 1 elements"),
        (
            elements(b"GIF89a\0"),
            {"name": "image_bytes", "datatype": "BYTES", "shape": [1]},
            r"image_bytes\[0\] is neither",
        ),
    ],
)
def test_raw_bytes_that_do_not_fit_are_refused(raw, changes, text):
    with pytest.raises(Refused, match=text):
        v2.read(*with_bytes(raw, **changes))


def test_an_answer_has_a_tensor_per_output():
    body, length = v2.write(Asked([PNG], identity="a"), COLUMNS, "mixsize", "1")
    answer = json.loads(body)
    assert length is None and (answer["id"], answer["model_name"], answer["model_version"]) == ("a", "mixsize", "1")
    found = {output["name"]: output for output in answer["outputs"]}
    assert tuple(found) == OUTPUTS and found["probabilities"]["data"] == [0.25, 0.75]
    assert (found["top_names"]["datatype"], found["top_names"]["data"]) == ("BYTES", ["caf\u00e9"])


def test_outputs_come_in_the_order_and_form_that_is_asked_for():
    outputs = [{"name": "top_names", "parameters": {"binary_data": True}}, {"name": "sizes"}, {"name": "logits"}]
    asked = read(FILE, outputs=outputs, parameters={"binary_data_output": True})
    asked = v2.Asked(asked.images, outputs=asked.outputs | {"sizes": False})
    body, length = v2.write(asked, COLUMNS, "mixsize", "1")
    found = json.loads(body[:length])["outputs"]
    assert [output["name"] for output in found] == ["top_names", "sizes", "logits"] and found[1]["data"] == [8]
    assert body[length:] == struct.pack("<I", 5) + "caf\u00e9".encode() + struct.pack("<2f", -1, 1)
    assert [output.get("parameters") for output in found] == [{"binary_data_size": 9}, None, {"binary_data_size": 8}]


def test_the_metadata_name_what_is_answered():
    inputs, outputs = v2.metadata(channels=3, classes=2, top=1)
    assert [value["name"] for value in inputs] == ["images", "image_bytes"]
    assert [(each["name"], each["datatype"]) for each in outputs] == [
        (name, v2.datatype_of(values)) for name, values in COLUMNS.items()
    ]
    assert [value["name"] for value in v2.metadata(channels=4, classes=2, top=1)[0]] == ["images"]
