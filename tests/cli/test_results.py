"""What a run leaves, and what is noted beside every figure."""

import json
import re
import sys

import pytest
from finished_run import write_run

import keras_mixsize as kms
from keras_mixsize.cli import results


def test_the_settings_of_a_finished_run_are_read(tmp_path):
    config = results.load_run(write_run(tmp_path / "run", sizes=(8, 20)))
    assert config.sizes == (8, 20) and config.output == str(tmp_path / "run")


def test_a_folder_without_a_finished_run_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=re.escape(f"{tmp_path}/results.json does not exist; `mixsize train` writes")
    ):
        results.load_run(tmp_path)


def test_versions_say_what_a_figure_depends_on():
    versions = results.versions()
    assert versions["keras_mixsize"] == kms.__version__ and {"keras", "numpy", "python", "machine"} <= set(versions)


def test_the_command_is_what_the_user_typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/mixsize", "train", "photos"])
    assert results.command() == "mixsize train photos"


def test_a_file_is_replaced_whole(tmp_path):
    for text in ("{}", json.dumps({"é": 1})):
        results.replace_file(tmp_path / "figures.json", text)
        assert (tmp_path / "figures.json").read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["figures.json"]
