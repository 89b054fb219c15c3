"""warm_up traces every bucket and leaves the model as it was; max_batch runs real steps and stops before the limit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.training import complexity, warm_up
from keras_mixsize.training.warm_up import max_batch


@pytest.fixture
def model(network):
    """The tiny network, compiled."""
    return compiled(network)


def test_warm_up_traces_every_bucket_costliest_first_and_changes_nothing(model, train, regime):
    model.fit(train, epochs=1, steps_per_epoch=3, verbose=0)
    everything = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before = [variable.numpy() for variable in everything]
    told = []
    warmed = model.warm_up(regime, report=told.append)
    assert told == warmed and str(warmed[0]).startswith("S=16 B=16 D=2: compiled in ")
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
        "data must be a MixSizeDataset, a Regime or a Schedule": train.take(1),
    }
    for message, data in wrong.items():
        with pytest.raises(ValueError, match=message):
            model.warm_up(data)


def test_warm_up_before_compile_is_refused(network, regime):
    with pytest.raises(ValueError, match="must be compiled first"):
        kms.MixSizeModel.from_model(network).warm_up(regime)


# max_batch


def held_bytes():
    with complexity.peak_memory() as peak:
        return peak()


@pytest.mark.slow
@pytest.mark.skipif(not held_bytes(), reason="this system does not tell its memory")
def test_a_batch_at_the_limit_fits_and_twice_as_large_would_not(model):
    limit = held_bytes() + 600 * 2**20
    batch = max_batch(model, 64, multiple_of=64, limit_bytes=limit)
    assert batch % 64 == 0 and batch >= 64
    (largest,) = model.warm_up(kms.Regime.fixed(64, batch))
    assert largest.peak_bytes <= 1.1 * limit
    assert model.position == 0


def test_memory_is_foreseen_on_the_line_of_the_last_two_batches():
    peaks = {8: 100, 16: 140, 32: 220}
    assert warm_up._foreseen(peaks, 64) == 220 + 5 * 32
    assert warm_up._foreseen({8: 100}, 16) == 0


def test_the_search_ends_at_the_largest_batch_that_fits(model, monkeypatch):
    monkeypatch.setattr(warm_up, "_fits", lambda model, size, batch, peaks, limit: batch * size**2 <= 1_000_000)
    assert max_batch(model, 32, limit_bytes=1) == 976  # 1,000,000 / 1,024, down to a multiple of 8


def test_what_never_fits_is_refused(model):
    with pytest.raises(ValueError, match="multiple_of must be a batch that fits into memory at size 64, got 8"):
        max_batch(model, 64, limit_bytes=1)


def test_of_max_batch_the_model_must_be_compiled():
    with pytest.raises(ValueError, match="must be compiled first"):
        max_batch(kms.MixSizeModel(tiny_network()), 32)
