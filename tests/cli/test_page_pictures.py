"""Pictures of a run's page: what matplotlib notes in them, and the learning rate against Keras's own schedules."""

import keras
import pytest

import keras_mixsize as kms
from keras_mixsize.cli import page_pictures
from keras_mixsize.recipes.schedules import CosineDecay, StepDecay


def is_drawn(text, svg):
    return f"<!-- {text} -->" in svg


def test_every_size_of_every_stage_has_its_name():
    svg = page_pictures.schedule(kms.Regime.parse("16x64:0.5,24x24:0.5"))
    assert is_drawn("16 px", svg) and is_drawn("24 px", svg)
    schedule = kms.Schedule.finish(kms.Regime.parse("16x64:1"), share=0.2)
    assert is_drawn(f"{schedule.base.size} px", page_pictures.schedule(schedule))


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_a_metric_is_drawn_for_each_size_that_has_it(metric):
    history = {metric: [1.0, 0.5], f"{metric}_16": [1.0, 0.5], f"{metric}_24": [0.8, 0.4], "val_loss_48": [1.0, 1.0]}
    svg = page_pictures.epochs(history, metric)
    assert is_drawn("16 px", svg) and is_drawn("24 px", svg) and not is_drawn("48 px", svg)


def test_a_history_without_sizes_has_no_picture():
    assert page_pictures.epochs({"loss": [1.0], "loss_scale": [2.0]}, "loss") is None


def test_the_learning_rate_is_that_of_keras():
    cosine = keras.optimizers.schedules.CosineDecay(0.0, 800, warmup_target=0.2, warmup_steps=200)
    steps = keras.optimizers.schedules.PiecewiseConstantDecay([299, 599], [0.1, 0.01, 0.001])
    for step in (0, 100, 200, 250, 299, 300, 400, 600, 999):
        rate = page_pictures.rate_at(CosineDecay(0.2, 0.2), 10, step / 100)
        assert rate == pytest.approx(float(cosine(step)), abs=1e-6)
        rate = page_pictures.rate_at(StepDecay(0.1, (3, 6), 0.1), 10, step / 100)
        assert rate == pytest.approx(float(steps(step)), rel=1e-5)


def test_pictures_are_the_same_text_each_time():
    schedule = CosineDecay(0.2)
    assert page_pictures.learning_rate(schedule, 3) == page_pictures.learning_rate(schedule, 3)
