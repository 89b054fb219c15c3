"""A checkpoint of another run is refused by the name of what differs."""

import copy

import keras
import pytest
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.resuming.identity import check_run, describe_run


@pytest.fixture(scope="module")
def described(one_bucket):
    """What is known of a run."""
    return describe(one_bucket)


def describe(data, network=None, steps=19):
    model = compiled(network or tiny_network())
    model.build_steps(data.plan.regime.sizes, data.element_spec)
    return describe_run(model, data.plan, steps)


def message_of(saved, here):
    with pytest.raises(ValueError, match="the checkpoint run/1 is of another run: .*; give Resume a new dir") as caught:
        check_run(saved, here, "run/1")
    return str(caught.value)


def test_the_same_run_in_another_model_object_goes_on(described, one_bucket):
    check_run(described, describe(one_bucket), "run/1")  # Keras has numbered the second model's layers on


def test_what_differs_is_named_and_its_fingerprint_only_if_it_alone_does(described, one_bucket):
    other = kms.MixSizeDataset.from_source(one_bucket.source, regime=one_bucket.plan.regime, seed=8)
    message = message_of(described, describe(other))
    assert "seed was 7 and is 8" in message and "fingerprint" not in message
    assert "fingerprint was 'x' and is" in message_of(described | {"fingerprint": "x"}, described)


def test_another_network_is_named_by_its_first_other_variable(described, one_bucket):
    wider = describe(one_bucket, tiny_network(classes=12))
    assert "model had dense/kernel (16, 10) float32 as variable" in message_of(described, wider)
    fewer = copy.deepcopy(described)
    fewer["optimizer"].pop()
    counts = len(fewer["optimizer"]), len(described["optimizer"])
    assert "optimizer had {} variables and has {}".format(*counts) in message_of(fewer, described)


def test_another_dtype_policy_is_named(described, one_bucket):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        here = describe(one_bucket)
    finally:
        keras.config.set_dtype_policy("float32")
    assert "dtype_policy was 'float32' and is 'mixed_bfloat16'" in message_of(described, here)


def test_a_checkpoint_of_before_dtype_policies_were_noted_goes_on(described):
    check_run({name: value for name, value in described.items() if name != "dtype_policy"}, described, "run/1")


def test_a_checkpoint_that_lacks_a_fact_is_of_another_run(described):
    saved = {name: value for name, value in described.items() if name != "sampling"}
    assert "sampling was None and is 'shuffled'" in message_of(saved, described)
