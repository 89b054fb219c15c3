"""What all sources have in common: labels and classes."""

import numpy as np
import pytest

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
        ([0.5, 1.5, 2.5], "integers .* or floats .*float64"),
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
