"""Wide residual networks: published sizes, clear errors."""

import pytest
from zoo import trainable

from keras_mixsize import models
from keras_mixsize.training import complexity


def wide_resnet_multiply_adds(blocks, widen, size, classes):
    """Return the sum over the layer table, arXiv 1605.07146, table 1, with projections where the width changes."""
    total, channels = 27 * 16 * size**2, 16
    for stage in range(3):
        filters, pixels = 16 * widen * 2**stage, (size // 2**stage) ** 2
        total += pixels * filters * (channels + 9 * channels + 9 * filters * (2 * blocks - 1))
        channels = filters
    return total + channels * classes


def test_wide_resnet_has_the_published_size():
    # arXiv 1605.07146, table 4: 36.5 M parameters
    model = models.build("wrn28_10", classes=10)
    assert round(trainable(model) / 1e6, 1) == 36.5
    assert complexity.multiply_adds(model, 32) == wide_resnet_multiply_adds(4, 10, 32, 10)
    assert round(complexity.multiply_adds(model, 32) / 1e9, 1) == 5.2


@pytest.mark.parametrize("depth, widen, millions", [(40, 1, 0.6), (40, 4, 8.9), (16, 8, 11.0)])
def test_wide_resnets_of_other_widths_have_the_published_parameters(depth, widen, millions):
    # arXiv 1605.07146, tables 4 and 5
    assert round(trainable(models.wide_resnet(depth, widen, classes=10)) / 1e6, 1) == millions


@pytest.mark.parametrize(
    "options, message",
    [
        ({"depth": 27}, r"depth must be 6n \+ 4 \(10, 16, .*got 27"),
        ({"widen": 0}, "widen must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be .* in \[0, 1\), got 1.0; 0 turns it off"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.wide_resnet(classes=2, **options)
