"""What tests of several networks share: images, counts of parameters, and equality with another network."""

import keras
import numpy as np


def photos(size, count=1):
    """Return images `[count, size, size, 3]` of random pixels."""
    return np.random.default_rng(size).random((count, size, size, 3)).astype("float32")


def trainable(model):
    """Return how many numbers are trained; batch-norm statistics, which papers leave out, are not."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


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
