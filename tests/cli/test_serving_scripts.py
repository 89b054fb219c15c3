"""The scripts that export a run and measure the export."""

import json

import pytest
from scripts import run_script

from keras_mixsize.serving import served_model as serving


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A smoke run of train.py."""
    output = tmp_path_factory.mktemp("train")
    run_script("train.py", "--recipe=embedded/resnet8/b+", "--smoke", f"--output={output}")
    return output


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    output = tmp_path_factory.mktemp("exported")
    options = ["--sizes=12,16", "--calibration_batches=2", "--cascade_examples=200"]
    run_script("export.py", f"--run={finished}", f"--output={output}", *options)
    return output


def test_a_run_is_exported_with_a_cascade_and_what_it_reaches_on_other_examples(exported):
    served = serving.load(exported)
    results = json.loads((exported / "export_1.json").read_text())
    assert served.sizes == (12, 16)
    assert results["cascade"]["fitted"] == served.manifest["cascade"]
    assert 0 <= results["cascade"]["share"] <= 1
    assert results["report"]["about"]["images"] == 1800


def test_an_unknown_engine_is_refused(finished, tmp_path):
    done = run_script("export.py", f"--run={finished}", f"--output={tmp_path}", "--convert=caffe", check=False)
    assert done.returncode and "caffe" in done.stderr + done.stdout


def test_the_benchmark_compares_with_kerass_export(finished, exported, tmp_path):
    options = ["--rounds=10", "--batches=1", "--cold_starts=1", f"--output={tmp_path / 'figures.json'}"]
    run_script("../benchmarks/serving.py", f"--run={finished}", f"--exported={exported}", *options)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [entry["size"] for entry in figures["sizes"]] == [12, 16]
    assert all(min(entry["ratio"]) > 0 for entry in figures["sizes"])
    assert set(figures["start"]) == {"cold", "warmed_up", "keras"}
    assert figures["bytes"]["ours"]["variables"] > figures["bytes"]["weights"]
    assert set(figures["cascade"]["accuracy"]) == {"cascade", "large"}


def test_cascades_are_drawn_into_the_reports_picture(finished, exported, tmp_path):
    run_script("../benchmarks/cascades.py", f"--run={finished}", f"--exported={exported}", f"--output={tmp_path / 'cascade.json'}")
    points = json.loads((tmp_path / "cascade.json").read_text())["cascades"]
    assert all(point["accuracy"]["low"] <= point["accuracy"]["value"] <= 1 for point in points)
    assert (tmp_path / "cascade.png").stat().st_size > 10_000


def test_an_export_has_sample_images_for_the_page(exported):
    names = [file.name for file in sorted((exported / "samples").iterdir())]
    assert len(names) == 10 and names[7] == "0007_Sneaker.png"
