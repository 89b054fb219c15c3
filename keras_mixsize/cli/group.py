"""Workers of a multi-worker training on this machine: processes that live and die together. Loads no TensorFlow.

TF_CONFIG, which tf.distribute.MultiWorkerMirroredStrategy reads, says to each which of them it is. Neighbour: `launch`.

    group = Group(["python", "train.py"], tf_configs(free_addresses(2)))
    status = group.wait()
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO


def tf_configs(hosts: Sequence[str]) -> list[str]:
    """Return the TF_CONFIG of every worker.

    Args:
        hosts: `host:port` of each.
    """
    return [
        json.dumps({"cluster": {"worker": list(hosts)}, "task": {"type": "worker", "index": i}})
        for i in range(len(hosts))
    ]


def free_addresses(count: int) -> list[str]:
    """Return addresses of this machine at ports that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{listening.getsockname()[1]}" for listening in sockets]
    for listening in sockets:
        listening.close()
    return addresses


class Group:
    """Workers on this machine that live and die together.

    Args:
        command: of every worker.
        configs: TF_CONFIG of each.
        cores: of each, as numbers, or None for all.
    """

    def __init__(self, command: Sequence[str], configs: Sequence[str], cores: Sequence[list[int]] | None = None):
        self._workers = []
        for index, config in enumerate(configs):
            with _only_on(cores[index]) if cores else contextlib.nullcontext():
                self._workers.append(_start(command, config))
        self._printers = [
            threading.Thread(target=_print_lines, args=(index, worker.stdout), daemon=True)
            for index, worker in enumerate(self._workers)
        ]
        for printer in self._printers:
            printer.start()

    def signal(self, number: int) -> None:
        """Hand a signal to every worker that is alive."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(number)

    def wait(self) -> int:
        """Wait for all workers, or for one that fails, and return the first exit status that is not 0, or 0.

        A worker that ended by itself at SIGTERM (143) has saved its state, and the others are about to.
        """
        failed = threading.Event()
        statuses = {}

        def watch(index, worker):
            statuses[index] = worker.wait()
            if statuses[index] not in (0, 128 + signal.SIGTERM):
                failed.set()

        watchers = [threading.Thread(target=watch, args=item, daemon=True) for item in enumerate(self._workers)]
        for watcher in watchers:
            watcher.start()
        while any(watcher.is_alive() for watcher in watchers):
            if failed.wait(0.2):
                self.signal(signal.SIGKILL)
                break
        for thread in (*watchers, *self._printers):
            thread.join()
        wrong = [(index, status) for index, status in statuses.items() if status != 0]
        for index, status in wrong[:1]:
            print(f"[{index}] ended with status {status}", flush=True)
        return wrong[0][1] if wrong else 0


def environment_of(config: str) -> dict[str, str]:
    """Return the environment of the worker with a TF_CONFIG."""
    return {"TF_CPP_MIN_LOG_LEVEL": "2"} | os.environ | {"TF_CONFIG": config}


@contextlib.contextmanager
def _only_on(cores: list[int]) -> Iterator[None]:
    """Use these cores only, as do processes started meanwhile, from their first instruction on."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _start(command: Sequence[str], config: str) -> subprocess.Popen:
    environment = environment_of(config) | {"PYTHONUNBUFFERED": "1"}
    # a session of its own, so that Ctrl-C reaches it through us alone, once
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def _print_lines(index: int, output: IO[bytes]) -> None:
    with output:
        for line in output:
            sys.stdout.write(f"[{index}] {line.decode(errors='replace')}")
            sys.stdout.flush()


def shares_of_cores(workers: int) -> list[list[int]]:
    """Return the cores of each worker: equal shares of those that this process may use.

    Raises:
        ValueError: fewer cores than workers.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < workers:
        raise ValueError(f"--pin needs a core for each of the {workers} workers, got {len(cores)} cores")
    bounds = [len(cores) * index // workers for index in range(workers + 1)]
    return [cores[low:high] for low, high in zip(bounds, bounds[1:])]
