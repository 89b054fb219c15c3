"""The zoo's larger networks: published sizes, equality with keras.applications, every image size, stochastic depth."""

import functools

import keras
import numpy as np
import pytest

from keras_mixsize import models, presets
from keras_mixsize.models.drop_path import DropPath
from keras_mixsize.training import complexity

SMALL_SIZES = (4, 31, *presets.FAMILIES["cifar"].sizes)
LARGE_SIZES = (32, 45, *sorted({*presets.FAMILIES["imagenet144"].sizes, *presets.FAMILIES["imagenet224"].sizes}))
SIZES = {"wrn28_10": SMALL_SIZES, "amoebanet_a": SMALL_SIZES, "resnet50": LARGE_SIZES, "efficientnet_b0": LARGE_SIZES}


@functools.cache
def network(name):
    """Return a network of the zoo with three classes."""
    return models.build(name, classes=3)


def photos(size, count=1):
    """Return images `[count, size, size, 3]` of random pixels."""
    return np.random.default_rng(size).random((count, size, size, 3)).astype("float32")


def trainable(model):
    """Return how many numbers are trained; batch-norm statistics, which papers leave out, are not."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# Published sizes


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


def test_resnet50_has_the_published_size():
    # parameters and 4.1 G: torchvision's table for its ResNet-50, which has the stride in the 3x3 convolution, too;
    # 3.8 G: arXiv 1512.03385, table 1, where it is in the 1x1; 3.86 before they cut it
    model = models.resnet50(classes=1000)
    assert trainable(model) == 25_557_032
    assert round(complexity.multiply_adds(model, 224) / 1e9, 1) == 4.1
    assert complexity.multiply_adds(models.resnet50(classes=1000, stride_in="1x1"), 224) / 1e9 == pytest.approx(
        3.8, rel=0.02
    )


def test_efficientnet_b0_has_the_published_size():
    # arXiv 1905.11946, table 2: 5.3 M parameters, 0.39 G multiply-adds at 224 px
    model = models.efficientnet_b0(classes=1000)
    assert round(trainable(model) / 1e6, 1) == 5.3
    assert round(complexity.multiply_adds(model, 224) / 1e9, 2) == 0.39


@pytest.mark.parametrize("filters, millions", [(32, 2.6), (36, 3.2)])
def test_amoebanet_has_the_published_parameters(filters, millions):
    # arXiv 1802.01548, table 1: AmoebaNet-A (N=6, F=32) 2.6 M and (N=6, F=36) 3.2 M
    model = models.amoebanet_a(classes=10, filters=filters, auxiliary=False)
    assert round(trainable(model) / 1e6, 1) == millions


# Equality with keras.applications


def randomise(model):
    """Give every bias, gamma, beta and statistic a value that changes the output."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name == "gamma":
            weight.assign(rng.uniform(0.7, 1.5, weight.shape))  # less would drown the image, more amplify rounding
        elif weight.name == "moving_variance":
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(rng.normal(0, 0.1, weight.shape))


def layer_pairs(ours, theirs, kind):
    """Return the layers of one kind of both networks, in the order of the graph."""
    return zip(*([layer for layer in model.layers if type(layer) is kind] for model in (ours, theirs)), strict=True)


def features(model):
    """Return the network up to the average over the map."""
    return keras.Model(model.input, model.layers[-1].input)


def assert_same(ours, theirs):
    """Hold that two outputs are equal but for rounding, and that they do depend on the image."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert np.abs(theirs[0] - theirs[1]).max() > 1e-3 * np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, atol=5e-6 * np.abs(theirs).max(), rtol=0)


def test_resnet50_equals_keras_applications():
    # theirs differs in three ways: strides in the first 1x1 convolution of a block (our option), biases in front of batch
    # norm (which only shift its mean) and epsilon 1.001e-5 (which adds to its variance)
    keras.utils.set_random_seed(0)
    theirs = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3), pooling="avg")
    randomise(theirs)
    ours = models.resnet50(classes=2, stride_in="1x1")
    biases = []
    for mine, other in layer_pairs(ours, theirs, keras.layers.Conv2D):
        kernel, *bias = other.get_weights()
        mine.set_weights([kernel])
        biases.append(bias[0] if bias else 0.0)
    for (mine, other), bias in zip(layer_pairs(ours, theirs, keras.layers.BatchNormalization), biases, strict=True):
        gamma, beta, mean, variance = other.get_weights()
        mine.set_weights([gamma, beta, mean - bias, variance + (other.epsilon - mine.epsilon)])
    for size in (64, 75, 96):
        assert_same(features(ours)(photos(size, 2)), theirs(photos(size, 2)))


@pytest.mark.parametrize("size", [64, 75, 96])
def test_efficientnet_b0_equals_keras_applications(size):
    # theirs scales pixels of 0 to 255 itself, and pads odd maps as "same" does only when it knows the size
    keras.utils.set_random_seed(0)
    theirs = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )
    randomise(theirs)
    ours = models.efficientnet_b0(classes=2, dropout=0.0)
    for kind in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization):
        for mine, other in layer_pairs(ours, theirs, kind):
            mine.set_weights(other.get_weights())
    assert_same(features(ours)(photos(size, 2)), theirs(255 * photos(size, 2)))


# Every network


@pytest.mark.parametrize("name, size", [(name, size) for name, sizes in SIZES.items() for size in sizes])
def test_outputs_are_finite_logits_at_every_size(name, size):
    for logits in keras.tree.flatten(network(name)(photos(size))):
        assert logits.shape == (1, 3) and logits.dtype == "float32" and np.isfinite(logits).all()


@pytest.mark.parametrize(
    "name, stride", [("wrn28_10", 4), ("amoebanet_a", 4), ("resnet50", 32), ("efficientnet_b0", 32)]
)
def test_stride_is_the_documented_one(name, stride):
    assert complexity.model_stride(network(name)) == stride


def test_zero_gamma_makes_every_bottleneck_start_as_the_identity():
    zeros = [np.all(layer.gamma == 0) for layer in network("resnet50").layers if hasattr(layer, "gamma")]
    assert sum(zeros) == 16
    plain = models.resnet50(classes=2, zero_gamma=False)
    assert not any(np.any(layer.gamma == 0) for layer in plain.layers if hasattr(layer, "gamma"))


def test_auxiliary_classifier_is_a_second_output_and_every_weight_gets_a_gradient():
    import tensorflow as tf

    model = models.amoebanet_a(classes=3, cells=1, filters=8, drop_path=0.0)
    with tf.GradientTape() as tape:
        logits, auxiliary_logits = model(photos(16, 4), training=True)
        loss = tf.reduce_sum(logits**2) + tf.reduce_sum(auxiliary_logits**2)
    assert logits.shape == auxiliary_logits.shape == (4, 3)
    assert all(gradient is not None for gradient in tape.gradient(loss, model.trainable_weights))


def test_network_without_the_auxiliary_output_shares_its_weights():
    model = models.amoebanet_a(classes=3, cells=1, filters=4)
    single = keras.Model(model.input, model.outputs[0])
    np.testing.assert_array_equal(single(photos(16)), model(photos(16))[0])
    plain = models.amoebanet_a(classes=3, cells=1, filters=4, auxiliary=False)
    assert trainable(single) == trainable(plain) < trainable(model)


@pytest.mark.parametrize("size", [6, 7])
def test_older_maps_are_halved_by_even_and_by_odd_pixels(size):
    from keras_mixsize.models.amoebanet import _halve

    inputs = keras.Input((None, None, 4))
    model = keras.Model(inputs, _halve(inputs, 6))
    image = np.random.default_rng(0).normal(size=(1, size, size, 4)).astype("float32")
    even, odd = (layer.kernel.numpy()[0, 0] for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    positive = np.maximum(image, 0)
    shifted = np.pad(positive[:, 1:, 1:], [(0, 0), (0, 1), (0, 1), (0, 0)])
    expected = np.concatenate([positive[:, ::2, ::2] @ even, shifted[:, ::2, ::2] @ odd], axis=-1)
    np.testing.assert_allclose(model(image), expected, atol=1e-4)  # batch norm divides by sqrt(1 + 1e-5)


# Stochastic depth


def test_drop_path_drops_whole_examples_and_keeps_the_expectation():
    maps = np.ones((4000, 2, 2, 3), "float32")
    dropped = np.asarray(DropPath(0.25, seed=1)(maps, training=True))
    per_example = dropped[:, 0, 0, 0]
    np.testing.assert_array_equal(dropped, np.broadcast_to(per_example[:, None, None, None], dropped.shape))
    np.testing.assert_allclose(np.unique(per_example), [0, 1 / 0.75], rtol=1e-6)
    assert per_example.mean() == pytest.approx(1, abs=4 * np.sqrt(0.25 / 0.75 / 4000))


def test_drop_path_is_off_at_inference():
    maps = photos(4, 8)
    np.testing.assert_array_equal(DropPath(0.9)(maps, training=False), maps)


def test_drop_path_grows_linearly_over_the_network():
    rates = [layer.rate for layer in network("efficientnet_b0").layers if isinstance(layer, DropPath)]
    first_blocks = (0, 1, 3, 5, 8, 11, 15)  # no residual branch: they change the number of channels
    assert rates == pytest.approx([0.2 * block / 16 for block in range(16) if block not in first_blocks])
    model = models.amoebanet_a(classes=3, cells=1, filters=4, drop_path=0.5)
    rates = sorted({layer.rate for layer in model.layers if isinstance(layer, DropPath)})
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_network_with_drop_path_saves_and_loads(tmp_path):
    model = models.amoebanet_a(classes=3, cells=1, filters=4, drop_path=0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(photos(16))[0], model(photos(16))[0], atol=1e-6)
    rates = [[layer.rate for layer in one.layers if isinstance(layer, DropPath)] for one in (model, loaded)]
    assert rates[0] == rates[1] and rates[0]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: models.wide_resnet(27, 10, classes=2), r"depth must be 6n \+ 4 \(10, 16, .*got 27"),
        (lambda: models.wide_resnet(28, 0, classes=2), "widen must be at least 1, got 0"),
        (
            lambda: models.wide_resnet(classes=2, dropout=1.0),
            r"dropout must be .* in \[0, 1\), got 1.0; 0 turns it off",
        ),
        (lambda: models.resnet50(classes=2, stride_in="7x7"), "stride_in must be one of .*3x3.*1x1.*got '7x7'"),
        (lambda: models.efficientnet_b0(classes=2, drop_path=-0.1), "drop_path must be .* got -0.1"),
        (lambda: models.amoebanet_a(classes=2, cells=0), "cells must be at least 1 .*got 0"),
        (lambda: models.amoebanet_a(classes=2, filters=34), "filters must be a multiple of 4, got 34; .*36"),
        (lambda: models.amoebanet_a(classes=2, drop_path=2), "drop_path must be .* got 2"),
        (lambda: DropPath(1.0), "rate must be .* got 1.0"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
