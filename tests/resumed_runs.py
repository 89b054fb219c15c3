"""Runs of three epochs of two steps, at once and in parts, for tests of what Keras's own objects keep of a run."""

import contextlib
import itertools

import keras
import numpy as np

import keras_mixsize as kms

STEPS, EPOCHS = 2, 3
STOPS = [(1, None), (EPOCHS, 4), (EPOCHS, 5)]  # ended after an epoch, stopped within one, and where one begins
EACH = [*itertools.product([EPOCHS], range(1, STEPS * EPOCHS)), *((epochs, None) for epochs in range(1, EPOCHS + 1))]


class StopError(Exception):
    """What ends a training in these tests."""


class StopAt(keras.callbacks.Callback):
    """Ends the training when a step of the plan is about to run."""

    def __init__(self, position):
        super().__init__()
        self.position = position

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.position == self.position:
            raise StopError


def small_data(small_arrays):
    """Return 16 images of 8 px in batches of 8."""
    images, labels = (array[:16] for array in small_arrays)
    return kms.MixSizeDataset.from_arrays(images, labels, regime=kms.Regime.fixed(8, 8), seed=7)


def small_model(optimizer, **options):
    """Return the same untrained network of a convolution, batch norm and dropout each time, as a new process would."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    network = [keras.Input((None, None, 1)), layers.Conv2D(4, 3, strides=2), layers.BatchNormalization()]
    network += [layers.Dropout(0.2), layers.GlobalAveragePooling2D(), layers.Dense(10)]
    model = kms.MixSizeModel.from_model(keras.Sequential(network))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


def train_in_parts(directory, data, make, parts, callbacks=list, validation_data=None):
    """Train with Resume, each part by new objects as a new process has; return the last model and the logs by epoch.

    Args:
        parts: for each, the epochs that are asked for, and the step before which it is stopped or None.
        make, callbacks: functions that return a new model, and new callbacks.
    """
    logs = {}
    for epochs, stopped in parts:
        model = make()
        others = [keras.callbacks.LambdaCallback(on_epoch_end=logs.__setitem__), *callbacks(), StopAt(stopped)]
        resume = kms.callbacks.Resume(directory, every_steps=1)
        with contextlib.suppress(StopError):
            model.fit(data, epochs=epochs, verbose=0, callbacks=[*others, resume], validation_data=validation_data)
    return model, logs


def assert_same_run(one, other):
    """Fail unless two results of `train_in_parts` are bitwise the same."""
    (model, logs), (other_model, other_logs) = one, other
    assert logs == other_logs and model.stop_training == other_model.stop_training
    for first, second in zip(model.state_variables, other_model.state_variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)
