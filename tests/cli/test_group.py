"""The workers of this machine: their addresses, their cores, and their end."""

import json
import os
import signal
import socket
import sys

import pytest

from keras_mixsize.cli.group import Group, free_addresses, shares_of_cores, tf_configs


def test_each_worker_is_told_all_hosts_and_which_it_is():
    first, second = (json.loads(config) for config in tf_configs(["a:1", "b:2"]))
    assert first["cluster"] == second["cluster"] == {"worker": ["a:1", "b:2"]}
    assert (first["task"]["index"], second["task"]["index"]) == (0, 1)


def test_addresses_are_free_and_differ():
    addresses = free_addresses(3)
    assert len(set(addresses)) == 3
    for address in addresses:
        host, _, port = address.partition(":")
        with socket.create_server((host, int(port))):
            pass


@pytest.mark.parametrize("workers", [1, len(os.sched_getaffinity(0))])
def test_cores_are_shared_without_rest(workers):
    shares = shares_of_cores(workers)
    assert sorted(core for share in shares for core in share) == sorted(os.sched_getaffinity(0))
    assert all(shares)


def test_the_status_is_that_of_the_worker_that_failed(capfd):
    code = "import os, sys, json; sys.exit(3 * json.loads(os.environ['TF_CONFIG'])['task']['index'])"
    assert Group([sys.executable, "-c", code], tf_configs(["a:1", "b:2"])).wait() == 3
    assert "[1] ended with status 3" in capfd.readouterr().out


def test_a_signal_reaches_a_worker(capfd):
    group = Group([sys.executable, "-c", "import time; time.sleep(3000)"], tf_configs(["a:1"]))
    group.signal(signal.SIGTERM)  # a process in the background of a shell would ignore SIGINT
    assert group.wait() != 0
