"""Starts the workers of a multi-worker training: all of them on one machine, or one of them on each of several.

    python experiments/launch.py --workers=2 -- python experiments/train.py --strategy=multi_worker --output=runs/two --resume
    python experiments/launch.py --hosts=node1:12355,node2:12355 --index=0 -- python train.py ...        # on node1

Sets TF_CONFIG, which tf.distribute.MultiWorkerMirroredStrategy reads. With --hosts this process becomes the worker. With
--workers it prints what the workers print with their number before it; if one dies, the others, which would wait for it in
vain, are killed; --restarts starts all of them again, so that a run with `callbacks.Resume` loses no more than what came
after its last checkpoint; SIGTERM and Ctrl-C are handed to all. docs/machines.md has recipes for Slurm and Kubernetes.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading

from absl import app, flags

WORKERS = flags.DEFINE_integer("workers", None, "Workers on this machine.", lower_bound=1)
HOSTS = flags.DEFINE_list(
    "hosts", None, "host:port of every worker, the same on all machines; this one starts one of them."
)
INDEX = flags.DEFINE_integer("index", None, "Which of --hosts this machine is, from 0.", lower_bound=0)
RESTARTS = flags.DEFINE_integer("restarts", 0, "How often all workers are started again after one died.", lower_bound=0)
PIN = flags.DEFINE_boolean("pin", False, "Give each of --workers its own share of the processor's cores.")


def tf_configs(hosts: list[str]) -> list[str]:
    """Return the TF_CONFIG of every worker.

    Args:
        hosts: `host:port` of each.
    """
    return [
        json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": i}}) for i in range(len(hosts))
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

    def __init__(self, command: list[str], configs: list[str], cores: list[list[int]] | None = None):
        self._workers = []
        for index, config in enumerate(configs):
            with _only_on(cores[index]) if cores else contextlib.nullcontext():
                self._workers.append(_start(command, config))
        self._printers = [
            threading.Thread(target=_print_lines, args=item, daemon=True) for item in enumerate(self._workers)
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
def _only_on(cores: list[int]):
    """Use these cores only, as do processes started meanwhile, from their first instruction on."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _start(command: list[str], config: str) -> subprocess.Popen:
    environment = environment_of(config) | {"PYTHONUNBUFFERED": "1"}
    # a session of its own, so that Ctrl-C reaches it through us alone, once
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def _print_lines(index: int, worker: subprocess.Popen) -> None:
    for line in worker.stdout:
        sys.stdout.write(f"[{index}] {line.decode(errors='replace')}")
        sys.stdout.flush()


def shares_of_cores(workers: int) -> list[list[int]]:
    """Return the cores of each worker: equal shares of those that this process may use."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < workers:
        raise app.UsageError(f"--pin needs a core for each of the {workers} workers, got {len(cores)} cores")
    bounds = [len(cores) * index // workers for index in range(workers + 1)]
    return [cores[low:high] for low, high in zip(bounds, bounds[1:])]


def check_flags() -> None:
    """Raise a UsageError if the flags do not say which workers to start."""
    if (WORKERS.value is None) == (HOSTS.value is None):
        raise app.UsageError(
            "give either --workers (all on this machine) or --hosts and --index (one of several machines)"
        )
    if HOSTS.value is None:
        return
    if INDEX.value is None or INDEX.value >= len(HOSTS.value):
        raise app.UsageError(f"--index must lie in [0, {len(HOSTS.value)}), got {INDEX.value}")
    wrong = [host for host in HOSTS.value if not host.rpartition(":")[0] or not host.rpartition(":")[2].isdigit()]
    if wrong:
        raise app.UsageError(f"--hosts must be host:port, got {wrong[0]}")
    if RESTARTS.value:
        raise app.UsageError("--restarts needs --workers: on several machines the scheduler starts the whole job again")


def run_once(command: list[str]) -> tuple[int, bool]:
    """Start the workers of this machine and wait for them.

    Returns:
        The exit status, and whether a signal asked us to stop.
    """
    cores = shares_of_cores(WORKERS.value) if PIN.value else None
    group = Group(command, tf_configs(free_addresses(WORKERS.value)), cores)
    stopped = threading.Event()

    def stop(number, frame):
        stopped.set()
        group.signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return group.wait(), stopped.is_set()


def main(argv):
    check_flags()
    if not argv[1:]:
        raise app.UsageError("the workers' command is missing: launch.py --workers=2 -- python train.py ...")
    if HOSTS.value:
        os.execvpe(argv[1], argv[1:], environment_of(tf_configs(HOSTS.value)[INDEX.value]))
    for attempt in range(RESTARTS.value + 1):
        status, stopped = run_once(argv[1:])
        if status == 0 or stopped:
            break
        if attempt < RESTARTS.value:
            print(f"starting all workers again ({attempt + 1} of {RESTARTS.value})", flush=True)
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    app.run(main)
