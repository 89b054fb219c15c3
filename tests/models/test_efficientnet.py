"""EfficientNet-B0: published size, equality with keras.applications, stochastic depth, clear errors."""

import functools

import keras
import pytest
from zoo import assert_same, features, layer_pairs, photos, randomise, trainable

from keras_mixsize import models
from keras_mixsize.models.drop_path import DropPath
from keras_mixsize.training import complexity


@functools.cache
def network():
    return models.efficientnet_b0(classes=2, dropout=0.0)


def test_efficientnet_b0_has_the_published_size():
    # arXiv 1905.11946, table 2: 5.3 M parameters, 0.39 G multiply-adds at 224 px
    model = models.efficientnet_b0(classes=1000)
    assert round(trainable(model) / 1e6, 1) == 5.3
    assert round(complexity.multiply_adds(model, 224) / 1e9, 2) == 0.39


@pytest.mark.parametrize("size", [64, 75])
def test_efficientnet_b0_equals_keras_applications(size):
    # theirs scales pixels of 0 to 255 itself, and pads odd maps as "same" does only when it knows the size
    keras.utils.set_random_seed(0)
    theirs = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )
    randomise(theirs)
    ours = network()
    for kind in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization):
        for mine, other in layer_pairs(ours, theirs, kind):
            mine.set_weights(other.get_weights())
    assert_same(features(ours)(photos(size, 2)), theirs(255 * photos(size, 2)))


def test_stochastic_depth_grows_linearly_over_the_blocks():
    rates = [layer.rate for layer in network().layers if isinstance(layer, DropPath)]
    first_blocks = (0, 1, 3, 5, 8, 11, 15)  # no residual branch: they change the number of channels
    assert rates == pytest.approx([0.2 * block / 16 for block in range(16) if block not in first_blocks])


def test_a_rate_out_of_range_is_refused():
    with pytest.raises(ValueError, match="drop_path must be .* got -0.1"):
        models.efficientnet_b0(classes=2, drop_path=-0.1)
