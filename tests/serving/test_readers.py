"""Requests that are read in another process are read as here."""

import asyncio
import base64
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_mixsize.serving import readers
from keras_mixsize.serving.asking import Refused

PNG = b"\x89PNG\r\n\x1a\n\xfb\xff\xfe rest of it" * 9
B64 = base64.b64encode(PNG).decode()
PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
INPUT = {"name": "images", "shape": [2, 3, 4, 1], "datatype": "FP32"}
FORMS = {
    "array": ("v1", {"instances": PIXELS.tolist(), "size": 24}),
    "files": ("v1", {"inputs": [{"b64": B64}, {"b64": ""}]}),
    "floats": ("v2", {"inputs": [INPUT | {"data": (PIXELS / 255).ravel().tolist()}], "outputs": [{"name": "logits"}]}),
    "nothing": ("v2", {"inputs": [{"name": "images", "shape": [0, 3, 4, 1], "datatype": "UINT8", "data": []}]}),
}


@pytest.fixture(scope="module")
def processes():
    found = readers.Readers()
    found.start()
    yield found
    found.stop()


def read(processes, protocol, body, parts=3):
    """Read a body that came in some parts."""
    length = -(-len(body) // parts)
    chunks = [body[start : start + length] for start in range(0, len(body), length)]
    return asyncio.run(processes.read(chunks, protocol, "application/json", None))


@pytest.mark.parametrize("name", FORMS)
def test_a_process_reads_what_would_be_read_here(processes, name):
    protocol, request = FORMS[name]
    body = json.dumps(request).encode()
    here, there = readers.read(body, protocol, "", None), read(processes, protocol, body)
    assert there.with_values({"images": []}) == here.with_values({"images": []})
    assert type(there.images) is type(here.images)
    np.testing.assert_array_equal(there.images, here.images)
    assert getattr(there.images, "dtype", None) == getattr(here.images, "dtype", None)


def test_a_refusal_comes_back(processes):
    with pytest.raises(Refused, match="did you mean size") as caught:
        read(processes, "v1", json.dumps({"sise": 8, "instances": [{"b64": B64}]}).encode())
    assert caught.value.status == 400


def test_a_fault_of_the_reader_is_one_of_the_server(processes):
    with pytest.raises(RuntimeError, match="AttributeError"):
        asyncio.run(processes.read([b"{}"], "v1", None, None))


def send_to_all(processes, number):
    """Send a signal to each process; return how many there are."""
    waiting = [processes._idle.get() for _ in range(processes._idle.qsize())]
    for reader in waiting:
        os.kill(reader._process.pid, number)
        processes._idle.put(reader)
    return len(waiting)


def test_a_reader_that_ends_is_said_and_another_takes_its_place(processes):
    body = json.dumps({"instances": PIXELS.tolist()}).encode()
    for _ in range(send_to_all(processes, signal.SIGKILL)):
        with pytest.raises(Refused, match="ended, as for lack of memory; send fewer images") as caught:
            read(processes, "v1", body)
        assert caught.value.status == 503
    assert read(processes, "v1", body).images.shape == (2, 3, 4, 1)


def test_readers_go_on_when_the_server_is_told_to_end(processes):
    body = json.dumps({"instances": PIXELS.tolist()}).encode()
    for _ in range(processes._idle.qsize()):  # so that all of them run, as when a server has started
        read(processes, "v1", body)
    for number in (signal.SIGTERM, signal.SIGINT):
        send_to_all(processes, number)
    assert read(processes, "v1", body).images.shape == (2, 3, 4, 1)


def test_a_reader_that_hangs_keeps_nobody_from_ending():
    processes = readers.Readers()
    processes.start()
    send_to_all(processes, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, processes, "v1", b"{}")
        with pytest.raises(TimeoutError):
            reading.result(0.5)
        processes.stop()
        with pytest.raises(Refused, match="ended"):
            reading.result(30)
