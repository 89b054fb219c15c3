"""Arguments: what is refused, in words that help."""

import pathlib

import numpy as np
import pytest

from keras_mixsize import arguments


@pytest.mark.parametrize(
    "value, hint", [("shufled", "; did you mean 'shuffled'"), (3, ""), (None, "")], ids=["misspelt", "number", "none"]
)
def test_another_choice_is_refused_with_the_nearest_one(value, hint):
    with pytest.raises(ValueError, match=rf"sampling must be one of 'shuffled', 'other', got {value!r}{hint}"):
        arguments.check_choice("sampling", value, ("shuffled", "other"))
    assert arguments.check_choice("sampling", "other", ("shuffled", "other")) is None


@pytest.mark.parametrize("value", [0, -3, 1.0, "1", None, True])
def test_a_count_is_an_integer_of_at_least_1(value):
    with pytest.raises(ValueError, match=f"batch must be an integer of at least 1, got {value!r}"):
        arguments.check_count("batch", value)
    assert arguments.check_count("batch", np.int32(1)) is None


def test_numbers_are_those_of_python_and_numpy_without_bools():
    assert all(map(arguments.is_number, (0, 1.5, np.float32(2), np.int8(3))))
    assert not any(map(arguments.is_number, (True, "1", None, [1])))


@pytest.mark.parametrize("path", ["gs://bucket/a", "s3://bucket", "https://host/a"])
def test_addresses_are_no_paths(path):
    with pytest.raises(ValueError, match=f"path must be a path of this machine, got '{path}'; mount the"):
        arguments.check_local("path", path)
    for local in ("/a/b", "a:b", pathlib.Path("C:/photos"), b"/a"):
        assert arguments.check_local("path", local) is None
