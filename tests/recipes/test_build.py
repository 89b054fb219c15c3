"""Recipes against the settings of the paper, and what they become in Keras."""

import json

import keras
import numpy as np
import pytest
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize import recipes
from keras_mixsize.recipes.paper import PAPER
from keras_mixsize.recipes.recipe import CosineDecay, Recipe, StepDecay
from keras_mixsize.recipes.table import RECIPES


def rates(recipe, steps_per_epoch, epochs, factor=1.0):
    """Return the learning rate in the middle of some epochs."""
    schedule = recipes.schedule(recipe, steps_per_epoch, factor)
    return [float(schedule(int((epoch + 0.5) * steps_per_epoch))) for epoch in epochs]


# The values


@pytest.mark.parametrize("row", PAPER, ids=lambda row: f"{row.dataset}/{row.network}")
@pytest.mark.parametrize("mode", ["baseline", "b+", "d+"])
def test_every_run_of_the_papers_table_has_a_recipe(row, mode):
    recipe = recipes.find(f"{row.dataset}/{row.network}/{mode}")
    assert (recipe.epochs, recipe.family) == (row.epochs, row.family)
    assert kms.Regime.preset(recipe.regime).base.batch == recipe.reference_batch


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_its_parts_and_prints_itself(name):
    recipe = recipes.find(name)
    assert recipe.name == name and recipe.network in kms.models.names()
    assert str(recipe).startswith(name) and f"epochs             {recipe.epochs}" in str(recipe)
    assert kms.Regime.preset(recipe.regime) and recipes.transform(recipe) and recipes.test_window(recipe)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name):
    assert Recipe.from_dict(json.loads(json.dumps(RECIPES[name].to_dict()))) == RECIPES[name]


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


def test_smoothing_is_for_mixed_sizes_as_in_the_authors_code():
    smoothing = {mode: RECIPES[f"cifar10/resnet44/{mode}"].smoothing for mode in ("baseline", "b+", "d+")}
    assert smoothing == {"baseline": None, "b+": 0.9, "d+": 0.9}


def test_a_shorter_run_keeps_the_shape_of_its_schedule():
    recipe = RECIPES["cifar10/resnet44/b+"].lasting(20)
    assert recipe.epochs == 20 and recipe.schedule.epochs == pytest.approx((8.1, 12.2, 16.4))
    assert RECIPES["cifar10/amoebanet_a/b+"].lasting(60).schedule == CosineDecay(0.025)


def test_a_rise_comes_before_the_cosine():
    recipe = RECIPES["embedded/resnet8/b+"].lasting(10)
    schedule = recipes.schedule(recipe, 100)
    np.testing.assert_allclose([schedule(0), schedule(25), schedule(50), schedule(1000)], [0, 0.1, 0.2, 0], atol=1e-6)


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1), ("linear", 2), ("sqrt", 2**0.5)])
def test_the_learning_rate_follows_the_batch_only_when_asked(scaling, factor):
    import dataclasses

    recipe = dataclasses.replace(RECIPES["cifar10/resnet44/b+"], scaling=scaling)
    assert recipes.rate_factor(recipe, mean_batch=128) == pytest.approx(factor)


# In Keras


@pytest.fixture
def train(small_arrays):
    """300 embedded images under the small B+ regime."""
    return kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.preset("cifar/b+", base_batch=24))


def test_the_model_is_compiled_as_the_recipe_says(train):
    recipe = RECIPES["imagenet2012/efficientnet_b0/b+"]
    model = recipes.compile_model(tiny_network(), recipe, train)
    assert (model.l2, model.l2_filter, model.smoothing) == (1e-5, "no_depthwise", 0.9)
    assert model.optimizer.momentum == 0.9 and float(model.optimizer.learning_rate) == pytest.approx(0.1)


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


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_smoothing_equals_kerass_on_one_hot_labels(smoothing):
    logits = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 4, 0])
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    ours = recipes.SmoothedCrossEntropy(smoothing)
    one_hot = np.eye(5, dtype=np.float32)[labels]
    assert float(ours(labels, logits)) == pytest.approx(float(expected(one_hot, logits)), rel=1e-5)
    assert recipes.SmoothedCrossEntropy.from_config(ours.get_config()).label_smoothing == smoothing


def test_a_model_of_a_recipe_is_saved_and_loaded_whole(train, tmp_path):
    network = kms.models.build("resnet8", classes=10, channels=1, mean=(0.3,), std=(0.2,))
    model = recipes.compile_model(network, RECIPES["cifar10/resnet44/b+"], train)
    model.fit(train, epochs=1, steps_per_epoch=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = next(iter(train))[0]
    np.testing.assert_array_equal(loaded(images), model(images))
    assert loaded.optimizer.iterations == 2
    loaded.fit(train, epochs=1, steps_per_epoch=1, verbose=0)


# The normalisation, the test window


def test_a_normalised_network_sees_images_less_their_mean():
    plain = tiny_network(channels=3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    network = kms.models.normalized(plain, mean, std)
    images = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    np.testing.assert_allclose(network(images), plain((images - mean) / np.array(std)), rtol=1e-3, atol=1e-5)


def test_means_for_other_channels_are_refused():
    with pytest.raises(ValueError, match="mean and std must have the images' 1 channels"):
        kms.models.build("resnet8", classes=10, channels=1, mean=(0.4, 0.4, 0.4), std=(0.2, 0.2, 0.2))


# What is refused


@pytest.mark.parametrize(
    ("name", "near"),
    [("cifar10/resnet4/b+", "cifar10/resnet44/b+"), ("imagenet/resnet50/d+", "imagenet2012/resnet50/d+")],
)
def test_an_unknown_recipe_lists_the_known_ones_and_the_nearest(name, near):
    with pytest.raises(ValueError, match="recipe must be one of") as caught:
        recipes.find(name)
    assert f"did you mean {near!r}" in str(caught.value) and "'embedded/resnet8/d+'" in str(caught.value)


def test_one_hot_labels_are_refused(small_arrays):
    images, labels = small_arrays
    one_hot = np.eye(10, dtype=np.float32)[labels]
    train = kms.MixSizeDataset.from_arrays(images, one_hot, regime=kms.Regime.fixed(16, 8))
    with pytest.raises(ValueError, match="labels must be integers for a recipe"):
        recipes.compile_model(tiny_network(), RECIPES["cifar10/resnet44/b+"], train)


def test_a_share_of_label_smoothing_out_of_range_is_refused():
    with pytest.raises(ValueError, match="label_smoothing must be a share"):
        recipes.SmoothedCrossEntropy(1.0)


def test_schedules_say_what_they_do():
    assert str(StepDecay(0.1, (30, 60), 0.1)) == "0.1, x 0.1 at epochs 30, 60"
    assert str(CosineDecay(0.2, warm_up=0.05)) == "0.2, cosine to 0, after a rise over the first 5%"
