"""Joining the workers of TF_CONFIG: a port in use is named, waiting is said, and a pause ends no run."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from keras_mixsize.cli.group import free_addresses, tf_configs
from keras_mixsize.distribution import cluster, join_workers

JOIN = """
import tensorflow as tf
from keras_mixsize.distribution import join_workers
strategy = join_workers(heartbeat_seconds=60)
summed = tf.function(lambda: strategy.reduce("SUM", strategy.run(lambda: tf.ones([])), axis=None))
for step in range(1000):
    print(step, float(summed()), flush=True)
    if input() == "end":
        break
"""


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_heartbeat_must_take_time(seconds):
    with pytest.raises(ValueError, match="heartbeat_seconds must be above 0, got "):
        join_workers(heartbeat_seconds=seconds)


def test_a_port_in_use_is_named(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        monkeypatch.setenv("TF_CONFIG", tf_configs([address, "127.0.0.1:1"])[0])
        message = f"port {address[10:]} of the worker {address} is not free .Address already in use.; end the program"
        with pytest.raises(OSError, match=message):
            join_workers()


def test_only_what_takes_long_is_said(capfd):
    with cluster._said_after(0.01, "a word"):
        while capfd.readouterr().err != "a word\n":
            time.sleep(0.01)
    with cluster._said_after(60, "a word"):
        pass
    assert capfd.readouterr().err == ""


@pytest.fixture
def start():
    """A function that starts one of two workers, which does a step for each line that it is given."""
    started = []

    def start(config):
        environment = os.environ | {"TF_CONFIG": config, "TF_CPP_MIN_LOG_LEVEL": "3"}
        pipes = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE)
        command = [sys.executable, "-W", "ignore", "-c", JOIN]
        started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()
        worker.communicate()


@pytest.mark.slow
def test_a_worker_that_waits_says_so_and_a_pause_of_fifteen_seconds_ends_no_run(start):
    addresses = free_addresses(2)
    first, second = tf_configs(addresses)
    workers = [start(first)]
    line = next(line for line in workers[0].stderr if "waits" in line)
    assert line.startswith(f"the worker at {addresses[0]} waits for {addresses[1]}; start all of them")
    workers.append(start(second))
    assert [worker.stdout.readline() for worker in workers] == ["0 2.0\n"] * 2
    workers[1].send_signal(signal.SIGSTOP)
    time.sleep(15)
    workers[1].send_signal(signal.SIGCONT)
    for worker in workers:
        worker.stdin.write("\nend\n")
        worker.stdin.flush()
    assert [worker.stdout.readline() for worker in workers] == ["1 2.0\n"] * 2
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
