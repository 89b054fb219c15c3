"""What holds for every network: any image size, its stride, saving; and networks by name."""

import functools

import keras
import numpy as np
import pytest
from networks import tiny_network
from zoo import photos

from keras_mixsize import models, presets
from keras_mixsize.training import complexity

SMALL_SIZES = (4, 31, *presets.FAMILIES["cifar"].sizes)
LARGE_SIZES = (32, 45, *sorted({*presets.FAMILIES["imagenet144"].sizes, *presets.FAMILIES["imagenet224"].sizes}))
NETWORKS = {  # the network with few layers and filters where depth and width do not matter for its sizes; sizes; stride
    "cifar_resnet": (functools.partial(models.cifar_resnet, 8), SMALL_SIZES, 4),
    "wide_resnet": (functools.partial(models.wide_resnet, 10, 1), SMALL_SIZES, 4),
    "amoebanet_a": (functools.partial(models.amoebanet_a, cells=1, filters=4), SMALL_SIZES, 4),
    "resnet50": (models.resnet50, LARGE_SIZES, 32),
    "efficientnet_b0": (models.efficientnet_b0, LARGE_SIZES, 32),
}


@functools.cache
def network(name):
    """Return a network of the zoo with three classes."""
    return NETWORKS[name][0](classes=3)


@pytest.mark.parametrize("name, size", [(name, size) for name, (_, sizes, _) in NETWORKS.items() for size in sizes])
def test_outputs_are_finite_logits_at_every_size(name, size):
    for logits in keras.tree.flatten(network(name)(photos(size))):
        assert logits.shape == (1, 3) and logits.dtype == "float32" and np.isfinite(logits).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_stride_is_the_documented_one(name):
    assert complexity.model_stride(network(name)) == NETWORKS[name][2]


def test_networks_by_name_save_and_load(tmp_path):
    for name in models.names()[:2]:
        model = models.build(name, classes=4, channels=1)
        model.save(tmp_path / "model.keras")
        image = np.ones((1, 16, 16, 1), "float32")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(loaded(image), model(image), atol=1e-6)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="one of resnet8, .*got 'resnet444'; did you mean 'resnet44'"):
        models.build("resnet444", classes=10)


def test_a_normalised_network_sees_images_less_their_mean():
    plain = tiny_network(channels=3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    network = models.normalized(plain, mean, std)
    images = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    np.testing.assert_allclose(network(images), plain((images - mean) / np.array(std)), rtol=1e-3, atol=1e-5)


def test_means_for_other_channels_are_refused():
    with pytest.raises(ValueError, match="mean and std must have the images' 1 channels"):
        models.build("resnet8", classes=10, channels=1, mean=(0.4, 0.4, 0.4), std=(0.2, 0.2, 0.2))
