"""Stochastic depth against its expectation."""

import numpy as np
import pytest
from zoo import photos

from keras_mixsize.models.drop_path import DropPath


def test_drop_path_drops_whole_examples_and_keeps_the_expectation():
    maps = np.ones((4000, 2, 2, 3), "float32")
    dropped = np.asarray(DropPath(0.25, seed=1)(maps, training=True))
    per_example = dropped[:, 0, 0, 0]
    np.testing.assert_array_equal(dropped, np.broadcast_to(per_example[:, None, None, None], dropped.shape))
    np.testing.assert_allclose(np.unique(per_example), [0, 1 / 0.75], rtol=1e-6)
    assert per_example.mean() == pytest.approx(1, abs=4 * np.sqrt(0.25 / 0.75 / 4000))


def test_drop_path_is_off_at_inference():
    maps = photos(4, 8)
    np.testing.assert_array_equal(DropPath(0.9)(maps, training=False), maps)


def test_a_rate_of_1_is_refused():
    with pytest.raises(ValueError, match="rate must be .* got 1.0"):
        DropPath(1.0)
