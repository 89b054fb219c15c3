"""Sources' classes: what arrays and encoded images they take, and refuse."""

import numpy as np
import pytest
from pictures import render

from keras_mixsize import sources


def test_array_images_may_lack_channels_or_be_floats():
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 12)).astype(np.uint8)
    grey = sources.ArraySource(images, np.arange(4))
    floats = sources.ArraySource(images / np.float32(255), np.arange(4))
    assert grey.channels == 1
    np.testing.assert_allclose(render(grey, [2, 0]), render(floats, [2, 0]), atol=1e-6)


def test_labels_may_be_a_column_or_one_hot():
    images = np.zeros((3, 8, 8, 1), np.uint8)
    assert sources.ArraySource(images, np.array([[1], [0], [2]])).labels.shape == (3,)
    one_hot = sources.ArraySource(images, np.eye(3, 5, dtype=np.float32))
    assert one_hot.num_classes == 5 and one_hot.labels.dtype == np.float32


# Bad input


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.zeros((3, 8, 8, 2), np.uint8), [0, 1, 2], r"\[N, H, W, C\] with C 1 or 3.*\(3, 8, 8, 2\)"),
        (np.zeros((3, 8, 8, 3), np.int64), [0, 1, 2], "uint8 .* or float32.*int64"),
        (np.full((3, 8, 8, 3), 255, np.float32), [0, 1, 2], r"lie in \[0, 1\], got 255..255; divide by 255"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0, 1], "one per image, got 2 labels for 3 images"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0, -1, 2], "at or above 0, got -1 at index 1"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0.5, 1.5, 2.5], "integers .* or floats .*float64"),
        (np.zeros((0, 8, 8, 3), np.uint8), [], "one per image, got 0 labels for 0 images"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        sources.ArraySource(images, np.array(labels))


def test_labels_beyond_the_named_classes_are_refused():
    with pytest.raises(ValueError, match=r"lie in \[0, 2\), got 2 at index 2"):
        sources.ArraySource(np.zeros((3, 8, 8, 1), np.uint8), np.arange(3), ("a", "b"))
