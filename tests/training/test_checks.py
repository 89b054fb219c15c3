"""What does not fit together is refused before training, and nothing is changed."""

import keras
import numpy as np
import pytest
from networks import compiled, tiny_network

import keras_mixsize as kms


def weights_of(model):
    return [weight.numpy() for weight in model.trainable_weights]


def test_a_fixed_input_size_is_refused():
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs)))
    with pytest.raises(ValueError, match=r"images of any size, got .*32, 32, 3.*keras.Input\(\(None, None, 3\)\)"):
        kms.MixSizeModel.from_model(model)


def test_what_is_no_built_model_is_refused():
    with pytest.raises(ValueError, match="built functional or sequential"):
        kms.MixSizeModel.from_model(keras.Sequential([keras.layers.Dense(3)]))


def fit_error(network, arrays, regime, match, **options):
    model = compiled(network)
    before = weights_of(model)
    train = kms.MixSizeDataset.from_arrays(*arrays, regime=regime, **options)
    with pytest.raises(ValueError, match=match):
        model.fit(train, epochs=1, verbose=0)
    assert model.position == 0 and all((a == b).all() for a, b in zip(before, weights_of(model)))


def test_sizes_off_the_models_stride_are_refused_before_training(small_arrays):
    network = kms.models.build("resnet8", classes=10, channels=1)
    fit_error(network, small_arrays, kms.Regime.fixed(30, 16), "multiples of 4, the stride .*got 30; use 28 or 32")
    relaxed = compiled(network, stride=1)
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(30, 16))
    relaxed.fit(train, steps_per_epoch=1, verbose=0)


def test_named_classes_that_are_not_the_models_outputs_are_refused(network, regime):
    source = kms.sources.ArraySource(np.zeros((40, 8, 8, 1), np.uint8), np.zeros(40, int), ("cat", "dog", "eel"))
    with pytest.raises(ValueError, match="classes must be the model's 10 outputs, got 3 named in the data"):
        compiled(network).fit(kms.MixSizeDataset.from_source(source, regime=regime))


def test_backup_and_restore_is_refused_because_it_would_repeat_data(model, train, tmp_path):
    with pytest.raises(
        ValueError, match="must not hold BackupAndRestore.*start over; use keras_mixsize.callbacks.Resume"
    ):
        model.fit(train, verbose=0, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])


def test_an_endless_derived_dataset_without_steps_is_refused(model, train):
    with pytest.raises(ValueError, match="steps_per_epoch must be given for an endless dataset.*batch_map"):
        model.fit(train.map(lambda images, labels: (images, labels)), verbose=0)


def test_other_channels_are_refused_before_training(small_arrays, regime):
    fit_error(tiny_network(channels=3), small_arrays, regime, "model's 3 channels, got 1")


def test_labels_beyond_the_outputs_are_refused_before_training(small_arrays, regime):
    images, labels = small_arrays
    first = int(np.flatnonzero(labels >= 5)[0])
    fit_error(tiny_network(classes=5), small_arrays, regime, rf"\[0, 5\), got {labels[first]} at index {first}")
