"""An export answers as the model in memory does, calibrated at each size."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network
from prediction_log import parse

import keras_mixsize as kms
from keras_mixsize.evaluation import Accuracy
from keras_mixsize.evaluation.statistics import batch_norm_layers, get_statistics
from keras_mixsize.export import Cascade, ExportOptions, FitCascade, export_saved_model, fit_cascade
from keras_mixsize.export.signatures import Limits

SIZES = (8, 12, 16)
NAMES = tuple(f"class {number}" for number in range(10))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3)).astype("uint8")


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(1).integers(0, 10, 40)


@pytest.fixture(scope="module")
def colour_network():
    keras.utils.set_random_seed(1)
    return tiny_network(channels=3)


@pytest.fixture(scope="module")
def report(colour_network, pixels, labels):
    return kms.evaluate_sizes(colour_network, (pixels, labels), SIZES, calibrate=pixels, latency=False)


@pytest.fixture(scope="module")
def folder(colour_network, pixels, labels, report, tmp_path_factory):
    """An export with everything."""
    options = {"report": report, "class_names": NAMES, "cascade": FitCascade(pixels, labels, 0.0), "top": 3}
    path = tmp_path_factory.mktemp("exported")
    return export_saved_model(colour_network, path, calibration=pixels, limits=Limits(max_batch=64), **options)


@pytest.fixture(scope="module")
def loaded(folder):
    return tf.saved_model.load(str(folder))


@pytest.fixture(scope="module")
def manifest(folder):
    return read_manifest(folder)


@pytest.fixture(scope="module")
def expected(colour_network, pixels):
    """Return a function of (images, size), the logits of the model in memory, calibrated at the size."""

    def logits(images, size):
        with kms.calibrated(colour_network, pixels, size):
            return colour_network(kms.images.resize(images, size), training=False).numpy()

    return logits


def read_manifest(folder):
    return json.loads((folder / "assets.extra/manifest.json").read_text())


def as_dtype(images, suffix):
    return tf.constant(images if suffix else images / np.float32(255))


# Answers


@pytest.mark.parametrize("suffix", ["", "_uint8"])
@pytest.mark.parametrize("shape", [(16, 16), (8, 8), (10, 14)])
@pytest.mark.parametrize("size", SIZES)
def test_a_size_answers_as_the_model_calibrated_there(loaded, pixels, expected, size, shape, suffix):
    images = pixels[:5, : shape[0], : shape[1]]
    answer = loaded.signatures[f"serve_{size}{suffix}"](images=as_dtype(images, suffix))
    np.testing.assert_allclose(answer["logits"], expected(images, size), atol=1e-6)
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(expected(images, size)), atol=1e-6)
    assert answer["sizes"].numpy().tolist() == [size] * 5


@pytest.mark.parametrize("suffix", ["", "_uint8"])
@pytest.mark.parametrize(("shape", "size"), [((9, 9), 8), ((16, 9), 12), ((40, 30), 16), ((10, 10), 8)])
def test_the_default_takes_the_nearest_size(loaded, pixels, expected, shape, size, suffix):
    images = tf.image.resize(pixels[:3], shape).numpy().astype("uint8")
    answer = loaded.signatures[f"serving_default{suffix}"](images=as_dtype(images, suffix))
    assert answer["sizes"].numpy().tolist() == [size] * 3
    np.testing.assert_allclose(answer["logits"], expected(images, size), atol=1e-6)


@pytest.mark.parametrize("suffix", ["", "_uint8"])
def test_the_size_can_be_an_input(loaded, pixels, expected, suffix):
    signature = loaded.signatures[f"serve_at{suffix}"]
    answer = signature(images=as_dtype(pixels[:3], suffix), size=tf.constant(12))
    np.testing.assert_allclose(answer["logits"], expected(pixels[:3], 12), atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="size must be one of"):
        signature(images=as_dtype(pixels[:3], suffix), size=tf.constant(13))


@pytest.mark.parametrize("size", SIZES)
def test_png_files_answer_as_their_pixels(loaded, pixels, expected, size):
    files = tf.constant([tf.io.encode_png(image).numpy() for image in pixels[:3]])
    answer = loaded.signatures[f"serve_bytes_{size}"](image_bytes=files)
    np.testing.assert_allclose(answer["logits"], expected(pixels[:3], size), atol=1e-6)


def test_jpeg_files_answer_as_their_pixels(loaded, pixels, expected):
    file = tf.io.encode_jpeg(pixels[0])
    answer = loaded.signatures["serve_bytes_16"](image_bytes=file[None])
    np.testing.assert_allclose(answer["logits"], expected(tf.io.decode_jpeg(file)[None].numpy(), 16), atol=1e-6)


def test_files_are_answered_at_the_most_accurate_size(loaded, manifest, pixels, report):
    best = max(report.rows, key=lambda row: row.best.value).size
    answer = loaded.signatures["serve_bytes"](image_bytes=tf.io.encode_png(pixels[0])[None])
    assert (manifest["default_size"], int(answer["sizes"][0])) == (best, best)


def test_the_likeliest_classes_are_named(loaded, pixels):
    answer = loaded.signatures["serve_8_uint8"](images=tf.constant(pixels[:4]))
    order = np.argsort(-answer["probabilities"].numpy(), axis=-1, kind="stable")[:, :3]
    np.testing.assert_array_equal(answer["top_labels"], order)
    assert [[name.decode() for name in row] for row in answer["top_names"].numpy()] == [
        [NAMES[label] for label in row] for row in order
    ]
    np.testing.assert_array_equal(
        answer["top_probabilities"], np.take_along_axis(answer["probabilities"].numpy(), order, 1)
    )


@pytest.fixture(scope="module")
def cascading(colour_network, pixels, tmp_path_factory):
    """An export whose cascade looks at about half of the images twice."""
    with kms.calibrated(colour_network, pixels, 8):
        confidence = tf.nn.softmax(colour_network(kms.images.resize(pixels, 8), training=False)).numpy().max(-1)
    accuracy = Accuracy(0.5, 0.4, 0.6)
    cascade = Cascade(8, 16, float(np.median(confidence)), accuracy, 0.5, 0.75)
    path = export_saved_model(
        colour_network, tmp_path_factory.mktemp("cascade"), (8, 16), calibration=pixels, cascade=cascade
    )
    return tf.saved_model.load(str(path)), confidence < cascade.threshold


@pytest.mark.parametrize("kind", ["", "_uint8", "_bytes"])
def test_the_cascade_looks_again_at_unsure_images_only(cascading, pixels, expected, kind):
    loaded, unsure = cascading
    files = [tf.io.encode_png(image).numpy() for image in pixels]
    inputs = {"image_bytes": tf.constant(files)} if kind == "_bytes" else {"images": as_dtype(pixels, kind)}
    answer = loaded.signatures[f"serve_cascade{kind}"](**inputs)
    assert 0 < unsure.sum() < len(unsure)
    np.testing.assert_array_equal(answer["sizes"], np.where(unsure, 16, 8))
    by_hand = np.where(unsure[:, None], expected(pixels, 16), expected(pixels, 8))
    np.testing.assert_allclose(answer["logits"], by_hand, atol=1e-6)


def test_a_cascade_that_is_always_sure_skips_the_second_look(loaded, manifest, pixels):
    sizes = loaded.signatures["serve_cascade_uint8"](images=tf.constant(pixels))["sizes"].numpy()
    assert set(sizes) == {manifest["cascade"]["small"]}


def test_files_fit_the_cascade_that_their_pixels_fit(colour_network, pixels, labels, tmp_path):
    files = [tf.io.encode_png(image).numpy() for image in pixels]
    folder = export_saved_model(colour_network, tmp_path, (8, 16), cascade=FitCascade(files, labels, 0.05))
    answers = {
        size: tf.nn.softmax(colour_network(kms.images.resize(pixels, size), training=False)).numpy() for size in (8, 16)
    }
    work = {row["size"]: row["multiply_adds"] for row in read_manifest(folder)["sizes"]}
    expected = dataclasses.asdict(fit_cascade(answers, labels, work, 0.05))
    fitted = read_manifest(folder)["cascade"]
    assert fitted.pop("threshold") == pytest.approx(expected.pop("threshold"), abs=1e-5)
    assert fitted | {"work": fitted.pop("cost")} == expected


def test_a_trained_mixsize_model_is_exported(small_arrays, tmp_path):
    keras.utils.set_random_seed(1)
    model = compiled(tiny_network())
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(16, 32), seed=7)
    model.fit(train, epochs=1, steps_per_epoch=2, verbose=0)
    folder = export_saved_model(model, tmp_path / "new", [16], calibration=train, batches=2)
    images = small_arrays[0][:4]
    with kms.calibrated(model, train, 16, batches=2):
        logits = model(kms.images.resize(images, 16), training=False)
    loaded = tf.saved_model.load(str(folder))
    answer = loaded.signatures["serve_16_uint8"](images=tf.constant(images))
    np.testing.assert_allclose(answer["logits"], logits, atol=1e-6)


# What is written


def test_the_model_is_left_as_it_was(colour_network, folder):
    for mean, variance in get_statistics(colour_network):
        assert (mean == 0).all() and (variance == 1).all()


def test_weights_are_written_once_and_statistics_once_per_size(colour_network, folder):
    saved = tf.train.load_checkpoint(str(folder / "variables/variables"))
    floats = [shape for name, shape in saved.get_variable_to_shape_map().items() if "VARIABLE_VALUE" in name]
    weights = sum(weight.numpy().size for weight in colour_network.trainable_weights)
    statistics = sum(2 * layer.moving_mean.shape[0] for layer in batch_norm_layers(colour_network))
    assert sum(int(np.prod(shape)) for shape in floats) == weights + len(SIZES) * statistics


def disk_size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.slow
def test_the_export_is_little_larger_than_the_weights_and_kerass_graph(tmp_path):
    model = kms.models.build("resnet50", classes=1000)
    folder = export_saved_model(model, tmp_path / "ours", (96, 128, 224, 288))
    model.export(tmp_path / "keras", verbose=False)
    weights = sum(weight.numpy().nbytes for weight in model.weights)  # Keras 3.15.1 writes them twice
    statistics = sum(2 * 4 * layer.moving_mean.shape[0] for layer in batch_norm_layers(model))
    plain = weights + (tmp_path / "keras/saved_model.pb").stat().st_size
    assert disk_size(folder) <= 1.01 * plain + 4 * statistics


def test_each_signature_answers_its_warmup_request(folder, loaded):
    records = tf.data.TFRecordDataset(str(folder / "assets.extra/tf_serving_warmup_requests"))
    requests = dict(parse(record.numpy()) for record in records)
    assert requests.keys() == loaded.signatures.keys()
    for name, inputs in requests.items():
        answer = loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert answer["probabilities"].shape == (1, 10)


def test_the_manifest_holds_sizes_classes_and_signatures(manifest, loaded, report):
    assert manifest["classes"] == list(NAMES)
    assert manifest["calibration"] == {"batches": 200}
    assert manifest["input"] | {"max_batch": 64, "channels": 3} == manifest["input"]
    assert set(manifest["signatures"]) == set(loaded.signatures)
    assert manifest["signatures"]["serve_8_uint8"]["inputs"] == {
        "images": {"dtype": "uint8", "shape": [None, None, None, 3]}
    }
    for row, entry in zip(report.rows, manifest["sizes"], strict=True):
        assert (entry["size"], entry["multiply_adds"], entry["latency_ms"]) == (row.size, row.multiply_adds, None)
        assert entry["accuracy"]["value"] == row.calibrated.value


# Errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": None}, "at least one size in pixels, got none; give sizes= or report="),
        ({"class_names": ["a"]}, "model's 10 outputs, got 1"),
        ({"default_size": 9}, r"default_size must be one of \(8, 12\), got 9"),
        ({"model": keras.Sequential([keras.layers.Dense(2)])}, "must be a built Keras model"),
    ],
)
def test_wrong_arguments_are_refused_before_calibration(colour_network, tmp_path, change, message):
    def never():
        raise AssertionError("calibration began")
        yield

    options = {"model": colour_network, "sizes": [8, 12], "calibration": never()} | change
    with pytest.raises(ValueError, match=message):
        export_saved_model(path=tmp_path / "new", **options)


def test_every_keyword_is_an_option():
    keywords = export_saved_model.__kwdefaults__
    assert vars(ExportOptions(sizes=[8], **keywords)) == vars(ExportOptions(sizes=[8]))
    assert {"sizes", *keywords} == set(vars(ExportOptions(sizes=[8])))


def test_a_version_is_never_overwritten(colour_network, folder):
    with pytest.raises(FileExistsError, match="choose version=2"):
        export_saved_model(colour_network, folder.parent, [8])


def test_an_export_that_fails_leaves_nothing(colour_network, tmp_path):
    with pytest.raises(ValueError, match="at least one batch"):
        export_saved_model(colour_network, tmp_path, [8], calibration=[])
    assert list(tmp_path.iterdir()) == []
