"""Which weights decay, on a real network of the zoo and on its training step."""

import keras
import numpy as np
import pytest
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.training.gradients import L2_FILTERS, decayed_weights


@pytest.fixture(scope="module")
def network():
    return kms.models.build("efficientnet_b0", classes=10)


def decayed_layers(network, l2_filter):
    """Return the kinds of layer that own a decayed weight, from the paths of the weights."""
    decayed = decayed_weights(network, l2_filter)
    weights = [weight for weight in network.trainable_weights if id(weight) in decayed]
    return {(weight.path.split("/")[-2].rstrip("_0123456789"), weight.path.split("/")[-1]) for weight in weights}


def test_kernels_are_neither_biases_nor_batch_norm(network):
    assert {name for _, name in decayed_layers(network, "kernels")} == {"kernel"}
    assert ("depthwise_conv2d", "kernel") in decayed_layers(network, "kernels")


def test_no_depthwise_leaves_out_only_the_depthwise_kernels(network):
    left_out = decayed_layers(network, "kernels") - decayed_layers(network, "no_depthwise")
    assert left_out == {("depthwise_conv2d", "kernel")}


def test_all_is_every_trainable_weight(network):
    assert len(decayed_weights(network, "all")) == len(network.trainable_weights)


@pytest.mark.parametrize("l2_filter", L2_FILTERS)
def test_a_step_without_gradient_shrinks_the_decayed_weights_alone(l2_filter):
    model = compiled(tiny_network(), l2=0.5, l2_filter=l2_filter, smoothing=None)
    model.compile(keras.optimizers.SGD(0.1), lambda labels, outputs: 0.0 * keras.ops.sum(outputs, -1))
    for weight in model.trainable_weights:
        weight.assign(np.ones(weight.shape))
    model.train_on_batch(np.zeros((4, 8, 8, 1), np.float32), np.zeros(4))
    decayed = decayed_weights(model.network, l2_filter)
    for weight in model.trainable_weights:
        np.testing.assert_allclose(weight, 0.95 if id(weight) in decayed else 1.0, rtol=1e-6, err_msg=weight.path)


def test_the_filter_is_saved_with_the_model(tmp_path):
    model = compiled(tiny_network(), l2=1e-4, l2_filter="all")
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").l2_filter == "all"


def test_an_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="l2_filter must be one of .* did you mean 'kernels'"):
        kms.MixSizeModel.from_model(tiny_network(), l2_filter="kernel")
