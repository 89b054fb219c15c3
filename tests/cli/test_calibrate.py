"""`mixsize calibrate`: the file that it writes has the statistics of the size."""

import re

import keras
import numpy as np
import pytest
from finished_run import write_run

import keras_mixsize as kms
from keras_mixsize.cli import calibrate, command, finished
from keras_mixsize.evaluation.statistics import Statistics, get_statistics


def mixsize_calibrate(*arguments):
    return command.run(calibrate, ["mixsize calibrate", *map(str, arguments)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


def test_the_file_has_the_statistics_of_the_size_and_the_runs_weights(run, tmp_path, capsys):
    output = tmp_path / "new/model_12.keras"
    assert mixsize_calibrate(run, "--size=12", "--batches=2", f"--output={output}") == 0
    expected = finished.of_run(run)
    kms.calibrate(expected.model, expected.train, 12, batches=2)
    written = keras.saving.load_model(output)
    for new, old in zip(written.weights, expected.model.weights, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)
    printed = capsys.readouterr().out
    assert re.search(r"accuracy at 12 px: .*% .* before, .*% .* after", printed)
    assert "statistics of 32 channels in 2 layers moved: means by" in printed
    assert [file.name for file in output.parent.iterdir()] == ["model_12.keras"]


def test_unless_said_it_lies_in_the_run(run, monkeypatch):
    monkeypatch.setattr(calibrate, "accuracy", lambda run, when: 0.5)
    assert mixsize_calibrate(run, "--size=8", "--batches=1") == 0
    assert get_statistics(keras.saving.load_model(run / "model_8.keras"))


def test_how_far_statistics_moved_is_in_standard_deviations_and_factors():
    old = [Statistics(np.zeros(3, np.float32), np.full(3, 4.0, np.float32))]
    new = [Statistics(np.full(3, -1.0, np.float32), np.full(3, 1.0, np.float32))]
    text = calibrate.moved(old, new)
    assert "means by 0.50 standard deviations" in text and "variances by a factor of 4.00" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size=8"], "name one finished run and a --size"),
        (["run"], "name one finished run and a --size"),
        (["run", "--size=8", "--output=model.h5"], "--output must have the suffix .keras, got model.h5"),
        (["nowhere", "--size=8"], "nowhere/results.json does not exist"),
    ],
)
def test_mistakes_are_answered_in_a_line(arguments, message, capsys):
    assert mixsize_calibrate(*arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
