import pickle

import numpy as np
import pytest

from keras_mixsize.regimes import BySize


def test_values_lie_on_lines_between_the_sizes_and_stay_constant_beyond():
    strength = BySize({32: 9, 16: 2})
    assert [strength(size) for size in (8, 16, 20, 24, 32, 64)] == [2, 2, 3.75, 5.5, 9, 9]


def test_several_points_are_joined_as_numpy_does():
    values = {8: 0.0, 16: 0.3, 24: 0.1}
    sizes = range(4, 30)
    expected = np.interp(sizes, list(values), list(values.values()))
    np.testing.assert_allclose([BySize(values)(size) for size in sizes], expected)


def test_it_is_a_value():
    rate = BySize({16: 0.1, 32: 0.25})
    assert rate == BySize({32: 0.25, 16: 0.1}) and hash(rate) == hash(BySize({32: 0.25, 16: 0.1}))
    assert pickle.loads(pickle.dumps(rate)) == rate
    assert repr(rate) == "BySize({16: 0.1, 32: 0.25})"
    assert BySize.parse(str(rate)) == rate


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, "at least one size"),
        ({0: 1.0}, "size must be an integer of at least 1, got 0"),
        ({16.5: 1.0}, "size must be an integer"),
        ({16: float("nan")}, "value at 16 px must be a finite number, got nan"),
        ({16: "strong"}, "value at 16 px must be a finite number, got 'strong'"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        BySize(values)


@pytest.mark.parametrize("text", ["", "16", "16:a", "16:1:2", "a:1"])
def test_text_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="must look like 16:0.1,32:0.3"):
        BySize.parse(text)


def test_a_size_given_twice_is_refused():
    with pytest.raises(ValueError, match="each size must be given once"):
        BySize.parse("16:1,16:2")
