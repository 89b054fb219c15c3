"""Converted models against the export they come from; each needs the package that runs it."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.export import converters
from keras_mixsize.export.preprocessing import Preprocessing
from keras_mixsize.serving import served_model as serving

SIZES = (8, 12)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((64, 12, 12, 3)).astype("float32")


@pytest.fixture(scope="module")
def path(images, tmp_path_factory):
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("exported")
    options = {"preprocessing": Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))}
    kms.export_saved_model(tiny_network(channels=3), path, SIZES, calibration=images, **options)
    return path


@pytest.fixture(scope="module")
def inputs(images):
    """Return a function of size, images of that size."""
    return lambda size: kms.images.resize(images, size).numpy()


@pytest.fixture(scope="module")
def expected(path, inputs):
    served = serving.load(path)
    return {size: served.predict(inputs(size), size=size).logits for size in SIZES}


@pytest.mark.parametrize("size", SIZES)
def test_the_function_to_convert_is_the_exports(path, inputs, expected, size):
    served = serving.load(path)
    logits = converters.inference(served, size)(inputs(size))["logits"]
    np.testing.assert_allclose(logits, expected[size], atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_onnx(path, inputs, expected, size, tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    file = tmp_path / "model.onnx"
    converters.to_onnx(path, size, file)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": inputs(size)})
    np.testing.assert_allclose(logits, expected[size], atol=1e-4)


def test_a_signature_without_antialiasing_goes_through_the_plain_command(tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "exported"
    kms.export_saved_model(tiny_network(channels=3), path, SIZES, preprocessing=Preprocessing(antialias=False))
    file = tmp_path / "model.onnx"
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(path / "1"), "--signature_def", "serve_8"]
    subprocess.run([*command, "--opset", "17", "--output", str(file)], check=True, capture_output=True)
    images = np.random.default_rng(0).random((3, 20, 24, 3)).astype("float32")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images})
    np.testing.assert_allclose(logits, serving.load(path).predict(images, size=8).logits, atol=1e-4)


def run_litert(file, images):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(str(file))
    runner = interpreter.get_signature_runner("serving_default")
    return np.concatenate([runner(images=image[None])["logits"] for image in images])


@pytest.mark.parametrize("size", SIZES)
def test_litert_in_float32(path, inputs, expected, size, tmp_path):
    pytest.importorskip("ai_edge_litert")
    converters.to_litert(path, size, tmp_path / "model.tflite")
    logits = run_litert(tmp_path / "model.tflite", inputs(size))
    np.testing.assert_allclose(logits, expected[size], atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_litert_in_int8(path, images, inputs, expected, size, tmp_path):
    pytest.importorskip("ai_edge_litert")
    converters.to_litert(path, size, tmp_path / "model.tflite", images=images)
    logits = run_litert(tmp_path / "model.tflite", inputs(size))
    spread = expected[size].max() - expected[size].min()
    assert np.abs(logits - expected[size]).max() < 0.05 * spread
    whole = tmp_path / "float.tflite"
    converters.to_litert(path, size, whole)
    assert (tmp_path / "model.tflite").stat().st_size < whole.stat().st_size


@pytest.mark.parametrize("size", SIZES)
def test_openvino(path, inputs, expected, size, tmp_path):
    openvino = pytest.importorskip("openvino")
    converters.to_openvino(path, size, tmp_path / "model.xml")
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(tmp_path / "model.xml", "CPU", options)
    np.testing.assert_allclose(model({"images": inputs(size)})["logits"], expected[size], atol=1e-4)


def test_unknown_sizes_are_refused(path):
    with pytest.raises(ValueError, match=r"size must be one of \(8, 12\), got 9"):
        converters.inference(serving.load(path), 9)


def test_openvino_wants_its_suffix(path):
    with pytest.raises(ValueError, match="suffix .xml, got model.onnx"):
        converters.to_openvino(path, 8, "model.onnx")
