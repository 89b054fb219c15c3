"""`mixsize evaluate`: finished runs and model files at sizes of the user's choice."""

import json

import keras
import pytest
from finished_run import write_photos, write_run

import keras_mixsize as kms
from keras_mixsize.cli import command, evaluate


def mixsize_evaluate(*arguments):
    return command.run(evaluate, ["mixsize evaluate", *map(str, arguments)])


def test_two_runs_are_measured_at_another_size_and_written_side_by_side(tmp_path, capsys):
    runs = [write_run(tmp_path / "a", name="one"), write_run(tmp_path / "b", name="two")]
    options = ["--sizes=12", "--calibration_batches=1", f"--output={tmp_path / 'out'}"]
    assert mixsize_evaluate(runs[0], "--runs", runs[1], *options) == 0
    reports = json.loads((tmp_path / "out/reports.json").read_text())
    assert [report["name"] for report in reports] == ["one", "two"]
    assert (tmp_path / "out/accuracy_by_size.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr()
    assert printed.out.count("calibrated [95 %]") == 2
    assert "evaluating at 12 px, calibrated\n" in printed.err
    (row,) = reports[0]["rows"]
    model, test = keras.saving.load_model(runs[0] / "model.keras"), kms.sources.fashion_mnist("test")
    answers = model.predict(kms.images.resize(test.images, 12), verbose=0).argmax(-1)
    assert row["accuracy"]["value"] == pytest.approx((answers == test.labels).mean(), abs=2e-3)
    assert row["size"] == 12 and row["calibrated"]["value"] != row["accuracy"]["value"]


def test_a_model_file_is_measured_on_a_folder(tmp_path):
    photos, run = write_photos(tmp_path / "photos"), write_run(tmp_path / "run", channels=3, classes=2)
    options = [f"--dataset={photos}", "--sizes=8", "--calibration_batches=0", f"--output={tmp_path / 'out'}"]
    assert mixsize_evaluate(f"--model={run / 'model.keras'}", *options) == 0
    report = json.loads((tmp_path / "out/reports.json").read_text())[0]
    assert report["name"] == "model on photos" and report["about"]["images"] == 12
    assert report["rows"][0]["calibrated"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the folders of finished runs"),
        (["nowhere"], "nowhere/results.json does not exist; `mixsize train` writes it"),
        (["nowhere", "--model=x.keras"], "name the folders of finished runs"),
        (["--model=x.keras"], "--model needs --dataset and --sizes"),
        (["--model=x.keras", "--dataset=photos", "--sizes=8"], "there is no model file x.keras"),
        (["nowhere", "--size=8"], "did you mean --sizes?"),
    ],
)
def test_mistakes_are_answered_in_a_line(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert mixsize_evaluate(*arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
