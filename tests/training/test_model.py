"""MixSizeModel: one trace per bucket, and Keras's habits kept."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.images.step_images import images_of


def weights_of(model):
    return [weight.numpy() for weight in model.trainable_weights]


def one_batch(train, number=0):
    return next(iter(train.starting_at(number)))


# Traces


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    """A model trained for two epochs at three sizes, its history, and the folder of what was logged."""
    keras.utils.set_random_seed(1)
    model, folder = compiled(tiny_network()), tmp_path_factory.mktemp("logs")
    callbacks = [keras.callbacks.CSVLogger(folder / "log.csv"), keras.callbacks.TensorBoard(folder, write_graph=False)]
    return model, model.fit(train, epochs=2, verbose=0, callbacks=callbacks).history, folder


def test_one_trace_per_bucket_over_two_epochs_and_two_fits(trained, train, regime):
    model = trained[0]
    assert model.trace_count == len(regime.buckets)
    model.fit(train, epochs=1, verbose=0)
    assert model.trace_count == len(regime.buckets)


def test_one_trace_per_bucket_under_xla(small_arrays):
    regime = kms.Regime.parse("8x16x1:0.5,12x8x1:0.5")
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime)
    layers = [keras.Input((None, None, 1)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    model = kms.MixSizeModel.from_model(keras.Sequential(layers))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, ["accuracy"], jit_compile=True)
    history = model.fit(train, epochs=1, verbose=0).history
    assert model.trace_count == len(regime.buckets) and np.isfinite(history["loss"]).all()


# What a step is given


def test_uint8_batches_train_like_their_floats(network, small_arrays, regime):
    rounded = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, dtype="uint8")
    images, labels = one_batch(rounded)
    first, second = compiled(network), compiled(keras.models.clone_model(network))
    second.network.set_weights(network.get_weights())
    first.train_on_batch(images, labels)
    second.train_on_batch(tf.cast(images, tf.float32) / 255, labels)
    for one, other in zip(weights_of(first), weights_of(second)):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    "accumulate, jit_compile",
    [(1, False), pytest.param(1, True, marks=pytest.mark.slow), pytest.param(2, False, marks=pytest.mark.slow)],
)
def test_images_finished_in_the_step_train_like_those_of_the_dataset(
    network, small_files, regime, accumulate, jit_compile
):
    train, traced = kms.MixSizeDataset.from_source(small_files, regime=regime), []

    class Noting(kms.MixSizeModel):
        def train_step(self, data):
            traced.append(images_of(data[0]).dtype)
            return super().train_step(data)

    def trained(data):
        """Return weights and logs after an epoch."""
        own = keras.models.clone_model(network)
        own.set_weights(network.get_weights())
        model = Noting(own, accumulate=accumulate)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, ["accuracy"], jit_compile=jit_compile)
        logs = model.fit(data, verbose=0).history
        return [*own.get_weights(), logs["loss"], logs["accuracy"]]

    # a map wants finished images
    mapped = kms.MixSizeDataset.from_source(small_files, regime=regime, image_map=lambda image, seed: image)
    in_step, finished = trained(train), trained(mapped)
    count = len(regime.buckets)
    assert traced == [tf.uint8] * count + [tf.float32] * count
    for one, other in zip(in_step, finished, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


# Keras's habits


def test_fit_goes_on_in_the_plan_where_the_last_one_ended(network, one_bucket):
    twice, once = compiled(network), compiled(keras.models.clone_model(network))
    once.network.set_weights(network.get_weights())
    twice.fit(one_bucket, epochs=1, verbose=0)
    twice.fit(one_bucket, epochs=1, verbose=0)
    once.fit(one_bucket, epochs=2, verbose=0)
    assert twice.position == once.position == 2 * one_bucket.steps_per_epoch
    for one, other in zip(weights_of(twice), weights_of(once)):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_initial_epoch_sets_the_first_step_of_the_plan(model, one_bucket):
    model.fit(one_bucket, epochs=4, initial_epoch=3, verbose=0)
    assert model.position == 4 * one_bucket.steps_per_epoch


def test_a_dataset_that_starts_later_is_taken_at_its_word(model, one_bucket):
    model.fit(one_bucket.starting_at(100), epochs=1, steps_per_epoch=3, verbose=0)
    assert model.position == 103


def test_compiling_again_replaces_the_metrics_of_each_size(model, one_bucket):
    model.fit(one_bucket, epochs=1, verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, [keras.metrics.SparseTopKCategoricalAccuracy(3, name="top3")])
    history = model.fit(one_bucket, epochs=1, verbose=0).history
    assert "top3_8" in history and "accuracy_8" not in history and model.trace_count == 1


def test_a_saved_model_goes_on_exactly(model, one_bucket, tmp_path):
    model.fit(one_bucket, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.position == model.position and loaded.smoothing == model.smoothing
    assert float(loaded.smoothing_state.norm) == float(model.smoothing_state.norm)
    model.fit(one_bucket, epochs=1, verbose=0)
    loaded.fit(one_bucket, epochs=1, verbose=0)
    for one, other in zip(weights_of(model), weights_of(loaded)):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_loaded_model_exports_one_answer_for_any_size(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    for size in (16, 24):
        images = np.random.default_rng(size).random((3, size, size, 1), np.float32)
        np.testing.assert_allclose(served.serve(images), model(images), atol=1e-6)


def test_options_are_saved(network, tmp_path):
    model = compiled(network, smoothing=None, l2=0.25, max_skipped=None, stride=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.smoothing, loaded.l2, loaded.max_skipped, loaded.stride) == (None, 0.25, None, 1)


def test_layers_are_shared_with_the_network(network, train):
    model = compiled(network)
    before = network.get_weights()[0]
    model.train_on_batch(*one_batch(train))
    assert (network.get_weights()[0] != before).any() and model.network is network


def test_sequential_models_are_accepted(one_bucket):
    layers = [keras.Input((None, None, 1)), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()]
    model = compiled(keras.Sequential([*layers, keras.layers.Dense(10)]))
    assert np.isfinite(model.fit(one_bucket, epochs=1, verbose=0).history["loss"]).all()


def test_loss_and_metrics_of_each_size_are_in_history_csv_and_tensorboard(trained):
    _, history, folder = trained
    expected = {"loss", "accuracy", "skipped_steps"} | {
        f"{name}_{size}" for name in ("loss", "accuracy") for size in (16, 24, 32)
    }
    assert set(history) == expected
    with (folder / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 and float(rows[1]["accuracy_24"]) == pytest.approx(history["accuracy_24"][1])
    events = b"".join(path.read_bytes() for path in folder.rglob("events*"))
    assert b"epoch_loss_16" in events


def test_totals_are_the_weighted_means_of_the_sizes(trained, train):
    history = trained[1]
    images = {size: 0 for size in train.plan.regime.sizes}
    for step in range(train.steps_per_epoch):
        bucket = train.plan.at(step).bucket
        images[bucket.size] += bucket.images
    for name in ("loss", "accuracy"):
        mean = sum(history[f"{name}_{size}"][0] * count for size, count in images.items()) / sum(images.values())
        assert history[name][0] == pytest.approx(mean, rel=1e-5)


def test_evaluate_and_predict_work_as_in_keras(model, small_arrays):
    images, labels = small_arrays
    loss, accuracy = model.evaluate(images, labels, verbose=0)
    logits = model.predict(images, verbose=0)
    assert accuracy == pytest.approx((logits.argmax(-1) == labels).mean(), abs=1e-6)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert loss == pytest.approx(float(tf.reduce_mean(expected)), rel=1e-4)


def test_validation_data_and_early_stopping_work(model, one_bucket, small_arrays):
    stop = keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=100)
    history = model.fit(one_bucket, epochs=5, verbose=0, validation_data=small_arrays, callbacks=[stop]).history
    assert len(history["val_accuracy"]) == 2


def test_eager_mode_trains_the_same(network, one_bucket):
    eager, traced = kms.MixSizeModel(network), compiled(keras.models.clone_model(network))
    traced.network.set_weights(network.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    eager.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, run_eagerly=True)
    for model in (eager, traced):
        model.fit(one_bucket, epochs=1, steps_per_epoch=2, verbose=0)
    for one, other in zip(weights_of(eager), weights_of(traced)):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_one_hot_labels_train(small_arrays):
    images, labels = small_arrays
    regime = kms.Regime.fixed(16, 16)
    train = kms.MixSizeDataset.from_arrays(images, np.eye(10, dtype=np.float32)[labels], regime=regime)
    model = kms.MixSizeModel.from_model(tiny_network())
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), ["accuracy"])
    assert "accuracy_16" in model.fit(train, epochs=1, verbose=0).history


def network_of_two_heads():
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(inputs)
    heads = [keras.layers.Dense(10, name=name)(keras.layers.GlobalAveragePooling2D()(x)) for name in ("main", "side")]
    return keras.Model(inputs, heads)


@pytest.mark.parametrize(
    "make",
    [
        network_of_two_heads,
        pytest.param(lambda: kms.models.amoebanet_a(10, channels=1, cells=1, filters=8), marks=pytest.mark.slow),
    ],
    ids=["two heads", "amoebanet"],
)
def test_an_auxiliary_head_gets_the_labels_too(make, one_bucket, small_arrays):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = kms.MixSizeModel.from_model(make())
    model.compile("sgd", [loss, loss], [["accuracy"], []], loss_weights=[1.0, 0.4])
    history = model.fit(one_bucket, epochs=1, steps_per_epoch=6, verbose=0).history
    assert model.trace_count == 1 and np.isfinite(history["loss"]).all()
    assert any(name.endswith("accuracy") for name in history) and any(name.startswith("loss_") for name in history)
    assert len(model.evaluate(*small_arrays, verbose=0)) >= 2
    report = kms.evaluate_sizes(model, small_arrays, [16], latency=False)
    images = tf.image.resize(small_arrays[0], [16, 16], antialias=True) / 255
    expected = model.predict(images, verbose=0)[0].argmax(-1) == small_arrays[1]
    assert report.rows[0].accuracy.value == pytest.approx(expected.mean())


# Bad input


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"smoothing": 1.0}, r"smoothing must be a momentum in \[0, 1\) or None, got 1.0"),
        ({"l2": -1.0}, "l2 .*-1.0"),
        ({"max_skipped": 0}, "max_skipped must be an integer of at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        kms.MixSizeModel.from_model(network, **options)


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_a_strategy_of_one_device_trains_like_none(network, one_bucket):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        distributed = compiled(tiny_network())
    distributed.network.set_weights(network.get_weights())
    alone = compiled(network)
    for model in (distributed, alone):
        model.fit(one_bucket, epochs=1, steps_per_epoch=4, verbose=0)
    for one, other in zip(weights_of(distributed), weights_of(alone)):
        np.testing.assert_allclose(one, other, atol=1e-6)
