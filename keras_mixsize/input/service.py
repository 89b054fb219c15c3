"""The same batches from other processes and machines: tf.data service, without giving up the plan's order.

For when one host's cores cannot feed its accelerators. There are W servers, each a dispatcher and a worker of tf.data
service in one process. Server w makes the steps w, w + W, w + 2W, ...; a consumer (training process) takes them in
turn, so the batches are bitwise those of the direct pipeline, and several consumers get their rows of the same step,
hence the same bucket. (One dispatcher for all workers would be less to start, but tf.data lets a fast worker overtake a
slow one then.)

On one machine, start the servers in terminals of their own, or with `&`; then train:

    mixsize input-server --address=localhost:5000
    mixsize input-server --address=localhost:5001

    batches = from_service(train.for_step(), ["localhost:5000", "localhost:5001"])   # bytes, for MixSizeModel
    model.fit(batches, epochs=90, steps_per_epoch=train.steps_per_epoch)

On several machines, start each server with a name of its machine that the consumers can reach,
`--address=worker1:5000`. The data must lie under the same paths on all machines, and all need the same versions of
TensorFlow and of this package. With several training processes, each calls `from_service(train, servers,
consumers=count, consumer=own_number, job="a new name")`. A run that goes on after an interruption starts at its step,
`from_service(train.starting_at(step), servers)`. The service has no encryption and no password: use it in a network
that you trust.

Neighbours: `dataset` (the steps, and how one is loaded).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from keras_mixsize.arguments import check_count
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.input.steps import loader, step_stream
from keras_mixsize.sources.array_records import ArrayRecordSource
from keras_mixsize.sources.encoded import EncodedSource
from keras_mixsize.sources.sequences import SequenceSource

_service = tf.data.experimental.service


class Server(NamedTuple):
    """A dispatcher and its one worker in this process; both end with it."""

    dispatcher: _service.DispatchServer
    worker: _service.WorkerServer

    def join(self) -> None:
        """Wait for ever."""
        self.worker.join()


def start_server(address: str) -> Server:
    """Start a server in this process.

    Args:
        address: `host:port`, as the consumers name it; the worker takes another, free port of the same host.

    Raises:
        ValueError: not of that form.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"address must be host:port, got {address!r}")
    dispatcher = _service.DispatchServer(_service.DispatcherConfig(port=int(port), protocol="grpc"))
    config = _service.WorkerConfig(dispatcher_address=f"localhost:{port}", worker_address=f"{host}:%port%")
    return Server(dispatcher, _service.WorkerServer(config))


def from_service(
    dataset: MixSizeDataset,
    servers: Sequence[str],
    *,
    consumers: int = 1,
    consumer: int = 0,
    job: str | None = None,
) -> tf.data.Dataset:
    """Return a dataset's batches, made by servers.

    Args:
        dataset: what to make; its own `start` is the first step. The input graph travels to the servers with labels and
            file names in it, so images in memory must stay below 2 GiB; shards and files have no such limit.
        servers: their addresses, `host:port`; in the same order in all consumers.
        consumers: training processes that share the batches; each gets its rows of every step.
        consumer: this process's number, in [0, consumers).
        job: the same new name in all consumers; may be left out for one.

    Returns:
        An endless dataset of (images, labels) as `dataset`, or `dataset.shard(consumers, consumer)`, gives. It can be
        iterated again only under another job name.

    Raises:
        ValueError: no server, numbers out of range, no job name for several consumers, a dataset that is sharded
            already, or the policy to skip damaged images, whose list other processes could not write to, or ArrayRecord
            files, which Python reads; convert the data instead.
        tf.errors.FailedPreconditionError: when it runs, if the job's name was used before.
        tf.errors.InvalidArgumentError: when it runs, if a server gives another step than the plan's next.
    """
    check_count("consumers", consumers)
    _check(dataset, servers, consumers, consumer, job)
    job = job or f"mixsize-{uuid.uuid4().hex}"
    plan = dataset.shard(consumers, 0).plan  # which also checks that the batches can be divided
    parts = []
    for number, server in enumerate(servers):
        remote = _service.distribute(
            processing_mode=_service.ShardingPolicy.OFF,
            service=f"grpc://{server}",
            job_name=f"{job}-{number}",
            num_consumers=consumers,
            consumer_index=consumer,
        )
        parts.append(_rows(dataset, plan, len(servers), number).apply(remote).prefetch(1))
    return _in_turn(parts, dataset)


def _check(dataset: MixSizeDataset, servers: Sequence[str], consumers: int, consumer: int, job: str | None) -> None:
    if isinstance(servers, str) or not len(servers):
        raise ValueError(f"servers must be a list of addresses host:port, got {servers!r}")
    if consumer not in range(consumers):
        raise ValueError(f"consumer must lie in [0, {consumers}), got {consumer!r}")
    if consumers > 1 and job is None:
        raise ValueError(f"job must name this run for {consumers} consumers, the same in all of them, got None")
    if dataset.plan.workers != 1:
        raise ValueError("dataset must not be sharded, because consumers= divides its rows; leave out .shard()")
    if isinstance(dataset.source, (ArrayRecordSource, SequenceSource)):
        name = type(dataset.source).__name__
        raise ValueError(f"source must be no {name} with a service, because Python reads it; use sources.convert")
    if isinstance(dataset.source, EncodedSource) and dataset.source.damage.action == "skip":
        raise ValueError("damage must be 'raise' with a service; leave damaged images out with sources.convert")


def _rows(dataset: MixSizeDataset, plan, servers: int, number: int) -> tf.data.Dataset:
    """Return what a server makes: (step, images, labels) for each consumer in turn, of every `servers`-th step."""
    load = loader(dataset.source, plan, dataset.transform)

    @tf.autograph.experimental.do_not_convert
    def for_each_consumer(*step):
        return tf.data.Dataset.range(plan.workers).map(lambda consumer: (*step, consumer))

    @tf.autograph.experimental.do_not_convert
    def rows(step, bucket, sample, consumer):
        return step, *load(bucket, sample, consumer)

    steps = step_stream(plan, dataset.start).shard(servers, number).flat_map(for_each_consumer)
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    return steps.map(rows, num_parallel_calls=dataset.parallel_calls, deterministic=True).with_options(options)


def _in_turn(parts: list[tf.data.Dataset], dataset: MixSizeDataset) -> tf.data.Dataset:
    """Return the batches in the plan's order, one from each server after the other."""

    @tf.autograph.experimental.do_not_convert
    def check(turn, element):
        message = "the service gave another step than the plan's next; give the same servers and job= in all consumers"
        with tf.control_dependencies([tf.debugging.assert_equal(element[0], turn, message)]):
            return tf.nest.map_structure(tf.identity, element[1:])

    turns = tf.data.Dataset.range(tf.int64.max)
    batches = tf.data.Dataset.choose_from_datasets(parts, turns.map(lambda turn: turn % len(parts)))
    batches = batches.enumerate(dataset.start).map(check)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    endless = batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return endless.with_options(options).prefetch(tf.data.AUTOTUNE)
