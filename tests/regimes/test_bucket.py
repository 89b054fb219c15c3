"""Buckets: what they count, what they refuse, and numbers that JSON can hold."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from keras_mixsize import Bucket
from keras_mixsize.arguments import check_choice


def test_a_bucket_counts_its_images_and_pixels():
    bucket = Bucket(24, 64, 2)
    assert (bucket.images, bucket.cost) == (128, 24 * 24 * 128)


@pytest.mark.parametrize("field", ["size", "batch", "duplicates"])
@pytest.mark.parametrize("value", [0, -8, True, 8.0, "8", None])
def test_a_bucket_is_of_natural_numbers(field, value):
    fields = {"size": 32, "batch": 64, "duplicates": 1} | {field: value}
    with pytest.raises(ValueError, match=f"^{field} must be an integer of at least 1, got {re.escape(repr(value))}"):
        Bucket(**fields)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, "0.5", None])
def test_a_buckets_probability_lies_between_0_and_1(value):
    with pytest.raises(ValueError, match=rf"probability of size 32 must lie in \[0, 1\], got {value!r}"):
        Bucket(32, 64, probability=value)


def test_numpy_numbers_become_pythons_own():
    bucket = Bucket(np.uint8(200), np.int64(8), np.int32(2), np.float32(0.5))
    assert json.loads(json.dumps(dataclasses.asdict(bucket))) == dataclasses.asdict(bucket)
    assert bucket.cost == 200 * 200 * 16


def test_an_unknown_choice_is_told_the_nearest():
    with pytest.raises(ValueError, match="grow must be one of 'batch', 'none', got 'bacth'; did you mean 'batch'"):
        check_choice("grow", "bacth", ("batch", "none"))
