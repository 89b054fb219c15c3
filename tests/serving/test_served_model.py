"""Loading an export, choosing sizes, and refusing bad requests."""

import json
import pathlib
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.evaluation.report import Accuracy, SizeReport, SizeRow
from keras_mixsize.export import FitCascade, export_saved_model, manifest
from keras_mixsize.export.signatures import Limits
from keras_mixsize.serving import served_model as serving

ROWS = {8: (0.70, 1_000, 0.1), 12: (0.85, 2_000, 0.2), 16: (0.80, 4_000, 0.5)}  # accuracy, multiply-adds, milliseconds


def png(side):
    return tf.io.encode_png(np.full([side, side, 1], 99, np.uint8)).numpy()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rows = [SizeRow(size, Accuracy(a, a - 0.1, a + 0.1), 1.0, None, None, m, t) for size, (a, m, t) in ROWS.items()]
    images, labels = np.random.default_rng(0).random((20, 8, 8, 1)).astype("float32"), np.arange(20) % 10
    path = tmp_path_factory.mktemp("exported")
    options = {"cascade": FitCascade(images, labels, 0.0), "limits": Limits(max_batch=8, max_pixels=1_000_000)}
    export_saved_model(tiny_network(), path, report=SizeReport("tiny", tuple(rows)), **options)
    return path


@pytest.fixture(scope="module")
def served(path):
    return serving.load(path)


# Answers


@pytest.mark.parametrize("size", [None, *ROWS])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_arrays_are_answered(served, size, dtype):
    prediction = served.predict(np.zeros([3, 9, 13, 1], dtype), size=size)
    assert prediction.sizes.tolist() == [size or 12] * 3
    assert prediction.probabilities.shape == prediction.logits.shape == (3, 10)
    assert prediction.names.tolist() == prediction.labels.astype(str).tolist()
    np.testing.assert_allclose(prediction.confidences[:, 0], prediction.probabilities.max(-1))


@pytest.mark.parametrize("size", [None, *ROWS])
def test_files_are_answered(served, size):
    prediction = served.predict([png(20), png(7)], size=size)
    pixels = np.full([2, 8, 8, 1], 99, np.uint8)
    np.testing.assert_allclose(prediction.logits, served.predict(pixels, size=size or 12).logits, atol=1e-5)
    assert prediction.sizes.tolist() == [size or 12] * 2


def test_the_cascade_answers_arrays_and_files(served):
    for images in (np.zeros([2, 8, 8, 1], np.uint8), np.zeros([2, 8, 8, 1], np.float32), [png(8), png(8)]):
        assert served.predict_cascade(images).probabilities.shape == (2, 10)


def test_warm_up_runs_every_signature_that_predictions_take(served, monkeypatch):
    run, called = served._run, set()
    monkeypatch.setattr(served, "_run", lambda name, **inputs: called.add(name) or run(name, **inputs))
    served.warm_up()
    assert called == {name for name in served.signatures if not name.startswith("serve_at")}


# Choosing a size


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        ({}, 12),
        ({"min_accuracy": 0.7}, 8),
        ({"min_accuracy": 0.71}, 12),
        ({"max_latency_ms": 0.15}, 8),
        ({"max_flops": 3_000}, 12),
        ({"min_accuracy": 0.75, "max_latency_ms": 0.3}, 12),
    ],
)
def test_the_cheapest_size_that_is_good_enough_is_chosen(served, wanted, size):
    real = {entry["size"]: entry["multiply_adds"] for entry in served.manifest["sizes"]}
    if "max_flops" in wanted:
        wanted = {"max_flops": real[12]}
    assert served.choose_size(**wanted) == size


def test_a_wish_that_no_size_fulfils_is_refused_with_what_there_is(served):
    with pytest.raises(
        ValueError, match=r"no size has min_accuracy=0.9, max_latency_ms=0.3; there are 8 px \(accuracy 0.7"
    ):
        served.choose_size(min_accuracy=0.9, max_latency_ms=0.3)


def test_without_a_report_only_the_compute_is_known(tmp_path):
    export_saved_model(tiny_network(), tmp_path, [8, 12])
    served = serving.load(tmp_path)
    for wanted in ({"min_accuracy": 0.5}, {"max_latency_ms": 1.0}):
        with pytest.raises(ValueError, match="is not in this export; give report= when exporting"):
            served.choose_size(**wanted)


# Bad requests


HUGE_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 23000, 23000) + b"\x08\x02\0\0\0"
JPEG = tf.io.encode_jpeg(np.random.default_rng(0).integers(0, 256, (64, 64, 1)).astype("uint8")).numpy()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros([8, 8, 1], np.uint8), r"must be \[N, H, W, 1\], got the shape \[8, 8, 1\]"),
        (np.zeros([1, 8, 8, 3], np.uint8), r"must be \[N, H, W, 1\]"),
        (np.zeros([1, 8, 8, 1]), "must be uint8, or float32 in .*, got float64"),
        (np.full([1, 8, 8, 1], 200, np.float32), r"float32 images must lie in \[0, 1\]; send 0..255 to the signature"),
        (np.full([1, 8, 8, 1], np.nan, np.float32), "float32 images must lie in"),
        (np.zeros([0, 8, 8, 1], np.uint8), "at least 1 and at most 8, the export's max_batch, got 0"),
        (np.zeros([9, 8, 8, 1], np.uint8), "at least 1 and at most 8, the export's max_batch, got 9"),
        (np.zeros([1, 0, 8, 1], np.uint8), "must have pixels"),
        (np.zeros([1, 1001, 1000, 1], np.uint8), "an image must have at least 1 pixel and at most"),
        ([], "at least 1 and at most 8"),
        ([png(8)] * 9, "at least 1 and at most 8"),
        ([png(8), "text"], "must be bytes throughout if the first is, got str"),
        (png(8), r"must be a list of encoded files, got bytes; use \[data\]"),
        ([b""], "image 0 cannot be used: it is empty"),
        ([png(8), b"no image"], "image 1 cannot be used: it is neither JPEG nor PNG"),
        ([b"GIF89a"], "image 0 cannot be used: it is neither JPEG nor PNG"),
        ([png(8)[:40]], "cannot be answered: .*PNG"),
        ([JPEG[: len(JPEG) // 2]], "cannot be answered: .*JPEG"),
        ([HUGE_PNG], "image 0 cannot be used: it has more pixels than max_pixels"),
    ],
)
def test_bad_requests_are_refused_and_the_next_one_is_answered(served, images, message):
    with pytest.raises(ValueError, match=message) as caught:
        served.predict(images)
    assert "{{node" not in str(caught.value)
    assert len(served.predict([png(8)]).labels) == 1


@pytest.mark.parametrize("images", [np.zeros([1, 8, 8, 1], np.uint8), [png(8)]], ids=["array", "file"])
def test_unknown_sizes_are_refused(served, images):
    with pytest.raises(ValueError, match=r"size must be one of \(8, 12, 16\), got 9"):
        served.predict(images, size=9)


def test_a_huge_image_is_refused_from_its_header_in_milliseconds(served):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        with pytest.raises(ValueError):
            served.predict([HUGE_PNG + bytes(1_500_000)])
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


@pytest.mark.parametrize("batch", [0, 9])
def test_the_signatures_themselves_refuse_such_batches(served, batch):
    with pytest.raises(tf.errors.InvalidArgumentError, match="the batch must hold at least 1"):
        served.signatures["serve_8_uint8"](images=tf.zeros([batch, 8, 8, 1], tf.uint8))


def test_an_export_without_a_cascade_says_so(tmp_path):
    export_saved_model(tiny_network(), tmp_path, [8])
    with pytest.raises(ValueError, match="this export has no cascade"):
        serving.load(tmp_path).predict_cascade([png(8)])


# Loading


def test_the_highest_version_is_loaded(path, tmp_path):
    for version, size in ((2, 8), (10, 12)):
        export_saved_model(tiny_network(), tmp_path, [size], version=version)
    assert serving.load(tmp_path).sizes == (12,)
    assert serving.load(tmp_path / "2").sizes == (8,)


def test_what_is_no_export_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        serving.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="holds no export"):
        serving.load(tmp_path)
    tiny_network().export(tmp_path / "1", verbose=False)
    with pytest.raises(FileNotFoundError, match="manifest.json does not exist"):
        serving.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as a manifest"),
        (json.dumps({"format": "x", "format_version": 9}), "must be of the format"),
    ],
)
def test_a_manifest_of_another_format_is_refused(tmp_path, text, message):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "saved_model.pb").touch()
    (tmp_path / "assets.extra/manifest.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        serving.load(tmp_path)


def test_the_file_alone_serves_without_the_rest_of_the_package(path, tmp_path):
    copy = tmp_path / "serving.py"
    copy.write_text(pathlib.Path(serving.__file__).read_text())
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import numpy as np, serving\n"
        f"print(serving.load({str(path)!r}).predict(np.zeros([1, 8, 8, 1], np.uint8)).sizes[0])\n"
        "print([name for name in sys.modules if name.startswith('keras_')])"  # keras itself is TensorFlow's import
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split("\n")[:2] == ["8", "[]"]


def test_the_format_is_the_exports():
    assert (serving.FORMAT, serving.FORMAT_VERSION) == (manifest.FORMAT, manifest.FORMAT_VERSION)


@pytest.mark.slow
def test_every_python_block_of_the_page_runs():
    root = pathlib.Path(kms.__file__).parents[1]
    command = [sys.executable, str(root / "tests/run_page.py"), str(root / "docs/serving.md")]
    subprocess.run(command, check=True, timeout=900)
