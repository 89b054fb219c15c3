"""A step is taken whole, or undone; its arithmetic is that of NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

from keras_mixsize.training.gradients import EPSILON


def one_batch(train, number=0):
    return next(iter(train.starting_at(number)))


def reference_step(network, images, labels, velocity, run, first, *, l2, rate=0.05, momentum=0.9, smoothing=0.9):
    """One step in NumPy terms, from TensorFlow's gradients: smooth, decay, SGD with momentum."""
    with tf.GradientTape() as tape:
        logits = network(images, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    gradients = [g.numpy().astype(np.float64) for g in tape.gradient(loss, network.trainable_weights)]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    run = norm if first else smoothing * run + (1 - smoothing) * norm
    for index, (gradient, weight) in enumerate(zip(gradients, network.trainable_weights)):
        decay = l2 * weight.numpy() if weight.path.endswith("kernel") else 0
        velocity[index] = momentum * velocity[index] - rate * (gradient * run / (norm + EPSILON) + decay)
        weight.assign(weight.numpy() + velocity[index])
    return run


def test_steps_equal_numpy_smoothing_decay_and_momentum(train):
    keras.utils.set_random_seed(3)
    reference = tiny_network()
    model = compiled(keras.models.clone_model(reference), l2=0.01)
    model.network.set_weights(reference.get_weights())
    velocity, run = [np.zeros(weight.shape) for weight in reference.trainable_weights], 0.0
    for number in range(4):
        images, labels = one_batch(train, number)
        model.train_on_batch(images, labels)
        run = reference_step(reference, images, labels, velocity, run, number == 0, l2=0.01)
    for actual, expected in zip(model.trainable_weights, reference.trainable_weights):
        np.testing.assert_allclose(actual, expected, atol=2e-5)
    assert float(model.smoothing_state.norm) == pytest.approx(run, rel=1e-4) and model.position == 4


def test_without_smoothing_a_step_is_kerass_own(train):
    keras.utils.set_random_seed(3)
    stock = tiny_network()
    model = compiled(keras.models.clone_model(stock), smoothing=None)
    model.network.set_weights(stock.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    stock.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    for number in range(3):
        batch = one_batch(train, number)
        model.train_on_batch(*batch)
        stock.train_on_batch(*batch)
    for actual, expected in zip(model.trainable_weights, stock.trainable_weights):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_with_norms_of_unscaled_gradients(one_bucket, policy):
    keras.utils.set_random_seed(3)
    full = compiled(tiny_network())
    keras.config.set_dtype_policy(policy)
    try:
        mixed = compiled(tiny_network())
        mixed.network.set_weights(full.network.get_weights())
        for number in range(2):
            full.train_on_batch(*one_batch(one_bucket, number))
            mixed.train_on_batch(*one_batch(one_bucket, number))
    finally:
        keras.config.set_dtype_policy("float32")
    assert float(mixed.smoothing_state.norm) == pytest.approx(float(full.smoothing_state.norm), rel=0.1)
    assert int(mixed.smoothing_state.steps) == 2


def test_sizes_are_measured_anew_only_where_they_change():
    step = compiled(tiny_network())._step
    assert step.measure([16, 24]) and not step.measure([24, 16]) and step.measure([16])
    step.forget_metrics()
    assert step.size_metrics.variables == [] and step.measure([16])


def test_everything_that_a_step_changes_is_in_the_models_state(one_bucket):
    model = compiled(tiny_network(dropout=0.2))
    model.build_steps(one_bucket.plan.regime.sizes, one_bucket.element_spec)
    known = {id(variable) for variable in model.state_variables}
    for variable in (*model._step.variables, model._step.position, *model.weights, *model.optimizer.variables):
        assert id(variable) in known, variable.path


def test_a_new_phase_starts_smoothing_anew_and_another_rate_alone_does_not(one_bucket):
    model = compiled(tiny_network())
    model.train_on_batch(*one_batch(one_bucket))
    norm = float(model.smoothing_state.norm)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.001), loss)
    assert norm > 0 and float(model.smoothing_state.norm) == norm
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"))
    assert int(model.smoothing_state.steps) == 0
    model.train_on_batch(*one_batch(one_bucket))
    model.network.layers[1].trainable = False
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"))
    assert int(model.smoothing_state.steps) == 0
