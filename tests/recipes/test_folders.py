"""The recipe of a folder follows from its images and the machine, as tables say."""

import dataclasses

import pytest

from keras_mixsize.recipes.budget import pixels
from keras_mixsize.recipes.folders import Asked, FolderFacts, choose, minutes
from keras_mixsize.regimes import Regime

PHOTOS = FolderFacts("photos", examples=1500, classes=3, side=480, cores=2, gpu=False)


@pytest.mark.parametrize(
    "side, gpu, network, base, sizes",
    [
        (480, False, "resnet14", 64, (32, 48, 64, 80)),
        (32, False, "resnet14", 32, (16, 24, 32, 40)),
        (480, True, "resnet50", 224, (128, 160, 224, 288)),
        (130, True, "resnet50", 128, (64, 96, 128, 160)),
        (64, True, "resnet44", 64, (32, 48, 64, 80)),
        (28, True, "resnet44", 32, (16, 24, 32, 40)),
    ],
)
def test_network_and_sizes_follow_from_the_images_and_the_machine(side, gpu, network, base, sizes):
    choice = choose(dataclasses.replace(PHOTOS, side=side, gpu=gpu))
    assert (choice.recipe.network, choice.regime.base.size, choice.regime.sizes) == (network, base, sizes)


@pytest.mark.parametrize("examples, batch, epochs", [(12, 8, 100), (150, 16, 100), (600, 64, 100), (3000, 64, 20)])
def test_batch_and_epochs_follow_from_the_number_of_images(examples, batch, epochs):
    facts = dataclasses.replace(PHOTOS, examples=examples)
    baseline, mixed = choose(facts, Asked(mode="baseline")), choose(facts)
    assert (baseline.regime.base.batch, baseline.recipe.epochs) == (batch, epochs)
    assert baseline.recipe.schedule.learning_rate == pytest.approx(0.1 * batch / 64)
    mode, rate = ("d+", 0.1) if examples < 64 else ("b+", 0.2)  # a larger batch would hold some images twice
    assert (mixed.recipe.mode, mixed.recipe.schedule.learning_rate) == (mode, pytest.approx(rate * batch / 64))
    assert max(bucket.batch for bucket in mixed.regime.buckets) <= examples


@pytest.mark.parametrize("mode", ["b+", "d+", "bd+"])
def test_mixed_sizes_cost_what_one_size_does_and_end_there(mode):
    baseline, mixed = choose(PHOTOS, Asked(mode="baseline")), choose(PHOTOS, Asked(mode=mode))
    costs = [pixels(choice.regime, PHOTOS.examples, choice.recipe.epochs) for choice in (baseline, mixed)]
    assert costs[1] == pytest.approx(costs[0], rel=0.03)
    (share, _), (last, regime) = mixed.regime.stages
    assert (share, last, regime.sizes) == (0.8, 0.2, (64,))
    assert isinstance(choose(PHOTOS, Asked(mode=mode, finish=0.0)).regime, Regime)


@pytest.mark.parametrize("examples", [3000, 20_000, 60_000, 1_300_000])
def test_a_cpu_never_trains_for_more_than_an_hour_as_far_as_can_be_foreseen(examples):
    facts = dataclasses.replace(PHOTOS, examples=examples)
    for mode, most in (("baseline", 60), ("b+", 75), ("d+", 75)):  # whole epochs of a mixture may cost a fifth more
        choice = choose(facts, Asked(mode=mode))
        assert 0 < minutes(facts, choice.recipe.network, pixels(choice.regime, examples, choice.recipe.epochs)) <= most


@pytest.mark.parametrize("mode", ["baseline", "b+", "d+", "bd+"])
@pytest.mark.parametrize("examples, gpu", [(9, False), (150, True), (50_000, True)])
def test_no_step_costs_more_than_the_base(mode, examples, gpu):
    regime = choose(dataclasses.replace(PHOTOS, examples=examples, gpu=gpu), Asked(mode=mode)).regime
    assert all(bucket.cost <= regime.base.cost for bucket in regime.buckets)
    assert (len(set(regime.sizes)) == 1) == (mode == "baseline")


@pytest.mark.parametrize(
    "asked, read",
    [
        ({"network": "resnet8"}, lambda choice: choice.recipe.network),
        ({"base_size": 96}, lambda choice: choice.regime.base.size),
        ({"base_batch": 24}, lambda choice: choice.regime.base.batch),
        ({"epochs": 3}, lambda choice: choice.recipe.epochs),
        ({"learning_rate": 0.0}, lambda choice: choice.recipe.schedule.learning_rate),
        ({"mode": "d+"}, lambda choice: choice.recipe.mode),
        ({"finish": 0.5}, lambda choice: choice.recipe.finish),
    ],
)
def test_what_the_user_asks_for_is_taken(asked, read):
    choice = choose(PHOTOS, Asked(**asked))
    assert read(choice) == next(iter(asked.values()))
    assert "as asked" in str(choice) or "mode" in asked


def test_every_line_names_the_flag_that_changes_it():
    lines = str(choose(PHOTOS)).splitlines()
    assert lines[0] == "chosen for photos: 1500 training images of 3 classes, 480 px (median side); 2 cores, no GPU"
    assert all("(--" in line and len(line) <= 120 for line in lines[1:]) and len(lines) > 7


def test_icons_are_shifted_and_photographs_are_cropped():
    assert choose(PHOTOS).recipe.augmentation == "random_resized_crop"
    assert choose(dataclasses.replace(PHOTOS, side=32)).recipe.augmentation == "pad_crop_flip"


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be one of"):
        choose(PHOTOS, Asked(mode="e+"))
