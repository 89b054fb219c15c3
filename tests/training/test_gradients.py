"""Gradients in parts, smoothed and decayed: against the whole batch, a loop in NumPy, and the layers of a network."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.training.gradients import (
    L2_FILTERS,
    SmoothingState,
    decay,
    decayed_weights,
    in_parts,
    initial_state,
    smooth,
)

# Accumulation


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
def test_training_in_parts_gives_the_same_weights_and_logs(one_bucket, jit_compile):
    weights, logs = [], []
    for parts in (1, 2):
        model = compiled(plain_network(), accumulate=parts, l2=1e-3)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, ["accuracy"], jit_compile=jit_compile)
        history = model.fit(one_bucket, epochs=1, steps_per_epoch=4, verbose=0).history
        weights.append([weight.numpy() for weight in model.trainable_weights])
        logs.append({name: values[0] for name, values in history.items()})
        assert model.trace_count == 1
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


# Smoothing


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


def spoilt(value, index=1):
    """Return the gradients of a step, one number of which is `value`."""
    gradients = steps_of_gradients(1)[0]
    gradients[index] = np.where(np.arange(gradients[index].size).reshape(gradients[index].shape) == 0, value, 1)
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
@pytest.mark.parametrize("index", range(3))
def test_a_step_that_is_not_finite_lets_only_zeros_through(mode, value, index):
    smoothed = MODES[mode](smooth)(spoilt(value, index), after(steps_of_gradients(1)[0]))
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


# Decay


def test_decay_adds_the_weight_to_the_gradient():
    weights = [tf.Variable([2.0, -4.0]), tf.Variable(8.0), tf.Variable(1.0)]
    gradients = [tf.constant([1.0, 1.0]), tf.constant(3.0), None]
    decayed = decay(gradients, weights, {id(weights[0]), id(weights[2])}, 0.5)
    np.testing.assert_array_equal(decayed[0], [2.0, -1.0])
    assert float(decayed[1]) == 3.0 and decayed[2] is None


@pytest.fixture(scope="module")
def separable():
    """A network with a depthwise convolution, batch norm and biases, one of them inside a model of its own."""
    layers = keras.layers
    inner = keras.Sequential([layers.DepthwiseConv2D(3, use_bias=False), layers.BatchNormalization()], name="inner")
    inputs = keras.Input((None, None, 3))
    x = layers.DepthwiseConv2D(3)(inner(layers.Conv2D(16, 3)(inputs)))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def decayed_layers(network, l2_filter):
    """Return the kinds of layer that own a decayed weight, from the paths of the weights."""
    decayed = decayed_weights(network, l2_filter)
    weights = [weight for weight in network.trainable_weights if id(weight) in decayed]
    return {(weight.path.split("/")[-2].rstrip("_0123456789"), weight.path.split("/")[-1]) for weight in weights}


def test_kernels_are_neither_biases_nor_batch_norm(separable):
    assert {name for _, name in decayed_layers(separable, "kernels")} == {"kernel"}
    assert ("depthwise_conv2d", "kernel") in decayed_layers(separable, "kernels")


def test_no_depthwise_leaves_out_only_the_depthwise_kernels(separable):
    left_out = decayed_layers(separable, "kernels") - decayed_layers(separable, "no_depthwise")
    assert left_out == {("depthwise_conv2d", "kernel")}


def test_all_is_every_trainable_weight(separable):
    assert len(decayed_weights(separable, "all")) == len(separable.trainable_weights)


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
