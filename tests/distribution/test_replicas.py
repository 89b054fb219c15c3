"""MirroredStrategy on two and on four logical CPUs, in a process of its own, because devices are made first."""

import itertools
import json
import pathlib
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.distribution.replicas import pack_copies, sum_over_replicas
from keras_mixsize.distribution.replicas import spread as spread_copies

SCRIPT = pathlib.Path(__file__).parents[1] / "mirrored_worker.py"


def measure(*arguments):
    """Return what the script measured."""
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)], ids="{} replicas".format)
def facts(request):
    """What the process with so many replicas measured."""
    return measure(str(request.param))


def test_one_trace_per_bucket_over_two_epochs(facts):
    assert facts["traces"] == facts["buckets"] == 2


def test_warm_up_traces_every_bucket_and_changes_no_replicas_copy(facts):
    assert facts["traces_after_warm_up"] == 2 and facts["warm_up_changed"] == 0


@pytest.mark.parametrize("size", ["16", "24"])
def test_an_epochs_steps_equal_those_of_a_single_device_with_synchronised_batch_norm(facts, size):
    check_close(facts["synchronised"][size])


@pytest.mark.parametrize("size", ["16", "24"])
def test_replicas_finish_their_images_as_the_input_does(facts, size):
    check_close(facts["files"][size])


@pytest.mark.parametrize("size", ["16", "24"])
def test_an_epochs_steps_equal_plain_tensorflow_with_batch_norm_per_replica(facts, size):
    check_close(facts["separate"][size])


@pytest.mark.parametrize("size", ["16", "24"])
def test_the_plain_tensorflow_of_these_tests_equals_a_single_device(facts, size):
    check_close(facts["emulation_of_one"][size])


def check_close(differences):
    """Fail if weights, gradients (relative to their length) or any replica's batch-norm statistics are apart."""
    assert differences["weights"] < 2e-5 and differences["gradients"] < 1e-4 and differences["statistics"] < 2e-6


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_gradients_in_16_bits_equal_those_of_a_single_device(facts, policy):
    assert 0 < facts["mixed"][policy] < 0.01  # a bfloat16 is known to one part in 256; float16 is scaled, and unscaled


def test_smoothing_uses_the_norm_of_the_summed_gradient(facts):
    assert facts["norm_difference"] < 1e-4


@pytest.mark.parametrize("size", ["16", "24"])
def test_one_all_reduce_per_step_and_those_of_keras_in_a_synchronised_batch_norm(facts, size):
    assert facts["collectives"]["separate"][size] == 1
    assert 1 < facts["collectives"]["synchronised"][size] <= 1 + 5  # three sums forward, two gradients backward


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_gradients_of_several_dtypes_are_summed_in_their_own(two_devices):
    """As of a network in float64 or bfloat16, whose mark of steps that are not finite is float32."""
    dtypes = [tf.float32, tf.float64, tf.bfloat16, tf.float64]
    strategy = tf.distribute.MirroredStrategy(two_devices)
    sums = strategy.run(tf.function(lambda: sum_over_replicas([None, *(tf.ones([3], dtype) for dtype in dtypes)])))
    for found, dtype in zip(sums[1:], dtypes, strict=True):
        for copy in strategy.experimental_local_results(found):
            assert copy.dtype == dtype and copy.numpy().tolist() == [2, 2, 2]
    assert sums[0] is None


def test_metrics_count_every_image_of_all_replicas(facts):
    assert facts["metric_images"] == facts["planned_images"]


def test_logs_hold_the_totals_and_each_size(facts):
    assert {"loss", "accuracy", "loss_16", "accuracy_24"} <= set(facts["history"])


def test_one_replicas_non_finite_step_changes_none_of_them(facts):
    assert facts["nan_changed"] == [0, 0]


@pytest.mark.slow
def test_xla_compiles_forward_and_backward_of_each_replica():
    found = measure("2", "xla")
    for differences in found["steps"].values():
        check_close(differences)
    assert set(found["collectives"].values()) == {1} and found["traces"] == 2 and found["nan"] == 0


def test_a_run_goes_on_with_more_replicas_and_with_fewer(facts):
    assert facts["elastic"] < 1e-4


@pytest.mark.parametrize("summed, replicas", [*itertools.product([True, False], [1, 2, 3])])
def test_copies_for_other_replicas_keep_their_sum_or_mean(summed, replicas):
    copies = np.arange(6, dtype=np.float32).reshape(2, 3)
    spread = np.stack(spread_copies(copies, replicas, summed=summed))
    expected = copies.sum(0) if summed else copies.mean(0)
    assert len(spread) == replicas and spread.dtype == np.float32
    np.testing.assert_array_equal(spread.sum(0) if summed else spread.mean(0), expected)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_copies_of_16_bits_for_other_replicas_keep_their_mean(dtype):
    copies = np.array([[1, 60000], [3, 50000]], dtype)  # whose sum is infinite in float16
    (spread,) = spread_copies(copies, 1, summed=False)
    assert spread.dtype == dtype
    np.testing.assert_array_equal(spread, copies.astype(np.float64).mean(0).astype(dtype))


def test_equal_copies_are_packed_into_one_unless_they_are_summed():
    copies = [np.array([1.0, np.nan])] * 2
    assert pack_copies(copies, summed=False).shape == (1, 2) and pack_copies(copies, summed=True).shape == (2, 2)
    assert pack_copies([np.zeros(2), -np.zeros(2)], summed=False).shape == (2, 2)


@pytest.mark.parametrize(
    "name, message",
    [
        ("odd_batch", "replicas in every bucket, got 15*1=15 at size 16"),
        ("steps_per_execution", "steps_per_execution must be 1 under a distribution strategy, got 4"),
        ("jit_compile", "under a distribution strategy with synchronised batch norm, got True"),
        ("plain_fit", "steps_per_epoch must be given"),
    ],
)
def test_what_cannot_run_is_refused_before_training(facts, name, message):
    assert message in facts["errors"][name]
