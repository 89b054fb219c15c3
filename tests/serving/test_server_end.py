"""The server is told to end while requests come."""

import http.client
import random
import signal
import threading
import time

import pytest
from server import V2, address, needs_server, pixels_as_json, running

pytestmark = [pytest.mark.slow, needs_server]
MIB = 1 << 20


def clients_until_the_end(url, server, seconds):
    """Return what became of the requests of 16 clients while the server was told to end."""
    lost, answered, ending = [], [], threading.Event()

    def ask(number):
        while not ending.is_set():
            connection = http.client.HTTPConnection(*address(url), timeout=60)
            try:
                connection.connect()
            except OSError:  # it takes no connections any more
                return
            try:
                connection.request("POST", V2, pixels_as_json(number * 5000 + 64))
                answered.append(connection.getresponse().status)
            except OSError as error:
                lost.append(repr(error))
            finally:
                connection.close()

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    server.send_signal(signal.SIGTERM)
    for client in clients:
        client.join(60)
    ending.set()
    return lost, answered


@pytest.mark.parametrize("seed", range(3))
def test_all_that_was_accepted_is_answered_when_the_server_is_told_to_end(path, seed):
    with running(path) as (url, server):
        lost, answered = clients_until_the_end(url, server, random.Random(seed).uniform(0.5, 2))
        assert server.wait(60) == 0
    assert lost == [] and len(answered) > 16 and set(answered) == {200}
