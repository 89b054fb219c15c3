"""Right answers and losses against stock Keras metrics, and what is no classifier."""

import keras
import numpy as np
import pytest

from keras_mixsize.evaluation.scoring import Scoring

CLASSES = 5
rng = np.random.default_rng(0)
LOGITS = rng.normal(0, 3, (40, CLASSES))
LABELS = rng.integers(0, CLASSES, 40)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
BINARY_LOGITS = rng.normal(0, 2, (40, 1))
BINARY_LABELS = rng.integers(0, 2, 40)
SIGMOIDS = 1 / (1 + np.exp(-BINARY_LOGITS))


def scored(loss, outputs, labels):
    correct, total = Scoring(loss, outputs.shape[1])(outputs, labels)
    return correct / len(labels), total / len(labels)


def stock(metrics, outputs, labels):
    for metric in metrics:
        metric.update_state(labels, outputs)
    return pytest.approx(tuple(float(metric.result()) for metric in metrics), rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        None,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    ],
)
@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], np.eye(CLASSES, dtype=np.float32)[LABELS]])
def test_logits_are_scored_as_keras_scores_them(loss, labels):
    metrics = [keras.metrics.SparseCategoricalAccuracy(), keras.metrics.SparseCategoricalCrossentropy(from_logits=True)]
    assert scored(loss, LOGITS, labels) == stock(metrics, LOGITS, LABELS)


@pytest.mark.parametrize("loss", [None, "sparse_categorical_crossentropy", keras.losses.categorical_crossentropy])
def test_probabilities_are_scored_as_keras_scores_them(loss):
    metrics = [keras.metrics.SparseCategoricalAccuracy(), keras.metrics.SparseCategoricalCrossentropy()]
    assert scored(loss, PROBABILITIES, LABELS) == stock(metrics, PROBABILITIES, LABELS)


def test_outputs_that_need_not_sum_to_1_are_scaled_as_keras_does():
    outputs = 0.3 * PROBABILITIES
    metrics = [keras.metrics.SparseCategoricalAccuracy(), keras.metrics.CategoricalCrossentropy()]
    metrics[1].update_state(np.eye(CLASSES)[LABELS], outputs)
    accuracy, loss = scored("categorical_crossentropy", outputs, LABELS)
    assert loss == pytest.approx(float(metrics[1].result()), rel=1e-5)
    assert accuracy == (outputs.argmax(-1) == LABELS).mean()


@pytest.mark.parametrize(
    ("loss", "outputs", "from_logits"),
    [
        (keras.losses.BinaryCrossentropy(from_logits=True), BINARY_LOGITS, True),
        (keras.losses.BinaryCrossentropy(), SIGMOIDS, False),
        ("binary_crossentropy", SIGMOIDS, False),
        (None, BINARY_LOGITS, True),
        (None, SIGMOIDS, False),
    ],
)
@pytest.mark.parametrize("labels", [BINARY_LABELS, BINARY_LABELS[:, None].astype(np.float32)])
def test_one_output_is_a_binary_answer_scored_as_keras_scores_it(loss, outputs, from_logits, labels):
    accuracy = keras.metrics.BinaryAccuracy(threshold=0.0 if from_logits else 0.5)
    metrics = [accuracy, keras.metrics.BinaryCrossentropy(from_logits=from_logits)]
    assert scored(loss, outputs, labels) == stock(metrics, outputs, BINARY_LABELS[:, None])


def test_logits_of_one_batch_that_look_like_probabilities_are_scored_as_the_loss_says():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = [keras.metrics.SparseCategoricalAccuracy(), keras.metrics.SparseCategoricalCrossentropy(from_logits=True)]
    assert scored(loss, PROBABILITIES, LABELS) == stock(metrics, PROBABILITIES, LABELS)


def test_whether_outputs_are_logits_is_decided_once():
    scoring = Scoring(None, CLASSES)
    first = scoring(LOGITS, LABELS)
    scoring(PROBABILITIES, LABELS)  # a later batch that looks otherwise changes nothing
    assert scoring.from_logits and scoring(LOGITS, LABELS) == first


@pytest.mark.parametrize(
    ("loss", "outputs", "message"),
    [
        ("mse", 1, "model must be a classifier, got one that was compiled with the loss mean_squared_error; measure a"),
        (keras.losses.Huber(), 3, "compiled with the loss huber_loss; measure a regression with model.evaluate"),
        (keras.losses.BinaryCrossentropy(), 3, "3 outputs with the loss binary_crossentropy, so several labels"),
        ("binary_focal_crossentropy", 2, "2 outputs with the loss binary_focal_crossentropy, so several labels"),
    ],
)
def test_models_that_are_no_classifiers_are_refused(loss, outputs, message):
    with pytest.raises(ValueError, match=message):
        Scoring(loss, outputs)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.linspace(0, 1, 40)[:, None], r"whole numbers \[N\] or one-hot \[N, 5\], got 0.02.*regression"),
        (np.full(40, np.nan), "got nan"),
        (np.tile([1, 0, 1, 0, 0], (40, 1)), r"one class for each image, got \[1, 0, 1, 0, 0\]; measure several"),
        (np.zeros((40, CLASSES)), r"one class for each image, got \[0.0, 0.0"),
        (np.eye(4)[LABELS % 4], r"one-hot labels must be \[N, 5\], as the model's outputs, got \[N, 4\]"),
        (LABELS + 3, r"labels must lie in \[0, 5\), the model's outputs, got"),
        (np.zeros((40, 2, 2)), r"whole numbers .* got \(40, 2, 2\)"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        Scoring(None, CLASSES)(LOGITS, labels)


def test_a_model_says_its_loss_and_its_outputs(network):
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    scoring = Scoring.of(network)
    assert (scoring.outputs, scoring.from_logits) == (10, True)
    assert Scoring.of(keras.Model(network.input, [network.output, network.output])).outputs == 10


def test_a_model_of_maps_is_refused(network):
    with pytest.raises(ValueError, match=r"outputs \[N, classes\], got the shape"):
        Scoring.of(keras.Model(network.input, network.layers[-3].output))
