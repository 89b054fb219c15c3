"""start the workers of a multi-worker training, here or on several machines

    mixsize launch --workers=2 -- mixsize train --strategy=multi_worker --output=runs/two --resume
    mixsize launch --hosts=node1:12355,node2:12355 --index=0 -- mixsize train ...      # on node1

Sets TF_CONFIG, which tf.distribute.MultiWorkerMirroredStrategy reads. With --hosts this process
becomes one worker. With --workers it prints what the workers print, with their number before it; if
one dies, the others, which would wait for it in vain, are killed, and --restarts starts all of them
again. SIGTERM and Ctrl-C are handed to all.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from absl import flags

from keras_mixsize.cli.group import Group, environment_of, free_addresses, shares_of_cores, tf_configs

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
WORKERS = flags.DEFINE_integer("workers", None, "Workers on this machine.", lower_bound=1, **_OWN)
HOSTS = flags.DEFINE_list("hosts", None, "host:port of every worker, the same on all machines.", **_OWN)
INDEX = flags.DEFINE_integer("index", None, "Which of --hosts this machine is, from 0.", lower_bound=0, **_OWN)
RESTARTS = flags.DEFINE_integer("restarts", 0, "How often all are started again after one died.", lower_bound=0, **_OWN)
PIN = flags.DEFINE_boolean("pin", False, "Give each of --workers its own share of the cores.", **_OWN)


def main(arguments: Sequence[str]) -> int:
    """Start the workers and return the exit status of the first that failed, or 0."""
    check_flags()
    if not arguments:
        raise ValueError("the workers' command is missing, as in `mixsize launch --workers=2 -- mixsize train ...`")
    command = [sys.executable, "-m", "keras_mixsize", *arguments[1:]] if arguments[0] == "mixsize" else [*arguments]
    if HOSTS.value:
        os.execvpe(command[0], command, environment_of(tf_configs(HOSTS.value)[INDEX.value]))
    for attempt in range(RESTARTS.value + 1):
        status, stopped = run_once(command)
        if status == 0 or stopped:
            break
        if attempt < RESTARTS.value:
            print(f"starting all workers again ({attempt + 1} of {RESTARTS.value})", flush=True)
    return status if status >= 0 else 128 - status


def check_flags() -> None:
    """Raise a ValueError if the flags do not say which workers to start."""
    if (WORKERS.value is None) == (HOSTS.value is None):
        raise ValueError("give either --workers (all on this machine) or --hosts and --index (one of several machines)")
    if HOSTS.value is None:
        return
    if INDEX.value is None or INDEX.value >= len(HOSTS.value):
        raise ValueError(f"--index must lie in [0, {len(HOSTS.value)}), got {INDEX.value}")
    wrong = [host for host in HOSTS.value if not host.rpartition(":")[0] or not host.rpartition(":")[2].isdigit()]
    if wrong:
        raise ValueError(f"--hosts must be host:port, got {wrong[0]}")
    if RESTARTS.value:
        raise ValueError("--restarts needs --workers: on several machines the scheduler starts the whole job again")


def run_once(command: Sequence[str]) -> tuple[int, bool]:
    """Start the workers of this machine and wait for them.

    Returns:
        The exit status, and whether a signal asked us to stop.
    """
    cores = shares_of_cores(WORKERS.value) if PIN.value else None
    stopped, groups = threading.Event(), []

    def stop(number, frame):
        stopped.set()
        for group in groups:
            group.signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    group = Group(command, tf_configs(free_addresses(WORKERS.value)), cores)
    groups.append(group)
    if stopped.is_set():  # while the workers were being started
        group.signal(signal.SIGTERM)
    return group.wait(), stopped.is_set()
