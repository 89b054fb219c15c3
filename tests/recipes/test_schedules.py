"""Schedules as values: what they say, and what they were called before."""

import pytest

from keras_mixsize.recipes.schedules import CosineDecay, StepDecay, schedule_from_dict


def test_schedules_say_what_they_do():
    assert str(StepDecay(0.1, (30, 60), 0.1)) == "0.1, x 0.1 at epochs 30, 60"
    assert str(CosineDecay(0.2, warmup_share=0.05)) == "0.2, cosine to 0, after a rise over the first 5%"


@pytest.mark.parametrize("schedule", [StepDecay(0.1, (8.1, 12.2), 0.1), CosineDecay(0.2), CosineDecay(0.2, 0.05)])
def test_a_schedule_comes_back_from_its_fields(schedule):
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(schedule).items()}
    assert schedule_from_dict(plain) == schedule


def test_what_version_0_1_0_wrote_is_read():
    assert schedule_from_dict({"learning_rate": 0.2, "warm_up": 0.05}) == CosineDecay(0.2, warmup_share=0.05)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate": 0.1, "warmup": 0.05}, "field of the schedule .*got 'warmup'; did you mean 'warmup_share'"),
        ({"learning_rate": 0.1, "epoch": [3], "factor": 0.1}, "got 'epoch'; did you mean 'epochs'"),
        ({"learning_rate": 0.1, "factor": 0.1}, "must have the fields learning_rate, epochs, factor, got"),
        ({}, "must have the fields learning_rate, warmup_share, got {}"),
    ],
)
def test_fields_that_are_no_schedule_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        schedule_from_dict(fields)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_rise_over_more_than_all_steps_is_refused(share):
    with pytest.raises(ValueError, match=r"warmup_share must be a share of the steps in \[0, 1\)"):
        CosineDecay(0.1, warmup_share=share)
