"""Accumulated gradients are those of the whole batch, in the memory of a part."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.training.gradients import in_parts


def plain_network():
    """Return a network without batch norm, whose rows do not see each other."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x)), name="plain")


def test_parts_give_the_mean_gradient_and_all_predictions():
    rows = tf.reshape(tf.range(12.0), [6, 2])

    def function(x, missing):
        assert missing is None
        return [tf.reduce_mean(x, axis=0), None], tf.reduce_mean(x), {"twice": 2 * x}

    for call in (in_parts, tf.function(in_parts)):
        gradients, loss, predictions = call(function, (rows, None), 3)
        np.testing.assert_allclose(gradients[0], [5.0, 6.0])
        assert gradients[1] is None and float(loss) == 5.5
        np.testing.assert_array_equal(predictions["twice"], 2 * rows)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_in_parts_gives_the_same_weights_and_logs(train, jit_compile):
    weights, logs = [], []
    for parts in (1, 4):
        model = compiled(plain_network(), accumulate=parts, l2=1e-3)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, ["accuracy"], jit_compile=jit_compile)
        history = model.fit(train, epochs=1, steps_per_epoch=6, verbose=0).history
        weights.append([weight.numpy() for weight in model.trainable_weights])
        logs.append({name: values[0] for name, values in history.items()})
        assert model.trace_count <= len(train.plan.regime.buckets)
    for one, other in zip(*weights):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)


@pytest.mark.slow
def test_an_auxiliary_head_is_trained_in_parts_too(train):
    network = kms.models.amoebanet_a(classes=10, channels=1, cells=1, filters=4)
    recipe = kms.recipes.find("cifar10/amoebanet_a/b+")
    model = kms.recipes.compile_model(network, recipe, train, accumulate=2)
    assert np.isfinite(model.fit(train, epochs=1, steps_per_epoch=2, verbose=0).history["loss"]).all()


PROBE = """
import sys, keras_mixsize as kms
from networks import compiled
network = kms.models.build("resnet14", classes=10, channels=1)
model = compiled(network, accumulate=int(sys.argv[1]))
print(model.warm_up(kms.Regime.fixed(64, 256))[0].peak_bytes)
"""


@pytest.mark.slow
def test_parts_need_less_memory():
    def peak(parts):
        done = subprocess.run([sys.executable, "-c", PROBE, str(parts)], capture_output=True, text=True, cwd="tests")
        return int(done.stdout.split()[-1])

    assert peak(8) < 0.6 * peak(1)


def test_parts_that_do_not_divide_a_bucket_are_refused(train):
    with pytest.raises(ValueError, match="accumulate must divide the 8 images of a replica at size 32, got 3"):
        compiled(tiny_network(), accumulate=3).check(
            kms.MixSizeDataset.from_source(train.source, regime=kms.Regime.fixed(32, 8))
        )


def test_no_parts_at_all_are_refused():
    with pytest.raises(ValueError, match="accumulate must be an integer of at least 1, got 0"):
        compiled(tiny_network(), accumulate=0)


def test_parts_are_saved_with_the_model(tmp_path):
    compiled(tiny_network(), accumulate=2).save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").accumulate == 2
