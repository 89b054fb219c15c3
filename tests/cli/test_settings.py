"""From flags to settings: a file or a recipe first, and a flag goes before both."""

import dataclasses

import pytest
from pictures import write_image

from keras_mixsize import sources
from keras_mixsize.cli import command, train
from keras_mixsize.cli.config import RunConfig, write_config
from keras_mixsize.cli.settings import find_recipe, settings
from keras_mixsize.recipes import find
from keras_mixsize.regimes import BySize, Regime, Schedule


def settings_of(*arguments, dataset=None, say=lambda line: None):
    command.parse(train.FLAGS, ["mixsize train", *arguments])
    return settings(train.FLAGS, dataset, say)


@pytest.fixture
def photos(tmp_path):
    for number in range(40):
        write_image(tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.jpg", 100, 120)
    return tmp_path / "photos"


def test_without_flags_it_is_the_embedded_recipe():
    config = settings_of("--notensorboard")
    expected = RunConfig(find("embedded/resnet8/d+"), "runs/embedded_resnet8_d+", tensorboard=False)
    assert config == expected


def test_each_flag_changes_one_setting():
    plain = settings_of()
    for flag, field, value in (
        ("--seed=3", "seed", 3),
        ("--sizes=24,16", "sizes", (16, 24)),
        ("--output=runs/x", "output", "runs/x"),
        ("--name=mine", "name", "mine"),
        ("--calibration_batches=7", "calibration_batches", 7),
        ("--sampling=independent", "sampling", "independent"),
        ("--sampling=balanced", "sampling", "balanced"),
        ("--precision=mixed_bfloat16", "precision", "mixed_bfloat16"),
        ("--strategy=mirrored", "strategy", "mirrored"),
        ("--resume", "resume", True),
        ("--damage=skip", "damage", "skip"),
        ("--xla_cache=programs", "xla_cache", "programs"),
        ("--validation=0.3", "validation", 0.3),
        ("--data_dir=/data", "data_dir", "/data"),
    ):
        assert settings_of(flag) == dataclasses.replace(plain, **{field: value}), flag


def test_flags_change_the_recipe():
    recipe = settings_of(
        "--recipe=cifar10/amoebanet_a/b+", "--model=resnet20", "--epochs=60", "--learning_rate=0.3", "--l2=0.001",
        "--smoothing=-1", "--padding=2", "--scaling=linear",
    ).recipe  # fmt: skip
    start = find("cifar10/amoebanet_a/b+")
    schedule = dataclasses.replace(start.schedule, learning_rate=0.3)
    changes = {"l2": 0.001, "smoothing": None, "padding": 2, "scaling": "linear", "schedule": schedule}
    expected = dataclasses.replace(start, network="resnet20", network_options={}, auxiliary_weight=0.0, **changes)
    assert recipe == expected.lasting(60)


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--regime=imagenet144"], Regime.preset("imagenet144/d+")),
        (["--regime=cifar/b+"], Regime.preset("cifar/b+")),
        (["--mode=b+"], Regime.preset("small/b+")),
        (["--share=samples"], Regime.preset("small/d+", share="samples")),
        (["--base_batch=128"], Regime.preset("small/d+", base_batch=128)),
        (["--regime=32:0.5,16:0.5"], Regime.parse("32:0.5,16:0.5", base_size=32, base_batch=64, grow="duplicates")),
        (["--regime=32x64x1:0.5,16x64x4:0.5"], Regime.parse("32x64x1:0.5,16x64x4:0.5")),
    ],
)
def test_flags_change_the_regime_and_what_is_tested(flags, expected):
    config = settings_of(*flags)
    assert config.regime == expected and set(expected.sizes) <= set(config.sizes)


def test_a_data_set_gets_the_recipe_that_was_made_for_it():
    assert settings_of(dataset="cifar10").recipe == find("cifar10/resnet44/d+")


def test_a_folder_gets_a_recipe_of_its_own_that_is_told(photos):
    said = []
    config = settings_of(dataset=str(photos), say=said.append)
    assert said[0].startswith("chosen for photos: ") and "of 2 classes, 100 px" in said[0]
    assert config.title == config.name == config.recipe.name and config.title.startswith("photos/")
    assert config.output == f"runs/{config.title.replace('/', '_')}" and config.dataset == f"folder:{photos}"


def test_flags_go_before_the_folders_recipe(photos):
    flags = ["--model=resnet8", "--base_size=32", "--base_batch=8", "--epochs=3", "--learning_rate=0.5", "--mode=b+"]
    config = settings_of(*flags, "--name=mine", "--output=runs/mine", dataset=str(photos))
    recipe, base = config.recipe, config.regime.base
    assert (recipe.network, recipe.epochs, recipe.schedule.learning_rate) == ("resnet8", 3, 0.5)
    assert (base.size, base.batch, recipe.mode) == (32, 8, "b+") and (config.name, config.output) == (
        "mine",
        "runs/mine",
    )


def test_a_named_recipe_on_a_folder_has_the_folders_name(photos):
    config = settings_of("--recipe=cifar10/resnet44/b+", dataset=str(photos))
    assert config.recipe == dataclasses.replace(find("cifar10/resnet44/b+"), dataset="photos")
    assert config.name == "photos/resnet44/b+" and config.output == "runs/photos_resnet44_b+"


def test_a_file_repeats_a_run_and_a_flag_goes_before_it(tmp_path, photos):
    config = settings_of("--epochs=3", "--seed=5", dataset=str(photos))
    write_config(config, tmp_path / "run.json")
    assert settings_of(f"--config={tmp_path / 'run.json'}") == config
    changed = settings_of(f"--config={tmp_path / 'run.json'}", "--seed=6", "--epochs=4", "--output=runs/y")
    assert changed == dataclasses.replace(config, seed=6, output="runs/y", recipe=config.recipe.lasting(4))


def test_a_regime_beside_a_file_is_a_whole_one(tmp_path):
    write_config(settings_of(), tmp_path / "run.json")
    config = settings_of(f"--config={tmp_path / 'run.json'}", "--regime=imagenet144/b+")
    assert config.regime == Regime.preset("imagenet144/b+") and 256 in config.sizes
    with pytest.raises(ValueError, match="--base_size needs --regime beside --config"):
        settings_of(f"--config={tmp_path / 'run.json'}", "--base_size=48")


def test_a_recipe_beside_a_file_goes_before_its_own(tmp_path):
    write_config(settings_of("--seed=4"), tmp_path / "run.json")
    config = settings_of(f"--config={tmp_path / 'run.json'}", "--recipe=embedded/resnet8/b+")
    assert (
        config.recipe == find("embedded/resnet8/b+") and config.regime == Regime.preset("small/b+") and config.seed == 4
    )


def test_a_smoke_run_takes_seconds():
    config = settings_of("--smoke", "--sizes=8,16,24")
    assert (config.recipe.epochs, config.limit, config.calibration_batches, config.sizes) == (1, 512, 2, (8, 16))


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"no recipe 'embeded/resnet8/b\+'; did you mean embedded/resnet8/b\+"):
        find_recipe("embeded/resnet8/b+")


def test_settings_that_depend_on_the_size_are_read_and_written(tmp_path):
    flags = ("--padding=16:2,32:6", "--dropout_scale=0.5", "--ema=0.99", "--recipe=cifar10/amoebanet_a/b+")
    config = settings_of(*flags, f"--output={tmp_path}")
    recipe = config.recipe
    assert (recipe.padding, recipe.dropout_scale, recipe.ema) == (BySize({16: 2, 32: 6}), 0.5, 0.99)
    assert recipe.by_size == {"padding": BySize({16: 2, 32: 6})}
    write_config(config, tmp_path / "run.json")
    assert settings_of(f"--config={tmp_path / 'run.json'}") == config


@pytest.mark.parametrize("text", ["wide", "16:2,32", "16=2"])
def test_a_padding_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"16:2,32:6|16:0\.1,32:0\.3"):
        settings_of(f"--padding={text}")


@pytest.mark.parametrize(
    ("flags", "regime"),
    [
        ([], Schedule.finish(Regime.preset("tiny/b+"))),
        (["--mode=d+"], Schedule.finish(Regime.preset("tiny/d+"))),
        (["--mode=baseline"], Regime.preset("tiny/baseline")),
        (["--finish=0"], Regime.preset("tiny/b+")),
        (["--finish=0.5"], Schedule.finish(Regime.preset("tiny/b+"), 0.5)),
        (["--regime=16x8x1:0.5,32x2x1:0.5"], Schedule.finish(Regime.parse("16x8x1:0.5,32x2x1:0.5"))),
        (["--regime=0.5*8x8x1:1; 0.5*16x2x1:1"], Schedule.parse("0.5*8x8x1:1; 0.5*16x2x1:1")),
    ],
)
def test_the_last_steps_of_a_recipe_are_at_the_base_unless_the_user_gives_the_stages(flags, regime):
    assert settings_of(*flags, dataset="glyphs").regime == regime


def test_a_finish_can_be_added_to_any_recipe():
    config = settings_of("--recipe=cifar10/resnet44/b+", "--finish=0.25")
    assert config.regime == Schedule.finish(Regime.preset("cifar/b+"), 0.25) and config.recipe.finish == 0.25
    with pytest.raises(ValueError, match="finish must be a share of the steps in"):
        settings_of("--recipe=cifar10/resnet44/b+", "--finish=1")


def test_shards_get_a_recipe_of_their_own(photos, tmp_path):
    sources.convert(sources.folder(photos), tmp_path / "shards" / "train")
    lines = []
    config = settings_of(dataset=str(tmp_path / "shards"), say=lines.append)
    assert config.recipe.family == "folder" and config.dataset == f"records:{tmp_path}/shards"
    assert config.name == f"shards/{config.recipe.network}/d+" and lines[0].startswith("chosen for shards: 40 training")
