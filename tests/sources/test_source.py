"""What all sources have in common: labels and classes."""

import numpy as np
import pytest

from keras_mixsize import sources
from keras_mixsize.sources.source import check_labels


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
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        check_labels(np.array(labels), 3, ("a", "b", "c", "d"))
