"""The steps with XLA, on the CPU: every bucket compiled whole, with static shapes as TPUs need, and equal results."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mixsize as kms

REGIME = kms.Regime.preset("cifar/d+", base_batch=32)
HOST = {"infeed", "outfeed", "send", "recv", "send-done", "recv-done", "custom-call"}


TRAIN = kms.MixSizeDataset.from_embedded("train", regime=REGIME)


def make_model(jit_compile):
    """Return a CIFAR ResNet with all that a recipe adds to a step: smoothing, weight decay, metrics of each size."""
    keras.utils.set_random_seed(0)
    model = kms.MixSizeModel(kms.models.build("resnet8", classes=10, channels=1), l2=1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"], jit_compile=jit_compile)
    model.build_steps(REGIME.sizes, TRAIN.element_spec)
    return model


@pytest.fixture(scope="module")
def model():
    """The model whose steps XLA compiles."""
    return make_model(True)


@pytest.fixture(scope="module")
def plain():
    """The same, without XLA."""
    return make_model(False)


@pytest.mark.parametrize("bucket", REGIME.buckets, ids=lambda bucket: f"{bucket.size}px")
def test_forward_backward_and_update_compile_with_static_shapes_and_without_the_host(model, bucket):
    batch = tf.zeros([bucket.images, bucket.size, bucket.size, 1]), tf.zeros([bucket.images], tf.int64)
    program = model._traced_step.function_for(batch).experimental_get_compiler_ir(batch)(stage="hlo")
    operations = set(re.findall(r"= \S+ ([a-z][a-z\-]*)\(", program))
    assert {"convolution", "dot", "reduce", "is-finite"} <= operations  # the whole step is in there
    assert not operations & HOST
    assert "<=" not in re.sub(r"direction=\w+", "", program)  # how XLA writes a dimension that is only bounded
    assert f"f32[{bucket.images},{bucket.size},{bucket.size},1]" in program


@pytest.mark.slow
@pytest.mark.parametrize("bucket", REGIME.buckets, ids=lambda bucket: f"{bucket.size}px")
def test_fit_with_xla_gives_the_weights_statistics_and_logs_of_fit_without(model, plain, bucket):
    start = next(step for step in range(1, TRAIN.steps_per_epoch) if TRAIN.plan.at(step).bucket == bucket)
    state, before = [variable.numpy() for variable in plain.state_variables], plain.network.get_weights()
    logs, changes = [], []
    for trained in (model, plain):
        for variable, value in zip(trained.state_variables, state):
            variable.assign(value)
        history = trained.fit(TRAIN.starting_at(start), epochs=1, steps_per_epoch=1, verbose=0).history
        logs.append({name: values[0] for name, values in history.items()})
        changes.append([new - old for new, old in zip(trained.network.get_weights(), before)])
    apart = np.sqrt(sum(np.sum(np.square(one - other)) for one, other in zip(*changes)))
    assert 0 < apart < 1e-3 * np.sqrt(sum(np.sum(np.square(change)) for change in changes[1]))
    assert logs[0] == pytest.approx(logs[1], rel=1e-4) and f"loss_{bucket.size}" in logs[0]
