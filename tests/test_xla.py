"""What a TPU needs of a step, checked with the XLA compiler of the CPU: every bucket compiled whole, with static shapes."""

import re

import keras
import pytest
import tensorflow as tf

import keras_mixsize as kms

REGIME = kms.Regime.preset("cifar/d+", base_batch=32)
HOST = {"infeed", "outfeed", "send", "recv", "send-done", "recv-done", "custom-call"}


@pytest.fixture(scope="module")
def model():
    """A CIFAR ResNet with everything that a recipe adds to a step: smoothing, weight decay, metrics of each size."""
    keras.utils.set_random_seed(0)
    model = kms.MixSizeModel(kms.models.build("resnet8", classes=10, channels=1), l2=1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"], jit_compile=True)
    train = kms.MixSizeDataset.from_embedded("train", regime=REGIME)
    model.build_steps(REGIME.sizes, train.element_spec)
    return model


@pytest.mark.parametrize("bucket", REGIME.buckets, ids=lambda bucket: f"{bucket.size}px")
def test_forward_backward_and_update_compile_with_static_shapes_and_without_the_host(model, bucket):
    batch = tf.zeros([bucket.images, bucket.size, bucket.size, 1]), tf.zeros([bucket.images], tf.int64)
    program = model._traced_step.function_for(batch).experimental_get_compiler_ir(batch)(stage="hlo")
    operations = set(re.findall(r"= \S+ ([a-z][a-z\-]*)\(", program))
    assert {"convolution", "dot", "reduce", "is-finite"} <= operations  # the whole step is in there
    assert not operations & HOST
    assert "<=" not in re.sub(r"direction=\w+", "", program)  # how XLA writes a dimension that is only bounded
    assert f"f32[{bucket.images},{bucket.size},{bucket.size},1]" in program
