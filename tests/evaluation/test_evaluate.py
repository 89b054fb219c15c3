"""evaluate_sizes against Keras and plain resizing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.evaluation.calibration import get_statistics


@pytest.fixture
def test_arrays():
    source = kms.sources.fashion_mnist("test")
    return source.images[:150], source.labels[:150]


def expected_at(model, arrays, size):
    images = tf.image.resize(arrays[0], [size, size], antialias=True) / 255
    logits = model.predict(images, verbose=0)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(arrays[1], logits)
    return (logits.argmax(-1) == arrays[1]).mean(), float(tf.reduce_mean(loss))


def test_accuracy_and_loss_at_each_size_are_those_of_resized_images(model, train, test_arrays):
    model.fit(train, epochs=2, verbose=0)
    report = kms.evaluate_sizes(model, test_arrays, [24, 16, 32], latency=False)
    assert [row.size for row in report.rows] == [16, 24, 32] and report.about["images"] == 150
    for row in report.rows:
        accuracy, loss = expected_at(model, test_arrays, row.size)
        assert row.accuracy.value == pytest.approx(accuracy) and row.loss == pytest.approx(loss, rel=1e-4)
        assert row.calibrated is None and row.latency_ms is None


def test_calibrated_rows_use_the_sizes_own_statistics_and_leave_the_model_alone(model, train, test_arrays):
    model.fit(train, epochs=2, verbose=0)
    before = get_statistics(model)
    report = kms.evaluate_sizes(model, test_arrays, [16, 40], calibrate=train, batches=3, latency=False)
    for (mean, variance), (same_mean, same_variance) in zip(before, get_statistics(model)):
        np.testing.assert_array_equal(mean, same_mean)
        np.testing.assert_array_equal(variance, same_variance)
    for row in report.rows:
        with kms.calibrated(model, train, row.size, batches=3):
            accuracy, loss = expected_at(model, test_arrays, row.size)
        assert row.calibrated.value == pytest.approx(accuracy) and row.calibrated_loss == pytest.approx(loss, rel=1e-4)


def test_arrays_sources_and_pipelines_give_the_same_report(network, test_arrays):
    source = kms.sources.ArraySource(*test_arrays)
    pipeline = tf.data.Dataset.from_tensor_slices(test_arrays)
    first, *others = (
        kms.evaluate_sizes(network, data, [20, 32], latency=False, batch=64) for data in (test_arrays, source, pipeline)
    )
    for other in others:
        for row, same in zip(first.rows, other.rows):
            assert row.accuracy == same.accuracy and row.loss == pytest.approx(same.loss, rel=1e-5)


def test_pipelines_may_hold_images_of_many_sizes(network):
    def images():
        for number in range(5):
            yield np.full((20 + number, 30, 1), 40 * number, np.uint8), number

    spec = (tf.TensorSpec((None, None, 1), tf.uint8), tf.TensorSpec((), tf.int64))
    pipeline = tf.data.Dataset.from_generator(images, output_signature=spec)
    assert kms.evaluate_sizes(network, pipeline, [16], latency=False).about["images"] == 5


def test_probabilities_and_logits_report_the_same_loss(network, test_arrays):
    softmax = keras.Sequential([network, keras.layers.Softmax()])
    logits, probabilities = (
        kms.evaluate_sizes(model, test_arrays, [16], latency=False).rows[0] for model in (network, softmax)
    )
    assert probabilities.accuracy == logits.accuracy and probabilities.loss == pytest.approx(logits.loss, rel=1e-4)


def test_one_hot_labels_count_like_their_class(network, test_arrays):
    images, labels = test_arrays
    one_hot = kms.evaluate_sizes(network, (images, np.eye(10, dtype=np.float32)[labels]), [16], latency=False)
    assert one_hot.rows[0].accuracy == kms.evaluate_sizes(network, test_arrays, [16], latency=False).rows[0].accuracy


def test_latency_and_multiply_adds_are_filled_in(network, test_arrays):
    report = kms.evaluate_sizes(network, test_arrays, [8, 16], name="mine")
    assert report.name == "mine" and all(row.latency_ms > 0 for row in report.rows)
    convolutions = [row.multiply_adds - 16 * 10 for row in report.rows]  # less the dense layer
    assert convolutions[1] == 4 * convolutions[0]


@pytest.mark.parametrize(
    "data, options, message",
    [
        (None, {}, "data must be .images, labels., a Source or a tf.data.Dataset"),
        ("arrays", {"sizes": []}, "sizes must name at least one size"),
        ("arrays", {"sizes": [16, 0]}, "integers of at least 1 pixel, got 0"),
        ("arrays", {"interpolation": "lanczos"}, "interpolation must be one of .*'lanczos'"),
        ("batched", {}, "single examples .*unbatch"),
        ("endless", {}, "finite tf.data.Dataset"),
        ("colour", {}, "model's 1 channels, got 3"),
        ("labels", {}, r"labels must lie in \[0, 10\), the model's outputs, got 12"),
    ],
)
def test_bad_input_is_refused(network, test_arrays, data, options, message):
    pipeline = tf.data.Dataset.from_tensor_slices(test_arrays)
    values = {
        "arrays": test_arrays,
        "batched": pipeline.batch(4),
        "endless": pipeline.repeat(),
        "colour": (np.repeat(test_arrays[0], 3, axis=-1), test_arrays[1]),
        "labels": (test_arrays[0], test_arrays[1] * 0 + 12),
    }
    with pytest.raises(ValueError, match=message):
        kms.evaluate_sizes(network, values.get(data), **{"sizes": [16], "latency": False} | options)


def test_frozen_networks_are_reported_without_calibration_changing_them(test_arrays, train):
    network = tiny_network()
    network.trainable = False
    row = kms.evaluate_sizes(network, test_arrays, [16], calibrate=train, batches=1, latency=False).rows[0]
    assert row.calibrated == row.accuracy


def test_the_central_window_is_the_usual_imagenet_test(network):
    images = np.random.default_rng(0).integers(0, 256, (20, 40, 64, 1)).astype(np.uint8)
    labels = np.arange(20) % 10
    report = kms.evaluate_sizes(network, (images, labels), [28], window=kms.CenterCrop(7 / 8), latency=False)
    crops = images[:, 2:37, 14:49]  # 35 = 40 * 7/8 pixels, from the middle
    logits = network.predict(tf.image.resize(crops, [28, 28], antialias=True) / 255, verbose=0)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert report.rows[0].loss == pytest.approx(float(tf.reduce_mean(loss)), rel=1e-4)
    pipeline = tf.data.Dataset.from_tensor_slices((images, labels))
    same = kms.evaluate_sizes(network, pipeline, [28], window=kms.CenterCrop(7 / 8), latency=False)
    assert same.rows[0].loss == pytest.approx(report.rows[0].loss, rel=1e-5)


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\], got 1.2"):
        kms.CenterCrop(1.2)
