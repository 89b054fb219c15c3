"""Warm-up requests, read back by a decoder of their own and, where it is installed, by TensorFlow Serving's classes."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.warmup_requests import FILE, field, write_requests

REQUESTS = {
    "serve_8": {"images": np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)},
    "serve_at": {"images": np.ones([1, 2, 2, 1], np.float32), "size": np.int32(8)},
    "serve_bytes": {"image_bytes": np.array([b"some \0 bytes"], object)},
}


@pytest.fixture
def records(tmp_path):
    write_requests(tmp_path, REQUESTS)
    return [record.numpy() for record in tf.data.TFRecordDataset(str(tmp_path / FILE))]


def fields(message):
    """Return the length-delimited fields of a protocol buffer, [(number, bytes)]."""
    found, place = [], 0
    while place < len(message):
        key, place = varint(message, place)
        length, place = varint(message, place)
        assert key & 7 == 2
        found.append((key >> 3, message[place : place + length]))
        place += length
    return found


def varint(message, place):
    value, shift = 0, 0
    while True:
        byte = message[place]
        value, shift, place = value | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:
            return value, place


def parse(record):
    """Return (signature, inputs) of a PredictionLog, by the field numbers of TensorFlow Serving's proto files."""
    ((predict_log, content),) = fields(record)
    ((request, content),) = fields(content)
    assert (predict_log, request) == (6, 1)
    (spec, *inputs) = fields(content)
    values = {}
    for _, entry in inputs:
        (_, name), (_, tensor) = fields(entry)
        proto = tf.make_tensor_proto(0)
        proto.ParseFromString(tensor)
        values[name.decode()] = tf.make_ndarray(proto)
    return dict(fields(spec[1]))[3].decode(), values


def test_each_signature_has_a_request_with_its_inputs(records):
    found = dict(map(parse, records))
    assert found.keys() == REQUESTS.keys()
    for signature, inputs in REQUESTS.items():
        for name, value in inputs.items():
            np.testing.assert_array_equal(found[signature][name], value)


def test_long_content_has_a_length_of_several_bytes():
    assert fields(field(3, b"x" * 300)) == [(3, b"x" * 300)]


def test_tensorflow_serving_reads_them(records):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    for record, (signature, inputs) in zip(records, REQUESTS.items()):
        request = logs.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.signature_name == signature
        for name, value in inputs.items():
            np.testing.assert_array_equal(tf.make_ndarray(request.inputs[name]), value)
