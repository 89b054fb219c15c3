"""Several steps in one call are the same steps, each with the trace of its bucket."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.training.several_steps import SeveralSteps
from keras_mixsize.training.tracing import StepPerShape


class Batches(keras.callbacks.Callback):
    """Notes the batches that Keras tells of, and the loss so far."""

    def __init__(self):
        self.begun, self.ended = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.begun.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append((batch, float(logs["loss"])))


def fresh(steps_per_execution, **options):
    keras.utils.set_random_seed(1)
    model = kms.MixSizeModel.from_model(tiny_network(dropout=0.2), l2=1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, loss, ["accuracy"], steps_per_execution=steps_per_execution, **options)
    return model


def spoiled(data, steps):
    """Return a dataset of which some steps' images are infinite."""

    def spoil(images, labels, seed):
        return images + tf.where(tf.reduce_any(labels[0] == steps), np.inf, 0.0), labels

    return kms.MixSizeDataset.from_source(data.source, regime=data.plan.regime, seed=7, batch_map=spoil)


def assert_same_state(one, other):
    for first, second in zip(one.state_variables, other.state_variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)


@pytest.fixture(scope="module")
def single(train):
    """A model that took two epochs of eight steps one by one, and its logs and batches."""
    model, batches = fresh(1), Batches()
    logs = model.fit(train, epochs=2, steps_per_epoch=8, verbose=0, callbacks=[batches]).history
    return model, logs, batches


def test_four_steps_in_a_call_are_bitwise_four_calls(train, regime, single):
    model, batches = fresh(4), Batches()
    logs = model.fit(train, epochs=2, steps_per_epoch=8, verbose=0, callbacks=[batches]).history
    assert logs == single[1]  # those of each size and of skipped steps too
    assert_same_state(single[0], model)
    assert model.position == 16 and model.trace_count == len(regime.buckets)
    assert batches.begun == [0, 4] * 2 and batches.ended == [single[2].ended[index] for index in (3, 7, 11, 15)]


def test_bytes_of_files_and_their_mirroring_pass_through_the_loop(small_files, regime):
    data = kms.MixSizeDataset.from_source(small_files, regime=regime, seed=3)
    one, three = fresh(1), fresh(3)
    for model in (one, three):
        model.fit(data, steps_per_epoch=6, verbose=0)
    assert_same_state(one, three)


def test_steps_that_are_not_finite_are_skipped_one_by_one(train):
    data = spoiled(train, [0, 3])
    one, four = fresh(1), fresh(4)
    skipped = [model.fit(data, steps_per_epoch=8, verbose=0).history["skipped_steps"] for model in (one, four)]
    assert skipped[0] == skipped[1] and 0 < skipped[0][0] < 8
    assert_same_state(one, four)


def test_a_stopped_run_goes_on_with_as_many_steps_in_a_call(train, tmp_path, single):
    class Stopped(Exception):
        pass

    def stop(batch, logs):
        if batch == 3:
            raise Stopped

    stopping = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    options = {"epochs": 2, "steps_per_epoch": 8, "verbose": 0}
    with pytest.raises(Stopped):
        resume = kms.callbacks.Resume(tmp_path, every_steps=2)
        fresh(2).fit(train, callbacks=[stopping, resume], **options)
    model = fresh(2)
    model.fit(train, callbacks=[kms.callbacks.Resume(tmp_path)], **options)
    assert_same_state(single[0], model)


def test_what_warm_up_traced_is_not_traced_again_and_timed_by_the_step(train, regime):
    model = fresh(4)
    model.warm_up(train)
    assert model.position == 0 and model.trace_count == len(regime.buckets)
    model.fit(train, steps_per_epoch=4, verbose=0)
    assert model.position == 4 and model.trace_count == len(regime.buckets)


def test_other_data_after_a_plan_may_be_of_other_shapes_and_may_end(train):
    model = fresh(2)
    model.fit(train, steps_per_epoch=2, verbose=0)
    images = tf.zeros([12, 10, 10, 1])
    model.fit(tf.data.Dataset.from_tensor_slices((images, tf.zeros([12], tf.int64))).batch(3), shuffle=False, verbose=0)
    assert model.position == 2 + 4


@pytest.mark.slow
def test_xla_compiles_each_bucket_inside_the_loop(train, regime):
    one, two = fresh(1, jit_compile=True), fresh(2, jit_compile=True)
    for model in (one, two):
        model.fit(train, steps_per_epoch=4, verbose=0)
    assert two.trace_count == len(regime.buckets)
    for first, second in zip(one.network.weights, two.network.weights):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_steps_that_do_not_divide_an_epoch_are_refused(train):
    with pytest.raises(ValueError, match="divide the epoch's 10 steps, got 4; use 2, or give steps_per_epoch=8"):
        fresh(4).fit(train, steps_per_epoch=10, verbose=0)


def test_a_batch_of_no_known_shape_is_an_error():
    step = StepPerShape(lambda batch: {"sum": tf.reduce_sum(batch[0])}, tf.distribute.get_strategy(), None)
    several = SeveralSteps(step, [(2, 8), (3, 4)], count=2)

    def steps(*shapes):
        spec = (tf.TensorSpec([None, None, None, 1]), tf.TensorSpec([None]))
        batches = [(tf.ones([count, size, size, 1]), tf.zeros([count])) for count, size in shapes]
        return iter(tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec))

    assert float(several(steps((2, 8), (3, 4)))["sum"]) == 3 * 4 * 4
    with pytest.raises(tf.errors.InvalidArgumentError, match="is not compatible with expected shape"):
        several(steps((2, 8), (5, 4)))
