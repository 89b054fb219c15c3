"""Validation at each size in each epoch, against `evaluate` of Keras on resized images."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms


@pytest.fixture(scope="module")
def test_arrays(fashion):
    """40 other images, scaled, so that batches of 16 leave a rest."""
    return fashion.images[1000:1040] / np.float32(255), fashion.labels[1000:1040]


def resized(images, size):
    return tf.image.resize(images, [size, size], antialias=True)


def fitted(data, callbacks, **options):
    """Return a tiny network after some steps, its history, and its state."""
    keras.utils.set_random_seed(4)
    model = compiled(tiny_network(dropout=0.2), **options)
    history = model.fit(data, epochs=2, steps_per_epoch=2, verbose=0, callbacks=callbacks).history
    return model, history, [variable.numpy() for variable in model.state_variables]


@pytest.fixture(scope="module")
def without(one_bucket):
    """What `fitted` returns without the callback."""
    return fitted(one_bucket, [])


@pytest.fixture(scope="module")
def validated(one_bucket, test_arrays):
    """The callback, which validates every second epoch, and what `fitted` returns with it."""
    validate = kms.callbacks.ValidateSizes(test_arrays, [8, 12], batch=16, every=2)
    return validate, *fitted(one_bucket, [validate])


def test_the_logs_have_what_evaluate_gives_at_each_size_and_training_is_bitwise_the_same(
    validated, test_arrays, without
):
    _, expected, alone = without
    validate, model, history, state = validated
    assert validate.trace_count == 1
    for size in (8, 12):
        loss, accuracy = model.evaluate(resized(test_arrays[0], size), test_arrays[1], verbose=0)
        assert history[f"val_loss_{size}"][-1] == pytest.approx(loss, rel=1e-5)
        assert history[f"val_accuracy_{size}"][-1] == pytest.approx(accuracy)
    assert all((one == other).all() for one, other in zip(state, alone, strict=True))
    assert all(history[name] == values for name, values in expected.items())


def test_statistics_are_those_of_the_size_and_are_put_back(one_bucket, test_arrays, without):
    _, _, alone = without
    options = {"calibrate": one_bucket, "batches": 2, "tolerance": 0.0}
    validate = kms.callbacks.ValidateSizes(test_arrays, [8, 12], batch=16, **options)
    model, history, state = fitted(one_bucket, [validate])
    assert all((one == other).all() for one, other in zip(state, alone, strict=True))
    with kms.calibrated(model, one_bucket, 12, batches=2, tolerance=0.0):
        loss, _ = model.evaluate(resized(test_arrays[0], 12), test_arrays[1], verbose=0)
    assert history["val_loss_12"][-1] == pytest.approx(loss, rel=1e-5)
    assert validate.trace_count == 1


def test_callbacks_listed_after_it_watch_a_size(one_bucket, test_arrays, tmp_path):
    class Worse(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss_12"] += 10 * epoch

    stop = keras.callbacks.EarlyStopping("val_loss_12", mode="min", patience=0)
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", "val_loss_12", mode="min", save_best_only=True)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    validate = kms.callbacks.ValidateSizes(test_arrays, [12])
    model = compiled(tiny_network())
    callbacks = [validate, Worse(), stop, best, log]
    history = model.fit(one_bucket, epochs=4, steps_per_epoch=1, verbose=0, callbacks=callbacks).history
    assert len(history["loss"]) == 2
    saved = keras.saving.load_model(tmp_path / "best.keras")
    loss, _ = saved.evaluate(resized(test_arrays[0], 12), test_arrays[1], verbose=0)
    assert saved.position == 1 and history["val_loss_12"][0] == pytest.approx(loss, rel=1e-5)
    with (tmp_path / "log.csv").open() as stream:
        assert [float(row["val_loss_12"]) for row in csv.DictReader(stream)] == pytest.approx(history["val_loss_12"])


def test_epochs_between_have_nan(validated):
    history = validated[2]
    for name in ("val_loss_12", "val_accuracy_12"):
        assert np.isnan(history[name]).tolist() == [True, False]


def test_several_outputs_and_any_keras_model_are_validated(test_arrays):
    inputs = keras.Input((None, None, 1))
    hidden = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    network = keras.Model(inputs, [keras.layers.Dense(10, name=name)(hidden) for name in ("main", "side")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    settings = {"loss": {"main": loss, "side": loss}, "metrics": {"main": ["accuracy"]}}
    images, labels = test_arrays
    model = kms.MixSizeModel(network)
    data = kms.MixSizeDataset.from_arrays(images, labels, regime=kms.Regime.fixed(8, 8))
    model.compile("sgd", **settings)
    history = model.fit(data, verbose=0, callbacks=[kms.callbacks.ValidateSizes(test_arrays, [16])]).history
    expected = model.evaluate(resized(images, 16), labels, verbose=0, return_dict=True)
    assert history["val_main_accuracy_16"][0] == pytest.approx(expected["main_accuracy"])
    assert history["val_loss_16"][0] == pytest.approx(expected["loss"], rel=1e-5)
    plain = tiny_network()
    plain.compile("sgd", loss, metrics=["accuracy"])
    history = plain.fit(images, labels, verbose=0, callbacks=[kms.callbacks.ValidateSizes(test_arrays, [16])]).history
    loss, accuracy = plain.evaluate(resized(images, 16), labels, verbose=0)
    assert history["val_accuracy_16"][0] == pytest.approx(accuracy)
    assert history["val_loss_16"][0] == pytest.approx(loss, rel=1e-5)


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_replicas_keep_their_own_statistics(one_bucket, test_arrays, two_devices):
    def trained(callbacks):
        keras.utils.set_random_seed(4)
        with tf.distribute.MirroredStrategy(two_devices).scope():
            model = compiled(tiny_network())
        history = model.fit(one_bucket, epochs=2, steps_per_epoch=2, verbose=0, callbacks=callbacks).history
        locally = model.distribute_strategy.experimental_local_results
        return [copy.numpy() for variable in model.variables for copy in locally(variable.value)], history

    options = {"calibrate": one_bucket, "batches": 2}
    with_it, history = trained([kms.callbacks.ValidateSizes(test_arrays, [12], **options)])
    without, _ = trained([])
    assert all((one == other).all() for one, other in zip(with_it, without, strict=True))
    assert 0 < history["val_loss_12"][-1] < 10


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sizes": []}, "sizes must name at least one size"),
        ({"sizes": [0]}, "sizes must be integers of at least 1 pixel, got 0"),
        ({"sizes": [8], "every": 0}, "every must be an integer of at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(test_arrays, options, message):
    with pytest.raises(ValueError, match=message):
        kms.callbacks.ValidateSizes(test_arrays, **options)


def test_other_channels_are_refused(one_bucket, test_arrays):
    images, labels = test_arrays
    with pytest.raises(ValueError, match="data must have the model's 1 channels, got 3"):
        fitted(one_bucket, [kms.callbacks.ValidateSizes((np.repeat(images, 3, -1), labels), [8])])
