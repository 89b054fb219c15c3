"""`mixsize export`: a run becomes an export with a cascade, of arrays and of files."""

import json

import pytest
from finished_run import write_photos, write_run

from keras_mixsize.cli import command, export
from keras_mixsize.serving import served_model as serving


def mixsize_export(*arguments):
    return command.run(export, ["mixsize export", *map(str, arguments)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    output = tmp_path_factory.mktemp("exported")
    options = ["--calibration_batches=1", "--cascade_examples=200", "--sizes=8,12"]
    assert mixsize_export(finished, f"--output={output}", *options) == 0
    return output


def test_a_run_is_exported_with_a_cascade_and_what_it_reaches_on_other_examples(exported):
    served = serving.load(exported)
    results = json.loads((exported / "export_1.json").read_text())
    assert served.sizes == (8, 12)
    assert results["cascade"]["fitted"] == served.manifest["cascade"]
    assert 0 <= results["cascade"]["share"] <= 1
    assert results["report"]["about"]["images"] == 1800


def test_an_export_has_sample_images_for_the_page(exported):
    names = [file.name for file in sorted((exported / "samples").iterdir())]
    assert len(names) == 10 and names[7] == "0007_Sneaker.png"


@pytest.mark.slow
def test_a_run_on_a_folder_is_exported_with_a_cascade_and_its_own_files_as_samples(tmp_path):
    photos = write_photos(tmp_path / "photos")
    run = write_run(tmp_path / "run", dataset=f"folder:{photos}", channels=3, classes=2)
    assert mixsize_export(run, f"--output={tmp_path / 'exported'}", "--calibration_batches=1") == 0
    served, results = serving.load(tmp_path / "exported"), json.loads((tmp_path / "exported/export_1.json").read_text())
    assert served.class_names == ("cat", "dog") and results["cascade"]["fitted"]["small"] == 8
    assert results["report"]["about"]["images"] == 6  # half of the test set, the other half fitted the cascade
    samples = [file.read_bytes() for file in (tmp_path / "exported/samples").iterdir()]
    tests = {file.read_bytes() for file in (photos / "test").rglob("*.*")}
    assert len(samples) == 2 and set(samples) <= tests
    assert served.predict_cascade(samples).probabilities.shape == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--convert=caffe"], "--convert must name some of onnx, litert, openvino, got caffe"),
        (["--sizes=12,big"], "sizes must be whole numbers of pixels"),
        (["--cascade_examples=2000"], r"cascade_examples must lie in [0, 2000), the test set, got 2000"),
        (["another"], "name one finished run"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(finished, tmp_path, capsys, arguments, message):
    assert mixsize_export(finished, f"--output={tmp_path / 'exported'}", *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1] and not (tmp_path / "exported").exists()


def test_a_version_that_is_there_is_refused_before_anything_is_measured(exported, finished, capsys):
    assert mixsize_export(finished, f"--output={exported}") == 2
    assert "holds version 1 already" in capsys.readouterr().err


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert mixsize_export(tmp_path) == 2
    assert f"{tmp_path}/results.json does not exist" in capsys.readouterr().err
