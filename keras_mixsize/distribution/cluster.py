"""Cluster: how a process becomes one of the workers that TF_CONFIG lists.

Neighbour: `workers`, what they tell each other from then on. Must be called before anything else of TensorFlow.

    strategy = join_workers(heartbeat_seconds=120)
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import tensorflow as tf

from keras_mixsize.internals import set_heartbeat

_SILENCE = 5.0  # seconds that a worker waits for the others before it says so


def join_workers(*, heartbeat_seconds: float = 30.0) -> tf.distribute.MultiWorkerMirroredStrategy:
    """Return a MultiWorkerMirroredStrategy as soon as all workers of TF_CONFIG are there.

    It is TensorFlow's, but for three things: a worker may pause for longer, one that waits for others says so on
    stderr after five seconds, and a port in use is named.

        strategy = kms.distribution.join_workers()

    Args:
        heartbeat_seconds: the others give a worker up, and end with an UnavailableError, when it has not been heard of
            for so long, because it was killed or paused. TensorFlow's own is ten seconds.

    Raises:
        ValueError: `heartbeat_seconds` is not above 0.
        OSError: the port of this worker cannot be listened on.
    """
    if not heartbeat_seconds > 0:
        raise ValueError(f"heartbeat_seconds must be above 0, got {heartbeat_seconds!r}")
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    cluster = resolver.cluster_spec()
    addresses = [address for job in ("chief", "worker") if job in cluster.jobs for address in cluster.job_tasks(job)]
    if len(addresses) < 2:
        return tf.distribute.MultiWorkerMirroredStrategy()
    own = cluster.task_address(resolver.task_type, resolver.task_id)
    _check_port(own)
    set_heartbeat(cluster, heartbeat_seconds)
    others = ", ".join(address for address in addresses if address != own)
    with _said_after(_SILENCE, f"the worker at {own} waits for {others}; start all of them with the same cluster"):
        return tf.distribute.MultiWorkerMirroredStrategy()


def _check_port(address: str) -> None:
    port = int(address.rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        remedy = "end the program that has it, or give this worker another port in TF_CONFIG of all"
        message = f"port {port} of the worker {address} is not free ({os.strerror(error.errno)}); {remedy}"
        raise OSError(error.errno, message) from error


@contextlib.contextmanager
def _said_after(seconds: float, message: str) -> Iterator[None]:
    """Write a message to stderr if the block takes so long.

    A process does it, because TensorFlow lets no other thread of this one run while it waits.
    """
    command = ["sh", "-c", 'sleep "$0"; echo "$1" >&2', str(seconds), message]
    saying = subprocess.Popen(command, start_new_session=True)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(saying.pid, signal.SIGKILL)
        saying.wait()
