"""Presets: what was saved comes back, and nothing else does."""

import json
import re
import shutil

import keras
import numpy as np
import pytest
from networks import compiled, tiny_network
from zoo import photos

import keras_mixsize as kms
from keras_mixsize import models
from keras_mixsize.models import pretrained

IMAGES = photos(12)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network, its statistics at 8 px, and the preset of both."""
    keras.utils.set_random_seed(0)
    network, folder = tiny_network(channels=3), tmp_path_factory.mktemp("presets") / "mine"
    statistics = 1 + np.random.default_rng(0).random(models.moving_statistics(network).shape, np.float32)
    models.save_preset(network, folder, statistics={8: statistics}, about={"data": "none"})
    return network, statistics, folder


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of the preset, to be damaged."""
    return shutil.copytree(saved[2], tmp_path / "copy")


def test_a_network_comes_back_as_it_was_saved(saved):
    network, _, folder = saved
    np.testing.assert_array_equal(models.from_preset(folder)(IMAGES), network(IMAGES))


def test_a_mixsize_model_comes_back_too(tmp_path):
    model = compiled(tiny_network(channels=3))
    models.save_preset(model, tmp_path)
    np.testing.assert_array_equal(models.from_preset(tmp_path)(IMAGES), model(IMAGES))


def test_a_network_without_batch_norm_has_no_statistics(tmp_path):
    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    models.save_preset(network, tmp_path, statistics={8: models.moving_statistics(network)})
    np.testing.assert_array_equal(models.from_preset(tmp_path, size=8)(IMAGES), network(IMAGES))


def test_at_a_size_batch_norm_has_the_statistics_of_that_size(saved):
    _, statistics, folder = saved
    layers = [layer for layer in models.from_preset(folder, size=8).layers if "batch_norm" in layer.name]
    np.testing.assert_array_equal(np.concatenate([layer.moving_mean for layer in layers]), statistics[0])
    np.testing.assert_array_equal(np.concatenate([layer.moving_variance for layer in layers]), statistics[1])


def test_without_its_weights_a_network_is_as_at_the_start(saved):
    network, _, folder = saved
    fresh = models.from_preset(folder, load_weights=False)
    assert [weight.shape for weight in fresh.weights] == [weight.shape for weight in network.weights]
    assert not np.array_equal(fresh(IMAGES), network(IMAGES))


def test_metadata_say_what_was_given_and_with_what_it_was_made(saved):
    metadata = json.loads((saved[2] / "metadata.json").read_text())
    assert metadata["data"] == "none" and metadata["keras_version"] == keras.__version__
    assert metadata["parameter_count"] == sum(np.prod(weight.shape) for weight in saved[0].weights)


def test_another_size_is_refused_with_those_there_are(saved):
    with pytest.raises(ValueError, match=r"size must be one that mine is calibrated for \(8\), got 9; .*calibrate"):
        models.from_preset(saved[2], size=9)


def test_statistics_of_another_network_are_refused(saved, tmp_path):
    with pytest.raises(ValueError, match=r"statistics\[8\] must be of this network, \(2, 32\), got shape \(2, 3\)"):
        models.save_preset(saved[0], tmp_path / "new", statistics={8: np.zeros((2, 3))})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name, hint", [("glyphs_resnet14_mixsise", "'glyphs_resnet14_mixsize'"), ("../x", None)])
def test_an_unknown_preset_is_refused_with_the_nearest(name, hint):
    with pytest.raises(
        ValueError, match="preset must be a folder .* or one of .*glyphs_resnet14_mixsize, got"
    ) as error:
        models.from_preset(name)
    assert ("did you mean" in str(error.value)) == (hint is not None) and (hint or "") in str(error.value)


DAMAGE = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "flipped": lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", pretrained.CHECKED)
def test_a_damaged_file_is_named(copy, file, damage):
    (copy / file).write_bytes(DAMAGE[damage]((copy / file).read_bytes()))
    with pytest.raises(
        ValueError, match=f"{file} is not the file that was saved, whose SHA-256 is [0-9a-f]{{64}}; get"
    ):
        models.from_preset(copy)


@pytest.mark.parametrize("file", pretrained.CHECKED)
def test_a_missing_file_is_named(copy, file):
    (copy / file).unlink()
    with pytest.raises(ValueError, match=f"{file} is not the file that was saved"):
        models.from_preset(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": {}}', '{"sha256": 3}', "\xff"])
def test_damaged_metadata_are_named(copy, text):
    (copy / "metadata.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"metadata.json is not what save_preset wrote \(.*\); get the preset again"):
        models.from_preset(copy)


TEST = {"glyphs": kms.sources.glyphs, "fashion4k": kms.sources.fashion_mnist}


def accuracy(name, size, every=1):
    """Return the accuracy of a preset on every `every`-th test image in the package."""
    about, network = models.presets()[name], models.from_preset(name, size=size)
    test = TEST[about["training"]["setting"]]("test")
    network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = test.images[::every], test.labels[::every]
    return kms.evaluate_sizes(network, images, [size], latency=False, progress=False).rows[0].accuracy.value


@pytest.mark.parametrize("name", models.presets())
def test_a_preset_in_the_package_is_about_as_good_as_its_card_says(name):
    every = {"glyphs": 7, "fashion4k": 1}[models.presets()[name]["training"]["setting"]]  # the 62 letters are in order
    assert accuracy(name, 8, every) == pytest.approx(models.presets()[name]["accuracy"]["8"], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 12, 16, 20, 24])
@pytest.mark.parametrize("name", [name for name in models.presets() if name.startswith("glyphs")])
def test_a_preset_is_as_good_as_its_card_says(name, size):
    expected = models.presets()[name]["accuracy"][str(size)]
    assert accuracy(name, size) == pytest.approx(expected, abs=3 / 9300)  # images on the edge between two classes


@pytest.mark.parametrize("name", models.presets())
def test_a_card_says_what_the_metadata_say(name):
    about = models.presets()[name]
    card = (pretrained._PACKAGE / name / "README.md").read_text()
    shown = re.findall(r"^\| (\d+) px \| ([\d.]+) %", card, re.MULTILINE)
    assert shown == [(size, f"{100 * value:.2f}") for size, value in about["accuracy"].items()]
    assert all(digest in card for digest in about["sha256"].values()) and about["data"] in card
    assert sum(path.stat().st_size for path in (pretrained._PACKAGE / name).iterdir()) < 1_000_000
