"""A run trains, and leaves what it promises; the smoke run is trained once for all of these tests."""

import csv
import dataclasses
import json
import re

import pytest
from pictures import write_image

import keras_mixsize as kms
from keras_mixsize.cli import command, downloads, run, train
from keras_mixsize.cli.config import RunConfig, read_config
from keras_mixsize.cli.results import load_run

REGIME = "16x64:0.5,24x32:0.5"  # each bucket takes seconds to compile


def mixsize_train(*arguments):
    return command.run(train, ["mixsize train", *map(str, arguments)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a smoke run."""
    output = tmp_path_factory.mktemp("runs") / "smoke"
    flags = ["--recipe=embedded/resnet8/b+", f"--regime={REGIME}", "--smoke", "--seed=3", "--resume"]
    assert mixsize_train(*flags, f"--output={output}") == 0
    return output


def test_it_leaves_configuration_versions_fingerprint_and_results(finished):
    results = json.loads((finished / "results.json").read_text())
    regime = kms.Regime.parse(REGIME)
    assert results["plan_fingerprint"] == kms.Plan(regime, num_examples=512, seed=3).fingerprint()
    assert results["config"]["seed"] == 3 and results["versions"]["keras"]
    assert results["steps"] == results["steps_per_epoch"] == regime.steps_per_epoch(512)
    assert "accuracy_16" in results["history"] and results["damaged"] == []
    warmed = {(each["size"], each["batch"]) for each in results["warm_up"] if each["step_seconds"] > 0}
    assert warmed == {(16, 64), (24, 32)} and len(results["epoch_seconds"]) == 1
    assert {file.name for file in (finished / "examples").iterdir()} == {"16x64x1.png", "24x32x1.png"}
    assert [row["size"] for row in results["report"]["rows"]] == [16, 24]


def test_its_file_holds_its_settings(finished):
    config = read_config(finished / "run.json")
    assert config == load_run(finished) and config.recipe == kms.recipes.find("embedded/resnet8/b+").lasting(1)


def test_it_leaves_a_picture_a_table_and_both_logs(finished):
    assert (finished / "report.png").read_bytes().startswith(b"\x89PNG")
    with (finished / "report.csv").open() as stream:
        assert [row["size"] for row in csv.DictReader(stream)] == ["16", "24"]
    assert "accuracy_24" in (finished / "log.csv").read_text()
    assert list((finished / "tensorboard").rglob("events*"))


def test_its_file_alone_repeats_it_from_the_start(finished, tmp_path):
    options = ["--noresume", "--notensorboard", f"--output={tmp_path / 'again'}"]
    assert mixsize_train(f"--config={finished / 'run.json'}", *options) == 0
    first, second = (json.loads((run / "results.json").read_text()) for run in (finished, tmp_path / "again"))
    assert second["history"]["loss"] == pytest.approx(first["history"]["loss"], rel=1e-3)
    assert second["plan_fingerprint"] == first["plan_fingerprint"]


def test_a_finished_run_that_is_started_again_by_its_file_trains_no_more(finished):
    first, log = json.loads((finished / "results.json").read_text()), (finished / "log.csv").read_text()
    assert mixsize_train(f"--config={finished / 'run.json'}") == 0
    second = json.loads((finished / "results.json").read_text())
    assert second["steps"] == first["steps"] and (finished / "log.csv").read_text() == log
    assert second["report"]["rows"][0]["accuracy"] == first["report"]["rows"][0]["accuracy"]


def test_a_folder_of_photographs_is_trained_on_under_its_own_name(tmp_path, monkeypatch, capsys):
    for number in range(60):
        write_image(tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.jpg", 60, 70, number)
    monkeypatch.chdir(tmp_path)
    flags = ["--epochs=1", "--model=resnet8", "--regime=16x8:1", "--sizes=16", "--calibration_batches=1"]
    assert mixsize_train("photos", *flags, "--notensorboard") == 0
    printed = capsys.readouterr().out
    output = tmp_path / "runs/photos_resnet8_d+"
    results = json.loads((output / "results.json").read_text())
    assert (
        results["report"]["name"] == "photos/resnet8/d+" and results["config"]["dataset"] == f"folder:{tmp_path}/photos"
    )
    held_out = results["report"]["about"]["images"]
    assert f"data: photos, {60 - held_out} images to train on, {held_out} images to test on" in printed
    assert printed.index("chosen for photos") < printed.index("compiled in")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name, network, regime",
    [
        pytest.param("cifar10/resnet44/b+", "resnet8", "16x16x1:0.5,32x4x1:0.5", marks=pytest.mark.slow),
        pytest.param("cifar100/wrn28_10/d+", "resnet8", "16x8x2:0.5,32x4x1:0.5", marks=pytest.mark.slow),
        pytest.param("imagenet2012/resnet50/d+", "resnet8", "32x4x2:1", marks=pytest.mark.slow),
    ],
)
def test_recipes_train_on_tfds_data_as_they_are_loaded(name, network, regime, monkeypatch, tmp_path):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(downloads, "can_connect", lambda host: True)
    recipe = kms.recipes.find(name)
    options = recipe.network_options if network == recipe.network else {}
    recipe = dataclasses.replace(recipe, network=network, network_options=options).lasting(1)
    options = {"regime": kms.Regime.parse(regime), "sizes": (32,), "calibration_batches": 1, "tensorboard": False}
    with tfds.testing.mock_data(num_examples=20):
        report = run.run(RunConfig(recipe=recipe, output=str(tmp_path), **options))
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["steps"] == options["regime"].steps_per_epoch(20) and results["config"]["dataset"] == recipe.dataset
    assert report.about["images"] == 20 and report.rows[0].loss > 0
    assert report.about["window"] == ("CenterCrop(share=0.875)" if "imagenet" in name else "WholeImage()")


@pytest.mark.slow
def test_skipped_images_are_listed_at_the_end(tmp_path, caplog):
    for split, count in (("train", 120), ("test", 12)):
        for number in range(count):
            write_image(tmp_path / "data" / split / f"class{number % 2}" / f"{number}.jpg", 32, 32, number)
    (tmp_path / "data/train/class0/4.jpg").write_bytes(b"no image")
    arguments = ["--recipe=embedded/resnet8/baseline", "--regime=16x16x1:0.5,24x8x1:0.5", "--sizes=16", "--epochs=1"]
    options = [f"--output={tmp_path / 'run'}", "--calibration_batches=1", "--damage=skip", "--notensorboard"]
    assert mixsize_train(tmp_path / "data", *arguments, *options) == 0
    assert "1 of 120 images were skipped:" in caplog.text
    assert re.search(r"train/class0/4.jpg \(index \d+\) cannot be used: it is neither JPEG", caplog.text)


def test_without_tensorboard_its_logs_are_refused_before_anything_takes_time(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "has_tensorboard", lambda: False)
    with pytest.raises(ValueError, match="TensorBoard logs need the package tensorboard"):
        run.run(RunConfig(kms.recipes.find("embedded/resnet8/b+"), str(tmp_path)))


def test_the_first_examples_of_arrays_stand_for_all(fashion, small_files):
    assert run.first_examples(fashion, 7).num_examples == 7
    assert run.first_examples(fashion, None) is fashion and run.first_examples(small_files, 7) is small_files


def test_a_file_gets_a_line_an_epoch_and_a_later_worker_nothing():
    assert run.verbosity() == 2
    assert run.verbosity(type("Workers", (), {"is_chief": False})) == 0
