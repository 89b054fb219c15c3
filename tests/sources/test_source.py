"""What all sources have in common: labels and classes."""

import gc
import weakref

import numpy as np
import pytest

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.sources.source import check_class_names, check_labels


def test_labels_may_be_a_column_or_one_hot():
    assert check_labels(np.array([[1], [0], [2]]), 3).tolist() == [1, 0, 2]
    images = np.zeros((3, 8, 8, 1), np.uint8)
    one_hot = sources.ArraySource(images, np.eye(3, 5, dtype=np.float32))
    assert one_hot.num_classes == 5 and one_hot.labels.dtype == np.float32


@pytest.mark.parametrize(
    "labels, message",
    [
        ([0, 1], "one per image, got 2 labels for 3 images"),
        ([0, -1, 2], r"in \[0, 4\), got -1 at index 1"),
        ([0, 5, 2], r"in \[0, 4\), got 5 at index 1 and 0 more outside"),
        ([0.5, 1.5, 2.5], r"floats \[N\] without class_names, got float64"),
        (["a", "b", "a"], "integers .*<U1.*number the classes: np.unique"),
        ([[0, 1], [1], [0, 1]], "rows of one length, got 2 numbers at index 0 and 1 at index 1; for several labels"),
        ([[0, 1, 0, 0], [0, 0, 2, 0], [1, 0, 0, 0]], "0 and 1 where they are integers .*, got 2 at index 1"),
        ([[0.0, 1, 0, 0], [0, 0, 1, 0], [1, np.nan, 0, 0]], "must be finite, got nan at index 2"),
        ([[0.0, np.inf, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]], "must be finite, got inf at index 0"),
        ([[0.0, 1], [1, 0], [0, 1]], "a column for each of the 4 class_names, got 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        check_labels(labels, 3, ("a", "b", "c", "d"))


def test_labels_of_zero_and_one_per_class_may_be_integers_and_labels_may_be_bools():
    rows = [[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]
    for dtype in (np.int32, np.uint8, bool, np.float64):
        found = check_labels(np.array(rows, dtype), 3)
        assert found.dtype == np.float32 and found.tolist() == rows
    assert check_labels([True, False, True], 3).tolist() == [1, 0, 1]


def test_labels_may_be_numbers_or_of_several_outputs():
    numbers = check_labels([0.5, -3, 2], 3)
    assert numbers.dtype == np.float32 and numbers.tolist() == [0.5, -3, 2]
    found = check_labels({"main": [0, 1, 2], "share": [0.5, 1, 2]}, 3)
    assert {name: str(labels.dtype) for name, labels in found.items()} == {"main": "int64", "share": "float32"}
    images = np.zeros((3, 8, 8, 1), np.uint8)
    one, several = sources.ArraySource(images, numbers), sources.ArraySource(images, found)
    assert several.num_examples == 3 and several.take(np.array([2])).labels["main"].tolist() == [2]
    assert not one.has_classes and not several.has_classes
    assert repr(one) == "ArraySource(3 images 8x8x1, a number each)" and "labels of main, share" in repr(several)
    for source in (one, several):
        with pytest.raises(ValueError, match="labels must be classes to be counted, got (a number|labels of main)"):
            print(source.num_classes)


@pytest.mark.parametrize(
    "labels, names, message",
    [
        (
            {"main": [0, 1, 2], "side": [0, 1]},
            None,
            "of output 'side': labels must be one per image, got 2 labels for 3",
        ),
        (
            {"main": [0, 1, 2]},
            ("a", "b", "c"),
            r"without class_names and label_offset, got \['main'\], \('a', 'b', 'c'\)",
        ),
        ({}, None, "arrays by name"),
        ([0.5, np.nan, 1], None, "labels must be finite, got nan at index 1"),
    ],
)
def test_labels_of_outputs_that_do_not_fit_are_refused(labels, names, message):
    with pytest.raises(ValueError, match=message):
        check_labels(labels, 3, names)


@pytest.mark.parametrize(
    "weights, message",
    [
        ([1, 2], r"sample_weight must be 3 numbers, one per example, got int64 \(2,\)"),
        ([1, -1, 2], "at or above 0, got -1 at index 1"),
        ([1, 2, np.inf], "at or above 0, got inf at index 2"),
    ],
)
def test_sample_weights_that_do_not_fit_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        sources.ArraySource(np.zeros((3, 8, 8, 1), np.uint8), np.arange(3)).weighted(weights)


def test_labels_are_held_once_for_all_datasets_and_as_long_as_their_source():
    images, labels = np.zeros((1000, 8, 8, 1), np.uint8), np.arange(1000)
    source = sources.ArraySource(images, labels).weighted(np.ones(1000))
    tensors = []
    for seed in range(3):
        train = kms.MixSizeDataset.from_source(source, regime=kms.Regime.fixed(8, 8), seed=seed)
        captured = train._load.get_concrete_function().captured_inputs
        tensors.append([value for value in captured if value.shape == (1000,)])
    ids = [sorted(id(tensor) for tensor in each) for each in tensors]
    assert len(ids[0]) == 2 and ids[0] == ids[1] == ids[2]
    held = weakref.ref(source.held[0])
    del source, train, tensors, captured
    gc.collect()
    assert held() is None


@pytest.mark.parametrize(
    "names, classes, message",
    [
        ("cat,dog", None, "sequence of strings, one for each class, got 'cat,dog'"),
        (["cat", 2], None, r"sequence of strings, one for each class, got \['cat', 2\]"),
        (("cat", "dog", "cat"), None, "must differ, got 'cat' 2 times"),
        (("cat", "dog"), 3, r"one for each of the 3 classes, got 2: \('cat', 'dog'\)"),
        ((), None, "one for each of the 1 classes, got 0"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(names, classes, message):
    with pytest.raises(ValueError, match=message):
        check_class_names(names, classes)


def test_class_names_are_a_tuple():
    assert check_class_names(["cat", "dog"], 2) == ("cat", "dog") and check_class_names(None) is None
