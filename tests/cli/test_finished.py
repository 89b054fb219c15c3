"""What a run's folder or a model file comes with."""

import pytest
from finished_run import write_photos, write_run

import keras_mixsize as kms
from keras_mixsize.cli import finished
from keras_mixsize.images import WholeImage


def test_a_run_comes_with_its_data_and_settings(tmp_path):
    run = finished.of_run(write_run(tmp_path, sizes=(12, 8)))
    assert (run.name, run.sizes, run.window) == ("tiny", (12, 8), WholeImage())
    assert run.train.source.num_examples == 128 and run.test.num_examples == 2000


def test_a_run_on_a_folder_comes_with_its_test_folder(tmp_path):
    photos = write_photos(tmp_path / "photos")
    run = finished.of_run(write_run(tmp_path / "run", dataset=f"folder:{photos}", channels=3, classes=2))
    assert run.test.num_examples == 12 and run.test.class_names == ("cat", "dog")


def test_a_test_set_may_be_missing(tmp_path):
    photos = write_photos(tmp_path / "photos")
    kms.sources.convert(kms.sources.folder(photos / "train"), tmp_path / "shards/train")
    run = finished.of_run(write_run(tmp_path / "run", dataset=f"records:{tmp_path / 'shards'}", channels=3, classes=2))
    assert run.test is None and run.train.source.num_examples == 16
    with pytest.raises(ValueError, match="tiny has no test data; put a folder `test` beside its training data"):
        finished.measure(run, 1)


def test_a_run_without_its_network_or_data_is_named(tmp_path):
    folder = write_run(tmp_path / "run", dataset="folder:/nowhere")
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        finished.of_run(folder)
    (write_run(tmp_path / "other") / "model.keras").unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no model file {tmp_path}/other/model.keras"):
        finished.of_run(tmp_path / "other")
