"""Callbacks of Keras remember through JSON what they knew; others are left alone."""

import json

import keras
import numpy as np
import pytest

from keras_mixsize.resuming.remembered import remember, remind


def callbacks():
    found = [
        keras.callbacks.CSVLogger("log.csv"),
        keras.callbacks.EarlyStopping("loss", patience=3),
        keras.callbacks.ReduceLROnPlateau("loss"),
        keras.callbacks.ModelCheckpoint("best.keras", "loss", save_best_only=True),
    ]
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    for callback in found[1:]:
        callback.set_model(model)
        callback.on_train_begin()
    return found


def test_what_was_known_comes_back_through_json():
    first, second = callbacks(), callbacks()
    first[1].wait, first[1].best, first[1].best_epoch = 2, np.float32(0.25), 5
    first[2].cooldown_counter, first[3].best = 4, np.float64(0.5)
    remind(second, json.loads(json.dumps(remember(first))))
    assert (second[1].wait, second[1].best, second[1].best_epoch) == (2, 0.25, 5)
    assert second[2].cooldown_counter == 4 and second[3].best == 0.5


@pytest.mark.parametrize("others", [[2, 3], [3, 1], []], ids=["fewer", "another order", "none"])
def test_a_callback_of_another_class_is_left_alone(others):
    first, second = callbacks(), callbacks()
    for callback in first[1:]:
        callback.best = 0.125
    chosen = [second[index] for index in others]
    remind(chosen, remember(first))
    kinds = [type(callback) for callback in first[1:]]
    for callback, kind in zip(chosen, kinds):
        assert (callback.best == 0.125) == (type(callback) is kind)
