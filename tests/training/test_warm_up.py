"""warm_up traces every bucket and leaves the model as it was."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled

import keras_mixsize as kms


@pytest.fixture
def model(network):
    """The tiny network, compiled."""
    return compiled(network)


def test_warm_up_traces_every_bucket_costliest_first_and_changes_nothing(model, train, regime):
    model.fit(train, epochs=1, steps_per_epoch=3, verbose=0)
    everything = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before = [variable.numpy() for variable in everything]
    warmed = model.warm_up(regime)
    assert [item.bucket.cost for item in warmed] == sorted((bucket.cost for bucket in regime.buckets), reverse=True)
    assert all(item.step_seconds > 0 and item.peak_bytes > 0 for item in warmed)
    for value, variable in zip(before, everything):
        np.testing.assert_array_equal(value, variable.numpy())
    traces = model.trace_count
    model.fit(train, epochs=1, verbose=0)
    assert traces == model.trace_count == len(regime.buckets)


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"batch_map": kms.images.CutMix(10)}, marks=pytest.mark.slow)], ids=["plain", "mixed"]
)
def test_warm_up_with_the_data_traces_what_fit_runs(small_files, network, regime, options):
    train, model = kms.MixSizeDataset.from_source(small_files, regime=regime, **options), compiled(network)
    if options:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, ["categorical_accuracy"])
    model.warm_up(train)
    assert model.trace_count == len(regime.buckets)
    model.fit(train, epochs=1, verbose=0)
    assert model.trace_count == len(regime.buckets)


def test_warm_up_refuses_what_it_cannot_run(small_files, train, model, regime):
    def unknown(images, labels, seed):
        return images, tf.ensure_shape(tf.numpy_function(np.array, [labels], labels.dtype), [None, None])

    options = {"batch_map": lambda images, labels, seed: unknown(images, labels[:, None], seed)}
    wrong = {
        "labels must have a known shape.*ensure_shape": kms.MixSizeDataset.from_source(
            small_files, regime=regime, **options
        ),
        "sizes must be multiples of 2": kms.MixSizeDataset.from_source(small_files, regime=kms.Regime.fixed(15, 16)),
        "data must be a MixSizeDataset or a Regime": train.take(1),
    }
    for message, data in wrong.items():
        with pytest.raises(ValueError, match=message):
            model.warm_up(data)


def test_warm_up_before_compile_is_refused(network, regime):
    with pytest.raises(ValueError, match="must be compiled first"):
        kms.MixSizeModel.from_model(network).warm_up(regime)
