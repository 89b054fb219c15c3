"""evaluate_sizes against Keras and plain resizing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.evaluation import EvaluationOptions
from keras_mixsize.evaluation.statistics import Statistics, get_statistics, set_statistics


@pytest.fixture(scope="module")
def test_arrays():
    source = kms.sources.fashion_mnist("test")
    return source.images[:150], source.labels[:150]


@pytest.fixture
def skewed(network):
    """The tiny network with statistics that fit no size."""
    rng = np.random.default_rng(0)
    set_statistics(network, [Statistics(rng.normal(0, 0.3, 16), rng.uniform(0.5, 2, 16)) for _ in range(2)])
    return network


def expected_at(model, arrays, size):
    images = tf.image.resize(arrays[0], [size, size], antialias=True) / 255
    logits = model.predict(images, verbose=0)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(arrays[1], logits)
    return (logits.argmax(-1) == arrays[1]).mean(), float(tf.reduce_mean(loss))


def test_accuracy_and_loss_at_each_size_are_those_of_resized_images(skewed, test_arrays):
    report = kms.evaluate_sizes(skewed, test_arrays, [24, 16, 32], latency=False)
    assert [row.size for row in report.rows] == [16, 24, 32] and report.about["images"] == 150
    for row in report.rows:
        accuracy, loss = expected_at(skewed, test_arrays, row.size)
        assert row.accuracy.value == pytest.approx(accuracy) and row.loss == pytest.approx(loss, rel=1e-4)
        assert row.calibrated is None and row.latency_ms is None


def test_calibrated_rows_use_the_sizes_own_statistics_and_leave_the_model_alone(skewed, small_arrays, test_arrays):
    train = small_arrays[0]
    before = get_statistics(skewed)
    report = kms.evaluate_sizes(skewed, test_arrays, [16, 40], calibrate=train, batches=3, latency=False)
    for (mean, variance), (same_mean, same_variance) in zip(before, get_statistics(skewed)):
        np.testing.assert_array_equal(mean, same_mean)
        np.testing.assert_array_equal(variance, same_variance)
    for row in report.rows:
        with kms.calibrated(skewed, train, row.size, batches=3):
            accuracy, loss = expected_at(skewed, test_arrays, row.size)
        assert row.calibration_batches == 3
        assert row.calibrated.value == pytest.approx(accuracy) and row.calibrated_loss == pytest.approx(loss, rel=1e-4)


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


@pytest.mark.parametrize("from_logits", [True, False])
def test_a_binary_network_of_one_output_is_evaluated_as_stock_keras_evaluates_it(test_arrays, from_logits):
    keras.utils.set_random_seed(1)
    network = tiny_network(classes=1)
    if not from_logits:
        network = keras.Sequential([network, keras.layers.Activation("sigmoid")])
    images, labels = test_arrays[0], (test_arrays[1] > 4).astype(np.int64)
    accuracy = keras.metrics.BinaryAccuracy(threshold=0.0 if from_logits else 0.5)
    network.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=from_logits), metrics=[accuracy])
    row = kms.evaluate_sizes(network, (images, labels), [24], latency=False).rows[0]
    resized = tf.image.resize(images, [24, 24], antialias=True) / 255
    loss, expected = network.evaluate(resized, labels[:, None], verbose=0)
    assert (row.loss, row.accuracy.value) == pytest.approx((loss, expected), rel=1e-5)


def test_a_regression_is_refused_before_anything_is_computed(test_arrays):
    network = tiny_network(classes=1)
    network.compile("sgd", "mse")
    with pytest.raises(ValueError, match="model must be a classifier, got one .* mean_squared_error; measure a regres"):
        kms.evaluate_sizes(network, None, [16])


def test_a_test_set_of_other_classes_is_refused(network, small_arrays):
    images, labels = small_arrays
    names = tuple("abcdefghij")
    source = kms.sources.ArraySource(images, labels, names)
    train = kms.MixSizeDataset.from_source(source, regime=kms.Regime.fixed(16, 8))
    shuffled = kms.sources.ArraySource(images, labels, names[::-1])
    with pytest.raises(ValueError, match="they stand in another order"):
        kms.evaluate_sizes(network, shuffled, [16], calibrate=train)


@pytest.mark.parametrize(
    "data, options, message",
    [
        (None, {}, "data must be .images, labels., a Source or a tf.data.Dataset"),
        ("arrays", {"sizes": []}, "sizes must name at least one size"),
        ("arrays", {"sizes": [16, 0]}, "integers of at least 1 pixel, got 0"),
        ("arrays", {"interpolation": "lanczos"}, "interpolation must be one of .*'lanczos'"),
        ("arrays", {"batch": 0}, "batch must be an integer of at least 1, got 0"),
        ("arrays", {"batches": 0}, "batches must be an integer of at least 1, got 0"),
        ("colour", {}, "model's 1 channels, got 3"),
        ("labels", {}, r"labels must lie in \[0, 10\), the model's outputs, got 12"),
    ],
)
def test_bad_input_is_refused(network, test_arrays, data, options, message):
    values = {
        "arrays": test_arrays,
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


def test_every_option_is_a_field_of_the_options():
    keywords = kms.evaluate_sizes.__kwdefaults__
    assert EvaluationOptions(**keywords) == EvaluationOptions() and set(keywords) == set(vars(EvaluationOptions()))
