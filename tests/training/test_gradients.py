"""Gradient smoothing against a loop in NumPy, eagerly, in a graph and compiled by XLA."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.training.gradients import SmoothingState, initial_state, smooth

SHAPES = [(3, 4), (5,), ()]
MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": lambda function: tf.function(function, jit_compile=True),
}


def steps_of_gradients(count=6, scale=1.0):
    """Return gradients of several steps whose lengths differ by a factor of up to ten."""
    random = np.random.default_rng(0)
    lengths = scale * random.uniform(0.5, 5.0, count)
    return [[np.float32(length * random.normal(size=shape)) for shape in SHAPES] for length in lengths]


def reference(steps, momentum=0.9):
    """Return the smoothed gradients and the running norm of every step, in float64."""
    run, results = None, []
    for gradients in steps:
        norm = np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in gradients))
        run = norm if run is None else momentum * run + (1 - momentum) * norm
        results.append(([g * run / (norm + 1e-6) for g in gradients], run))
    return results


def tensors(arrays):
    return [tf.constant(array) for array in arrays]


def spoilt(value, place=1):
    """Return the gradients of a step, one number of which is `value`."""
    gradients = steps_of_gradients(1)[0]
    gradients[place] = np.where(np.arange(gradients[place].size).reshape(gradients[place].shape) == 0, value, 1)
    return tensors([np.float32(gradient) for gradient in gradients])


def after(gradients):
    return smooth(tensors(gradients), initial_state()).state


def assert_same_state(one, other):
    assert (float(one.norm), int(one.steps)) == (float(other.norm), int(other.steps))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_smoothing_equals_a_numpy_loop(mode, scale):
    step, state = MODES[mode](smooth), initial_state()
    for gradients, (expected, run) in zip(steps_of_gradients(scale=scale), reference(steps_of_gradients(scale=scale))):
        smoothed = step(tensors(gradients), state)
        state = smoothed.state
        np.testing.assert_allclose(state.norm, run, rtol=1e-5)
        for got, wanted in zip(smoothed.gradients, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_the_first_step_is_left_as_it_is():
    gradients = steps_of_gradients(1)[0]
    for got, given in zip(smooth(tensors(gradients), initial_state()).gradients, gradients, strict=True):
        np.testing.assert_allclose(got, given, rtol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_the_momentum_is_that_of_the_running_norm(momentum):
    steps, state = steps_of_gradients(), initial_state()
    for gradients, (_, run) in zip(steps, reference(steps, momentum)):
        state = smooth(tensors(gradients), state, momentum=momentum).state
        np.testing.assert_allclose(state.norm, run, rtol=1e-5)


def test_a_smoothed_gradient_has_the_running_length():
    steps, state = steps_of_gradients(), initial_state()
    for gradients in steps:
        smoothed = smooth(tensors(gradients), state)
        state = smoothed.state
        np.testing.assert_allclose(tf.linalg.global_norm(smoothed.gradients), state.norm, rtol=1e-5)


def test_the_steps_are_counted():
    state = initial_state()
    for gradients in steps_of_gradients(4):
        state = smooth(tensors(gradients), state).state
    assert int(state.steps) == 4


def test_the_state_keeps_its_types():
    state = after(steps_of_gradients(1)[0])
    assert (state.norm.dtype, state.steps.dtype) == (tf.float32, tf.int64)


def test_gradients_of_zero_stay_zero():
    smoothed = smooth([tf.zeros([3])], SmoothingState(tf.constant(2.0), tf.constant(5, tf.int64)))
    np.testing.assert_array_equal(smoothed.gradients[0], np.zeros(3))


# Numbers that are not finite


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", range(3))
def test_a_step_that_is_not_finite_lets_only_zeros_through(mode, value, place):
    smoothed = MODES[mode](smooth)(spoilt(value, place), after(steps_of_gradients(1)[0]))
    assert all(not np.any(gradient) for gradient in smoothed.gradients)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_step_that_is_not_finite_leaves_the_state_alone(mode, value):
    state = after(steps_of_gradients(1)[0])
    assert_same_state(MODES[mode](smooth)(spoilt(value), state).state, state)


@pytest.mark.parametrize("value", [1.0, np.nan, np.inf])
def test_smoothing_tells_whether_a_step_was_finite(value):
    assert bool(smooth(spoilt(value), initial_state()).finite) == np.isfinite(value)


def test_a_first_step_that_is_not_finite_leaves_the_next_one_the_first():
    state = smooth(spoilt(np.nan), initial_state()).state
    gradients = steps_of_gradients(1)[0]
    assert_same_state(smooth(tensors(gradients), state).state, after(gradients))


# Gradients of other kinds


def test_gradients_that_are_none_stay_none_and_count_for_nothing():
    gradients = tensors(steps_of_gradients(1)[0])
    smoothed = smooth([None, *gradients, None], initial_state())
    assert smoothed.gradients[0] is smoothed.gradients[-1] is None
    np.testing.assert_array_equal(smoothed.state.norm, smooth(gradients, initial_state()).state.norm)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_gradients_keep_their_dtype(dtype):
    smoothed = smooth([tf.constant([3.0, 4.0], dtype)], initial_state())
    assert smoothed.gradients[0].dtype == dtype


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_gradients_are_smoothed_by_a_full_precision_norm(dtype):
    smoothed = smooth([tf.constant([3.0, 4.0], dtype)], SmoothingState(tf.constant(10.0), tf.constant(1, tf.int64)))
    np.testing.assert_allclose(smoothed.state.norm, 0.9 * 10 + 0.1 * 5, rtol=1e-6)
    np.testing.assert_allclose(tf.cast(smoothed.gradients[0], tf.float32), [3 * 1.9, 4 * 1.9], rtol=1e-2)


def test_gradients_of_several_dtypes_have_one_norm():
    smoothed = smooth([tf.constant([3.0], tf.float16), tf.constant([4.0])], initial_state())
    np.testing.assert_allclose(smoothed.state.norm, 5.0)


def test_half_precision_gradients_whose_squares_overflow_are_finite():
    assert smooth([tf.fill([100], tf.constant(1000.0, tf.float16))], initial_state()).finite
