"""What only a GPU can show: equal steps to the CPU's, XLA as `fit` chooses it there, half precision, memory that runs
out.

pytest tests/test_gpu.py -m ""          # with a GPU that TensorFlow sees; skipped without one
"""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms

REGIME = kms.Regime.parse("16x32x2:0.4,24x24x1:0.3,32x16x1:0.3")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="TensorFlow sees no GPU"),
]


def make_data(seed=7):
    return kms.MixSizeDataset.from_embedded("train", regime=REGIME, seed=seed)


def make_model(jit_compile="auto", precision="float32", seed=1, **options):
    """Return a CIFAR ResNet with everything that a recipe adds to a step."""
    keras.utils.set_random_seed(seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = kms.MixSizeModel(kms.models.build("resnet8", classes=10, channels=1), l2=1e-4, **options)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
        model.compile(optimizer, loss, ["accuracy"], jit_compile=jit_compile)
    finally:
        keras.config.set_dtype_policy(policy)
    return model


def trained_weights(jit_compile):
    """Return the weights and statistics after twelve steps in every bucket's shape, TF32 off."""
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        model = make_model(jit_compile)
        model.fit(make_data(), epochs=1, steps_per_epoch=12, verbose=0)
        return model.get_weights()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)


def in_new_process(*arguments, **environment):
    """Return what this file prints as a program."""
    command = [sys.executable, "-W", "ignore", __file__, *arguments]
    environment = os.environ | {"TF_FORCE_GPU_ALLOW_GROWTH": "true"} | environment
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def weights_of_cpu(tmp_path_factory):
    """What a process without GPUs trains."""
    path = str(tmp_path_factory.mktemp("cpu") / "weights.npz")
    assert in_new_process("train", path, CUDA_VISIBLE_DEVICES="-1") == []
    with np.load(path) as stored:
        return [stored[f"arr_{index}"] for index in range(len(stored.files))]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_twelve_steps_give_the_weights_and_statistics_that_the_cpu_gives(weights_of_cpu, jit_compile):
    found = trained_weights(jit_compile)
    for one, other in zip(found, weights_of_cpu, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("jit_compile", ["auto", False])
def test_the_loss_falls_in_every_precision_with_one_trace_per_bucket(precision, jit_compile):
    model = make_model(jit_compile, precision)
    assert model.jit_compile is (jit_compile == "auto")  # Keras takes XLA by itself where there is a GPU
    history = model.fit(make_data(), epochs=3, steps_per_epoch=60, verbose=0).history
    assert model.trace_count == len(REGIME.buckets)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert {"loss_16", "accuracy_24", "accuracy_32"} <= history.keys()
    # Keras's loss scale begins too high on purpose: the first steps are skipped while it halves
    assert sum(history.get("skipped_steps", [0])) <= (6 if precision == "mixed_float16" else 0)


def test_fit_under_a_mirrored_strategy_of_one_gpu_trains_as_without():
    with tf.distribute.MirroredStrategy(["GPU:0"]).scope():
        mirrored = make_model(False)
    plain = make_model(False)
    for model in (mirrored, plain):
        model.fit(make_data(), epochs=1, steps_per_epoch=6, verbose=0)
    for one, other in zip(mirrored.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_step_that_is_not_finite_changes_nothing(jit_compile):
    model = make_model(jit_compile)
    model.fit(make_data(), epochs=1, steps_per_epoch=3, verbose=0)
    before, trained = model.get_weights(), [weight.numpy() for weight in model.optimizer.variables]
    images = np.full((16, 32, 32, 1), np.nan, "float32")
    model.train_function(iter([(tf.constant(images), tf.zeros([16], tf.int64))]))
    for one, other, weight in zip(before, model.get_weights(), model.weights, strict=True):
        if "position" not in weight.path:
            np.testing.assert_array_equal(one, other, err_msg=weight.path)
    for one, other in zip(trained, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other.numpy(), err_msg=other.path)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_warm_up_tells_the_memory_of_the_gpu(jit_compile):
    measured = make_model(jit_compile).warm_up(REGIME)
    assert all(2**20 < item.peak_bytes < 8 * 2**30 for item in measured)


def test_max_batch_meets_the_end_of_a_gpus_memory_and_stays_below():
    found = in_new_process("max_batch")
    assert found["batch"] >= 64 and found["position"] == 0
    assert found["again"]  # the largest batch still fits
    assert not found["larger"]


def test_an_export_answers_on_the_gpu_as_the_network_does(tmp_path):
    model = make_model(False)
    model.fit(make_data(), epochs=1, steps_per_epoch=6, verbose=0)
    test = kms.sources.fashion_mnist("test")
    kms.export_saved_model(model.network, tmp_path, (16, 32), calibration=make_data(), batches=5)
    served = kms.serving.load(tmp_path)
    images = test.images[:64]
    with kms.calibrated(model.network, make_data(), 32, batches=5):
        logits = model.network.predict(images / np.float32(255), verbose=0)
    answer = served.predict(images, size=32)
    np.testing.assert_allclose(answer.logits, logits, rtol=2e-2, atol=2e-2)  # TF32
    assert (answer.labels[:, 0] == logits.argmax(axis=1)).mean() > 0.95


def find_max_batch() -> dict:
    """Return the largest batch in 1 GiB of the GPU, whether it fits again, and whether a quarter more does."""
    limit = [tf.config.LogicalDeviceConfiguration(memory_limit=1024)]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("GPU")[0], limit)
    keras.utils.set_random_seed(1)
    model = kms.MixSizeModel.from_model(tiny_network())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)  # XLA would compile every batch that is tried

    def fits(batch):
        try:
            model.warm_up(kms.Regime.fixed(256, batch))
        except tf.errors.ResourceExhaustedError:
            return False
        return True

    batch = kms.max_batch(model, 256, multiple_of=32)
    facts = {"batch": batch, "position": model.position}
    return facts | {"again": fits(batch), "larger": fits(batch + max(32, batch // 128 * 32))}


def main():
    """Train on what this process sees and store the weights, or look for the largest batch; print a line of JSON."""
    if sys.argv[1] == "max_batch":
        print(json.dumps(find_max_batch()))
        return
    np.savez(sys.argv[2], *trained_weights(False))
    print("[]")


if __name__ == "__main__":
    main()
