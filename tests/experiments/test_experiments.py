"""The scripts run, as a user starts them, and write what they promise."""

import csv
import json
import pathlib
import re

import pytest
from scripts import run_script

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A smoke run of train.py."""
    output = tmp_path_factory.mktemp("train")
    run_script("train.py", "--recipe=embedded/resnet8/b+", "--smoke", f"--output={output}", "--seed=3")
    return output


def test_a_run_writes_configuration_versions_fingerprint_and_results(finished):
    import keras_mixsize as kms

    results = json.loads((finished / "results.json").read_text())
    regime = kms.Regime.preset("small/b+")
    assert results["plan_fingerprint"] == kms.Plan(regime, num_examples=512, seed=3).fingerprint()
    assert results["config"]["seed"] == 3 and results["versions"]["keras"]
    assert results["steps"] == results["steps_per_epoch"] == regime.steps_per_epoch(512)
    assert "accuracy_16" in results["history"]
    assert [row["size"] for row in results["report"]["rows"]] == [16, 24]


def test_a_run_writes_a_picture_a_table_and_both_logs(finished):
    assert (finished / "report.png").read_bytes().startswith(b"\x89PNG")
    with (finished / "report.csv").open() as stream:
        assert [row["size"] for row in csv.DictReader(stream)] == ["16", "24"]
    assert "accuracy_32" in (finished / "log.csv").read_text()
    assert list((finished / "tensorboard").rglob("events*"))


def test_a_finished_run_that_is_started_again_trains_no_more(tmp_path):
    arguments = ["--smoke", "--resume", "--notensorboard", f"--output={tmp_path}", "--recipe=embedded/resnet8/baseline"]
    run_script("train.py", *arguments)
    first = json.loads((tmp_path / "results.json").read_text())
    log = (tmp_path / "log.csv").read_text()
    run_script("train.py", *arguments)
    second = json.loads((tmp_path / "results.json").read_text())
    assert second["steps"] == first["steps"] and (tmp_path / "log.csv").read_text() == log
    assert second["report"]["rows"][0]["accuracy"] == first["report"]["rows"][0]["accuracy"]


def test_evaluate_reads_a_run_at_other_sizes(finished, tmp_path):
    arguments = [f"--runs={finished}", "--sizes=12,20", "--calibration_batches=2", f"--output={tmp_path}"]
    run_script("evaluate.py", *arguments)
    reports = json.loads((tmp_path / "reports.json").read_text())
    assert [row["size"] for row in reports[0]["rows"]] == [12, 20]
    assert (tmp_path / "accuracy_by_size.png").exists()


def test_the_demo_runs_and_says_in_words_what_came_out(tmp_path):
    done = run_script("demo.py", "--smoke", f"--output={tmp_path}")
    facts = json.loads((tmp_path / "demo.json").read_text())
    assert [report["name"] for report in facts["reports"]] == ["baseline, 32 px", "B+", "D+"]
    assert "fewer steps than the baseline" in facts["words"][0] and facts["words"][0].split(":")[0] in done.stdout
    assert (tmp_path / "accuracy_by_size.png").exists()
    assert len((tmp_path / "accuracy_by_size.csv").read_text().splitlines()) == 1 + 3 * 2


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name, network, regime",
    [
        ("cifar10/resnet44/b+", "resnet8", "16x16x1:0.5,32x4x1:0.5"),
        ("cifar100/wrn28_10/d+", "resnet8", "16x8x2:0.5,32x4x1:0.5"),
        ("imagenet2012/resnet50/d+", "resnet8", "32x4x2:0.5,64x2x1:0.5"),
    ],
)
def test_recipes_train_on_tfds_data_as_train_py_loads_them(name, network, regime, monkeypatch, tmp_path):
    import dataclasses

    import tensorflow_datasets as tfds

    import keras_mixsize as kms

    monkeypatch.syspath_prepend(ROOT / "experiments")
    from keras_mixsize.cli.run import RunConfig, run

    recipe = kms.recipes.find(name)
    options = recipe.network_options if network == recipe.network else {}
    recipe = dataclasses.replace(recipe, network=network, network_options=options).lasting(1)
    options = {"regime": kms.Regime.parse(regime), "sizes": (32,), "calibration_batches": 1, "tensorboard": False}
    with tfds.testing.mock_data(num_examples=20):
        report = run(RunConfig(recipe=recipe, output=str(tmp_path), **options))
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["steps"] == options["regime"].steps_per_epoch(20) and results["config"]["dataset"] == recipe.dataset
    assert report.about["images"] == 20 and report.rows[0].loss > 0
    assert report.about["window"] == ("CenterCrop(share=0.875)" if "imagenet" in name else "WholeImage()")


@pytest.mark.slow
def test_skipped_images_are_listed_at_the_end(tmp_path):
    from pictures import write_image

    for split, count in (("train", 120), ("test", 12)):
        for number in range(count):
            write_image(tmp_path / split / f"class{number % 2}" / f"{number}.jpg", 32, 32, number)
    (tmp_path / "train/class0/4.jpg").write_bytes(b"no image")
    arguments = ["--recipe=embedded/resnet8/baseline", "--regime=16x16x1:0.5,24x8x1:0.5", "--sizes=16,24", "--epochs=1"]
    options = [f"--dataset=folder:{tmp_path}", f"--output={tmp_path / 'run'}", "--calibration_batches=1"]
    done = run_script("train.py", *arguments, *options, "--damage=skip", "--notensorboard")
    assert "1 of 120 images were skipped:" in done.stderr
    assert re.search(r"train/class0/4.jpg \(index \d+\) cannot be used: it is neither JPEG nor PNG", done.stderr)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--regime=32:0.5,24:0.4"], "probabilities must sum to 1"),
        (["--regime=cifra"], "did you mean 'cifar/d\\+'"),
        (["--recipe=embeded/resnet8/b+"], "did you mean 'embedded/resnet8/b\\+'"),
        (["--dataset=clipart"], "data_dir must be given for clipart"),
        (["--model=resnet9"], "resnet8"),
        (["--dataset=folder:/nowhere"], "does not exist"),
    ],
)
def test_bad_flags_are_refused_with_a_clear_message(arguments, message, tmp_path):
    done = run_script("train.py", "--smoke", f"--output={tmp_path}", *arguments, check=False)
    assert done.returncode != 0 and re.search(message, done.stderr)


def test_the_embedded_data_are_made_from_the_packages_files(tmp_path):
    import gzip

    import numpy as np

    rng = np.random.default_rng(0)
    for prefix in ("train", "t10k"):
        images = rng.integers(0, 256, (20, 28, 28)).astype(np.uint8)
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes([1, 0] * 10)))
    run_script("data/make_fashion_mnist.py", f"--source={tmp_path}", f"--target={tmp_path / 'subset.npz'}")
    with np.load(tmp_path / "subset.npz") as subset:
        np.testing.assert_array_equal(subset["test_images"], images)


def test_the_paper_table_shows_every_row_with_the_published_sizes():
    lines = run_script("paper_table.py").stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][2:]
    assert len(rows) == 7
    sizes = {row[0]: (float(row[2]), float(row[3].replace(",", ""))) for row in rows if row[1] != "cifar100"}
    published = {"resnet44": (0.66, 97), "wrn28_10": (36.5, 5200), "resnet50": (25.56, 4100)}  # millions
    for network, expected in published.items():
        assert sizes[network] == pytest.approx(expected, rel=0.02)
    assert rows[0][4] == "156 / 109 / 156" and rows[0][5].startswith("156 / ")
