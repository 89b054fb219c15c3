"""Recipes as values: text, JSON, copies, and a run of another length."""

import copy
import json
import pathlib
import pickle

import pytest

from keras_mixsize.recipes import RECIPES, CosineDecay, Recipe, StepDecay

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PUBLISHED = sorted(DOCS.glob("runs/*/results.json"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name):
    assert Recipe.from_dict(json.loads(json.dumps(RECIPES[name].to_dict()))) == RECIPES[name]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda recipe: pickle.loads(pickle.dumps(recipe))])
def test_a_copy_is_equal_and_its_options_cannot_be_changed_either(again):
    recipe = again(RECIPES["cifar10/amoebanet_a/d+"])
    assert recipe == RECIPES["cifar10/amoebanet_a/d+"]
    with pytest.raises(TypeError):
        recipe.network_options["drop_path"] = 0.5


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.parent.name)
def test_the_recipes_of_published_runs_can_be_read(file):
    recipe = Recipe.from_dict(json.loads(file.read_text())["config"]["recipe"])
    assert recipe == RECIPES[recipe.name].lasting(recipe.epochs)


@pytest.mark.parametrize("name", RECIPES)
def test_the_text_names_network_epochs_and_learning_rate(name):
    recipe = RECIPES[name]
    text = str(recipe)
    assert text.startswith(name) and f"epochs             {recipe.epochs}" in text and str(recipe.schedule) in text


def test_a_shorter_run_keeps_the_shape_of_its_schedule():
    recipe = RECIPES["cifar10/resnet44/b+"].lasting(20)
    assert recipe.epochs == 20 and recipe.schedule.epochs == pytest.approx((8.1, 12.2, 16.4))
    assert RECIPES["cifar10/amoebanet_a/b+"].lasting(60).schedule == CosineDecay(0.025)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lable_smoothing": 0.1}, "field of the recipe must be one of .*got 'lable_smoothing'; did you mean 'label_s"),
        ({"schedule": {"learning_rate": 0.1, "warmup": 0.1}}, "did you mean 'warmup_share'"),
    ],
)
def test_a_misspelt_field_is_refused_with_the_nearest(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict(RECIPES["embedded/resnet8/b+"].to_dict() | change)


def test_a_missing_field_is_named():
    fields = {name: value for name, value in RECIPES["embedded/resnet8/b+"].to_dict().items() if name != "epochs"}
    with pytest.raises(ValueError, match="must have the fields dataset, .*, got none of epochs"):
        Recipe.from_dict(fields)


@pytest.mark.parametrize(
    "recipe", [one for one in RECIPES.values() if isinstance(one.schedule, StepDecay)], ids=lambda one: one.name
)
def test_the_learning_rate_falls_for_the_last_time_before_the_end(recipe):
    assert recipe.schedule.epochs[-1] < recipe.epochs
