"""The named recipes against the settings of the paper."""

import pytest

import keras_mixsize as kms
from keras_mixsize.recipes import PAPER, RECIPES, find
from keras_mixsize.recipes.schedules import StepDecay


@pytest.mark.parametrize("row", PAPER, ids=lambda row: f"{row.dataset}/{row.network}")
@pytest.mark.parametrize("mode", ["baseline", "b+", "d+"])
def test_every_run_of_the_papers_table_has_a_recipe(row, mode):
    recipe = find(f"{row.dataset}/{row.network}/{mode}")
    assert (recipe.epochs, recipe.family) == (row.epochs, row.family)
    assert kms.Regime.preset(recipe.regime).base.batch == recipe.reference_batch


@pytest.mark.parametrize("name", RECIPES)
def test_every_name_is_that_of_its_recipe_and_of_a_known_network_and_regime(name):
    recipe = find(name)
    assert recipe.name == name and recipe.network in kms.models.names()
    assert recipe.regime in kms.presets.preset_names()


def test_smoothing_is_for_mixed_sizes_as_in_the_authors_code():
    smoothing = {mode: RECIPES[f"cifar10/resnet44/{mode}"].smoothing for mode in ("baseline", "b+", "d+")}
    assert smoothing == {"baseline": None, "b+": 0.9, "d+": 0.9}


def test_the_learning_rates_are_the_papers():
    assert find("cifar10/resnet44/b+").schedule == StepDecay(0.1, (81, 122, 164), 0.1)
    assert find("cifar100/wrn28_10/d+").schedule == StepDecay(0.1, (60, 120, 160), 0.2)
    assert find("imagenet2012/resnet50/d+").schedule == StepDecay(0.1, (30, 60, 80), 0.1)


@pytest.mark.parametrize(
    ("name", "near"),
    [("cifar10/resnet4/b+", "cifar10/resnet44/b+"), ("imagenet/resnet50/d+", "imagenet2012/resnet50/d+")],
)
def test_an_unknown_recipe_lists_the_known_ones_and_the_nearest(name, near):
    with pytest.raises(ValueError, match="recipe must be one of") as caught:
        find(name)
    assert f"did you mean {near!r}" in str(caught.value) and "'embedded/resnet8/d+'" in str(caught.value)
