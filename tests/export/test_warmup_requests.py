"""Warm-up requests, read back by a decoder of their own and, where it is installed, by TensorFlow Serving's classes."""

import numpy as np
import pytest
import tensorflow as tf
from prediction_log import fields, parse

from keras_mixsize.export.warmup_requests import FILE, example_inputs, field, write_requests

REQUESTS = {
    "serve_8": {"images": np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)},
    "serve_at": {"images": np.ones([1, 2, 2, 1], np.float32), "size": np.int32(8)},
    "serve_bytes": {"image_bytes": np.array([b"some \0 bytes"], object)},
}


@pytest.fixture
def records(tmp_path):
    write_requests(tmp_path, REQUESTS)
    return [record.numpy() for record in tf.data.TFRecordDataset(str(tmp_path / FILE))]


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


def test_an_example_is_a_grey_image_of_what_the_signature_takes():
    @tf.function
    def serve(images, size):
        return tf.cast(images, tf.float32) + tf.cast(size, tf.float32)

    for dtype, grey in ((tf.uint8, 128), (tf.float32, 128 / 255)):
        specs = tf.TensorSpec([None, None, None, 2], dtype, "images"), tf.TensorSpec([], tf.int32, "size")
        inputs = example_inputs(serve.get_concrete_function(*specs), 8)
        assert inputs["images"].shape == (1, 8, 8, 2) and inputs["images"].dtype == dtype and inputs["size"] == 8
        np.testing.assert_allclose(inputs["images"], grey)


def test_an_example_of_files_is_a_file():
    serve = tf.function(lambda data: tf.strings.length(data))
    spec = tf.TensorSpec([None], tf.string, "image_bytes")
    (file,) = example_inputs(serve.get_concrete_function(spec), 8)["image_bytes"]
    assert tf.io.decode_image(file).shape == (8, 8, 1)
