"""What recipes become in Keras, against the paper's settings and Keras's own losses."""

import dataclasses

import keras
import numpy as np
import pytest
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize import recipes
from keras_mixsize.recipes import RECIPES


def rates(recipe, steps_per_epoch, epochs, factor=1.0):
    """Return the learning rate in the middle of some epochs."""
    schedule = recipes.schedule(recipe, steps_per_epoch, factor)
    return [float(schedule(int((epoch + 0.5) * steps_per_epoch))) for epoch in epochs]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_an_augmentation_and_a_window(name):
    recipe = recipes.find(name)
    assert recipes.transform(recipe) and recipes.test_window(recipe)


# The learning rate


@pytest.mark.parametrize(
    ("name", "epochs", "expected"),
    [
        ("cifar10/resnet44/d+", (0, 80, 81, 121, 122, 163, 164, 199), (0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4)),
        ("cifar100/wrn28_10/b+", (59, 60, 120, 160), (0.1, 0.02, 0.004, 0.0008)),
        ("imagenet2012/resnet50/b+", (29, 30, 60, 80), (0.1, 0.01, 1e-3, 1e-4)),
    ],
)
@pytest.mark.parametrize("steps_per_epoch", [7, 501])
def test_steps_of_the_learning_rate_come_at_the_papers_epochs(name, epochs, expected, steps_per_epoch):
    np.testing.assert_allclose(rates(RECIPES[name], steps_per_epoch, epochs), expected, rtol=1e-5)


def test_the_first_step_of_an_epoch_has_its_new_learning_rate():
    schedule = recipes.schedule(RECIPES["cifar10/resnet44/b+"], 100)
    np.testing.assert_allclose([schedule(8099), schedule(8100)], [0.1, 0.01], rtol=1e-5)


def test_amoebanet_follows_the_cosine_of_darts():
    epochs = np.array([0, 150, 300, 599])
    expected = 0.025 / 2 * (1 + np.cos(np.pi * (epochs * 100 + 50) / 60_000))
    np.testing.assert_allclose(rates(RECIPES["cifar10/amoebanet_a/d+"], 100, epochs), expected, rtol=1e-4, atol=1e-9)


def test_a_rise_comes_before_the_cosine():
    recipe = RECIPES["embedded/resnet8/b+"].lasting(10)
    schedule = recipes.schedule(recipe, 100)
    np.testing.assert_allclose([schedule(0), schedule(25), schedule(50), schedule(1000)], [0, 0.1, 0.2, 0], atol=1e-6)


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1), ("linear", 2), ("sqrt", 2**0.5)])
def test_the_learning_rate_follows_the_batch_only_when_asked(scaling, factor):
    recipe = dataclasses.replace(RECIPES["cifar10/resnet44/b+"], scaling=scaling)
    assert recipes.rate_factor(recipe, mean_batch=128) == pytest.approx(factor)


# The model


@pytest.fixture
def train(small_arrays):
    """300 embedded images under a regime of one size: one trace."""
    return kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(16, 24))


def test_the_model_is_compiled_as_the_recipe_says(train):
    recipe = RECIPES["imagenet2012/efficientnet_b0/b+"]
    model = recipes.compile_model(tiny_network(), recipe, train)
    assert (model.l2, model.l2_filter, model.smoothing) == (1e-5, "no_depthwise", 0.9)
    assert model.optimizer.momentum == 0.9 and float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_regularisation_by_size_and_averaged_weights_reach_the_model(train):
    changes = {"dropout_scale": kms.BySize({16: 0.5}), "ema": 0.5, "padding": kms.BySize({16: 1, 32: 3})}
    recipe = dataclasses.replace(RECIPES["embedded/resnet8/d+"], **changes)
    model = recipes.compile_model(tiny_network(dropout=0.2), recipe, train)
    assert model.dropout_scale == recipe.dropout_scale
    assert (model.optimizer.use_ema, model.optimizer.ema_momentum) == (True, 0.5)
    assert recipes.transform(recipe)["augmentation"] == kms.PadCropFlip(recipe.padding)
    assert recipes.Recipe.from_dict(recipe.to_dict()) == recipe


def test_a_run_with_averaged_weights_ends_with_the_average_over_its_steps(train, tmp_path):
    recipe = dataclasses.replace(RECIPES["embedded/resnet8/d+"], ema=0.5)
    model, seen = recipes.compile_model(tiny_network(), recipe, train), []
    values = [[weight.numpy() for weight in model.trainable_weights]]
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append([weight.numpy() for weight in model.trainable_weights])
    )
    model.fit(train, steps_per_epoch=4, callbacks=[keep], verbose=0)
    average = values[0]
    for step in seen:
        average = [0.5 * old + 0.5 * new for old, new in zip(average, step)]
    for expected, weight in zip(average, model.trainable_weights):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)
    report = kms.evaluate_sizes(model, train.source, [16], calibrate=train, batches=2, latency=False)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert kms.evaluate_sizes(again, train.source, [16], calibrate=train, batches=2, latency=False).rows == report.rows


@pytest.mark.slow
def test_a_recipe_trains_an_auxiliary_head_with_its_weight(train):
    recipe = RECIPES["cifar10/amoebanet_a/b+"]
    network = kms.models.amoebanet_a(classes=10, channels=1, cells=1, filters=4)
    model = recipes.compile_model(network, recipe, train)
    images, labels = next(iter(train))
    logits, auxiliary = model(images)
    losses = [keras.losses.sparse_categorical_crossentropy(labels, x, from_logits=True) for x in (logits, auxiliary)]
    expected = np.mean(losses[0]) + 0.4 * np.mean(losses[1])
    assert float(model.compute_loss(images, [labels] * 2, [logits, auxiliary])) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(model.fit(train, epochs=1, steps_per_epoch=2, verbose=0).history["loss"]).all()


def test_a_model_of_a_recipe_is_saved_and_loaded_whole(train, tmp_path):
    network = kms.models.normalized(tiny_network(), mean=(0.3,), std=(0.2,))
    model = recipes.compile_model(network, RECIPES["cifar10/resnet44/b+"], train)
    model.fit(train, epochs=1, steps_per_epoch=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = next(iter(train))[0]
    np.testing.assert_array_equal(loaded(images), model(images))
    assert loaded.optimizer.iterations == 2
    loaded.fit(train, epochs=1, steps_per_epoch=1, verbose=0)


def test_one_hot_labels_are_refused(small_arrays):
    images, labels = small_arrays
    one_hot = np.eye(10, dtype=np.float32)[labels]
    train = kms.MixSizeDataset.from_arrays(images, one_hot, regime=kms.Regime.fixed(16, 8))
    with pytest.raises(ValueError, match="labels must be integers for a recipe"):
        recipes.compile_model(tiny_network(), RECIPES["cifar10/resnet44/b+"], train)
