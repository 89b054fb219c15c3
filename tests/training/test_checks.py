"""What does not fit together is refused before training, and nothing is changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
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


def test_a_subclassed_model_is_refused_with_a_remedy_that_works(one_bucket):
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = tiny_network()

        def call(self, images, training=None):
            return self.inner(images, training=training)

    network = Network()
    network(np.zeros((1, 8, 8, 1), "float32"))
    with pytest.raises(ValueError, match=r"subclassed Network; call it on an input: .*keras.Model\(inputs, network"):
        kms.MixSizeModel.from_model(network)
    inputs = keras.Input((None, None, 1))
    model = compiled(keras.Model(inputs, network(inputs)))
    assert np.isfinite(model.fit(one_bucket, steps_per_epoch=2, verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (np.repeat(x, 3, -1), y), "validation_data must have the model's 1 channels, got 3"),
        (lambda x, y: (x[..., 0], y), r"validation_data must hold batches of images \[N, H, W, 1\], got the shape"),
        (lambda x, y: (x, y[:-1]), "a label for each of its 300 images, got 299"),
        (lambda x, y: (x, y + 5), r"validation_data: .*\[0, 10\)"),
        (lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)), r"got the shape \(32, 32, 1\); call .batch"),
        (lambda x, y: tf.data.Dataset.from_tensors((x, y)).repeat(), "validation_steps must be given"),
        (lambda x, y: tf.data.Dataset.from_tensors(x), r"must be batches \(images, labels\)"),
    ],
    ids=["channels", "rank", "rows", "labels", "no batches", "endless", "no labels"],
)
def test_validation_data_are_checked_before_the_first_step(model, one_bucket, small_arrays, change, message):
    with pytest.raises(ValueError, match=message):
        model.fit(one_bucket, verbose=0, validation_data=change(*small_arrays))
    assert model.position == 0


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy()])
def test_numbers_are_not_cut_to_classes(small_arrays, network, loss):
    train = kms.MixSizeDataset.from_arrays(small_arrays[0], small_arrays[1] / 2, regime=kms.Regime.fixed(8, 16))
    with pytest.raises(ValueError, match="labels must be integers for sparse_categorical_crossentropy, got floats"):
        model = compiled(network)
        model.compile("sgd", loss)
        model.fit(train)


def test_labels_that_a_map_changes_are_not_held_against_the_source(small_arrays):
    halves = kms.MixSizeDataset.from_arrays(
        *small_arrays, regime=kms.Regime.fixed(8, 16), batch_map=lambda images, labels, seed: (images, labels // 5)
    )
    history = compiled(tiny_network(classes=2)).fit(halves, steps_per_epoch=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


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
