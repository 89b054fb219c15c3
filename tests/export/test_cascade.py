"""Fitting a cascade, against trying every threshold."""

import numpy as np
import pytest

from keras_mixsize.export.cascade import Cascade, FitCascade, fit_cascade

WORK = {16: 1.0, 32: 4.0}


def random_probabilities(seed, sharpness, labels):
    logits = np.random.default_rng(seed).normal(size=(len(labels), 5)) + sharpness * np.eye(5)[labels]
    values = np.exp(logits)
    return (values / values.sum(-1, keepdims=True)).astype("float32")


@pytest.fixture
def held_out():
    labels = np.random.default_rng(0).integers(0, 5, 300)
    return {16: random_probabilities(1, 1.5, labels), 32: random_probabilities(2, 3.0, labels)}, labels


def accuracy_and_share(probabilities, labels, threshold, small=16, large=32):
    unsure = probabilities[small].max(-1) < np.float32(threshold)
    answers = np.where(unsure, probabilities[large].argmax(-1), probabilities[small].argmax(-1))
    return (answers == labels).mean(), unsure.mean()


@pytest.mark.parametrize("wanted", [None, 0.7, 0.8])
def test_it_is_the_cheapest_threshold_that_reaches_the_accuracy(held_out, wanted):
    probabilities, labels = held_out
    cascade = fit_cascade(probabilities, labels, WORK, wanted)
    goal = (probabilities[32].argmax(-1) == labels).mean() if wanted is None else wanted
    thresholds = np.unique(np.append(probabilities[16].max(-1), 2.0))
    tried = (accuracy_and_share(probabilities, labels, threshold) for threshold in thresholds)
    assert cascade.share == pytest.approx(min(share for accuracy, share in tried if accuracy >= goal))


def test_accuracy_share_and_work_are_what_the_threshold_gives(held_out):
    probabilities, labels = held_out
    cascade = fit_cascade(probabilities, labels, WORK)
    accuracy, share = accuracy_and_share(probabilities, labels, cascade.threshold)
    assert (cascade.accuracy.value, cascade.share) == pytest.approx((accuracy, share))
    assert cascade.work == pytest.approx(1 / 4 + share)


def test_equal_confidences_stay_together():
    probabilities = {16: np.tile(np.float32([0.6, 0.4]), (4, 1)), 32: np.tile(np.float32([0.1, 0.9]), (4, 1))}
    labels = np.array([1, 1, 1, 0])
    assert fit_cascade(probabilities, labels, WORK, 0.5).share == 1.0
    assert accuracy_and_share(probabilities, labels, fit_cascade(probabilities, labels, WORK, 0.5).threshold)[1] == 1.0


def test_a_good_small_size_needs_no_second_look(held_out):
    probabilities, labels = held_out
    cascade = fit_cascade({16: probabilities[32], 32: probabilities[16]}, labels, WORK)
    assert (cascade.share, cascade.work) == (0.0, 0.25)


def test_the_cheapest_pair_of_three_sizes_is_taken(held_out):
    probabilities, labels = held_out
    cascade = fit_cascade(probabilities | {64: probabilities[32]}, labels, WORK | {64: 16.0}, 0.7)
    assert (cascade.small, cascade.large) == (16, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": {16: np.ones([300, 5])}}, "at least two sizes"),
        ({"labels": np.zeros(0, int)}, "at least one integer"),
        ({"labels": np.zeros(7, int)}, r"must be \[7, classes\]"),
        ({"work": {16: 1.0}}, "positive number for each"),
        ({"accuracy": 1.0}, "accuracy must be one that a cascade reaches, got 1.0; the best size alone has"),
    ],
)
def test_what_does_not_fit_is_refused(held_out, change, message):
    probabilities, labels = held_out
    with pytest.raises(ValueError, match=message):
        fit_cascade(**{"probabilities": probabilities, "labels": labels, "work": WORK} | change)


# Asking for one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(3)}, "cascade must have a label for each image, got 2 and 3"),
        ({"work": "time"}, "work must be one of 'multiply_adds', 'latency_ms', got 'time'"),
    ],
)
def test_a_wish_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        FitCascade(**{"images": np.zeros([2, 8, 8, 3]), "labels": np.zeros(2)} | change)


def test_a_wish_may_be_of_all_sizes_or_of_two(held_out):
    images, labels = np.zeros([2, 8, 8, 3]), np.zeros(2)
    assert FitCascade(images, labels).sizes_of((16, 24, 32)) == (16, 24, 32)
    assert FitCascade(images, labels, sizes=[16, 32]).sizes_of((16, 24, 32)) == (16, 32)
    assert Cascade(16, 32, 0.5, None, 0.1, 0.2).sizes_of((16, 24, 32)) == (16, 32)
