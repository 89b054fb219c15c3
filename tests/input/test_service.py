"""tf.data service, with real processes: the batches are bitwise those of the direct pipeline."""

import concurrent.futures
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from pictures import write_shards

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.input import service

ROOT = pathlib.Path(kms.__file__).parents[1]
STEPS = 7


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for entry in sockets:
        entry.bind(("localhost", 0))
    addresses = [f"localhost:{entry.getsockname()[1]}" for entry in sockets]
    for entry in sockets:
        entry.close()
    return addresses


@pytest.fixture(scope="module")
def servers():
    """Addresses of two servers, one of them a process of its own."""
    here, there = free_addresses(2)
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    command = [sys.executable, "-m", "keras_mixsize", "input-server", f"--address={there}"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, **options, env=environment)
    kept = service.start_server(here)
    assert process.stdout.readline() == f"{there} is running\n"
    yield [here, there]
    process.kill()
    process.communicate()
    del kept


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    paths, _ = write_shards(tmp_path_factory.mktemp("shards"), [20, 20])
    return paths


def dataset(shards, start=0):
    regime = kms.Regime.parse("16x16x2:0.5,24x12x1:0.5")
    source = sources.records(shards)
    return kms.MixSizeDataset.from_source(source, regime=regime, seed=3, dtype="uint8").starting_at(start)


def assert_same(batches, expected):
    for batch, other in zip(batches, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, other)


@pytest.mark.parametrize("form", [pytest.param("finished", marks=pytest.mark.slow), "for the step"])
def test_one_consumer_gets_the_batches_of_the_direct_pipeline(servers, shards, form):
    train = dataset(shards, start=5)
    train = train.for_step() if form == "for the step" else train
    remote = service.from_service(train, servers)
    assert remote.element_spec == train.element_spec
    assert_same(remote.take(STEPS), train.take(STEPS))


@pytest.mark.slow
def test_two_consumers_get_their_rows_of_the_same_steps(servers, shards):
    train = dataset(shards)

    def consume(consumer):
        remote = service.from_service(train, servers, consumers=2, consumer=consumer, job="two")
        return [tuple(part.numpy() for part in batch) for batch in remote.take(STEPS)]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        parts = list(pool.map(consume, range(2)))
    for consumer, part in enumerate(parts):
        assert_same(part, train.shard(2, consumer).take(STEPS))
    assert [images.shape for images, _ in parts[0]] == [images.shape for images, _ in parts[1]]


def trained(data, epochs):
    """Return losses and weights of a network after six steps an epoch."""
    keras.utils.set_random_seed(1)
    model = kms.MixSizeModel.from_model(kms.models.build("resnet8", classes=40))
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(data, epochs=epochs, steps_per_epoch=6, shuffle=False, verbose=0)
    return history.history["loss"], [weight.numpy() for weight in model.network.weights]


@pytest.mark.slow
def test_fit_on_a_service_trains_as_on_the_direct_pipeline(servers, shards):
    train = dataset(shards)
    losses, weights = trained(service.from_service(train.for_step(), servers), epochs=2)
    direct_losses, direct_weights = trained(train, epochs=2)
    np.testing.assert_allclose(losses, direct_losses, rtol=1e-5)
    for weight, direct in zip(weights, direct_weights):
        np.testing.assert_allclose(weight, direct, rtol=1e-4, atol=1e-6)


def test_fit_on_a_service_needs_the_steps_of_an_epoch(train, servers):
    model = kms.MixSizeModel.from_model(kms.models.build("resnet8", classes=10, channels=1))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="steps_per_epoch must be given"):
        model.fit(service.from_service(train, servers), verbose=0)


def test_a_job_name_that_was_used_before_is_noticed(servers, train):
    next(iter(service.from_service(train, servers, job="once")))
    with pytest.raises(tf.errors.OpError, match="restarted with the same iteration name"):
        list(service.from_service(train.starting_at(3), servers, job="once").take(1))


def test_arguments_that_do_not_fit_are_refused(train, shards):
    place = ["localhost:1"]
    with pytest.raises(ValueError, match="servers must be a list of addresses host:port, got 'localhost:1'"):
        service.from_service(train, "localhost:1")
    with pytest.raises(ValueError, match=r"consumer must lie in \[0, 2\), got 2"):
        service.from_service(train, place, consumers=2, consumer=2, job="a")
    with pytest.raises(ValueError, match="job must name this run for 2 consumers"):
        service.from_service(train, place, consumers=2)
    with pytest.raises(ValueError, match="dataset must not be sharded"):
        service.from_service(train.shard(2, 0), place)
    with pytest.raises(ValueError, match="divisible by the 5 workers in every bucket"):
        service.from_service(train, place, consumers=5, job="a")
    skipping = kms.MixSizeDataset.from_records(shards, regime=kms.Regime.fixed(16, 4), damage="skip")
    with pytest.raises(ValueError, match="damage must be 'raise' with a service"):
        service.from_service(skipping, place)
    with pytest.raises(ValueError, match="address must be host:port, got '5000'"):
        service.start_server("5000")
