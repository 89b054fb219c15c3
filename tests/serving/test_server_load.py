"""The server under load, at its limits, when it ends and when a newer version comes, with clients that misbehave."""

import base64
import concurrent.futures
import http.client
import json
import random
import re
import shutil
import signal
import socket
import threading
import time
import urllib.parse

import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network
from server import needs_server, running

import keras_mixsize as kms

pytestmark = [pytest.mark.slow, needs_server]
V1, V2 = "/v1/models/mixsize:predict", "/v2/models/mixsize/infer"
PNG = tf.io.encode_png(np.random.default_rng(0).integers(0, 256, (12, 12, 1)).astype("uint8")).numpy()
BODY = json.dumps({"size": 8, "instances": [{"b64": base64.b64encode(PNG).decode()}]}).encode()
MIB = 1 << 20


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported")
    kms.export_saved_model(tiny_network(), path, [8, 12])
    return path


@pytest.fixture(scope="module")
def url(path):
    """The address of a server that takes bodies of up to 8 MiB, and 8 requests at a time."""
    with running(path, "--max_body_mb=8", "--max_waiting=8") as (url, _):
        yield url


def address(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def post(url, path=V1, body=BODY, headers=None):
    connection = http.client.HTTPConnection(*address(url), timeout=120)
    try:
        connection.request("POST", path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def pixels_as_json(count):
    """Return a V2 request with so many pixels, of 4 bytes each on average."""
    values = np.random.default_rng(0).integers(100, 256, count).tolist()
    value = {"name": "images", "shape": [1, 1, count, 1], "datatype": "UINT8", "data": values}
    return json.dumps({"inputs": [value]}).encode()


def test_a_body_above_the_limit_gets_413_and_its_text(url):
    for size in (9 * MIB, 40 * MIB):
        try:
            status, text = post(url, body=bytes(size))
        except (BrokenPipeError, ConnectionResetError):
            assert size > 4 * 8 * MIB  # hung up on while it sent many times the limit
        else:
            assert status == 413 and b"at most 8388608 bytes" in text
    assert post(url)[0] == 200


def test_a_body_of_unknown_length_is_limited_too(url):
    status, _ = post(url, body=(bytes(MIB) for _ in range(9)))  # sent in chunks
    assert status == 413


def test_requests_beyond_the_queue_get_503_and_all_others_are_answered(url):
    body = pixels_as_json(300_000)  # in the processes that read, for a while
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        statuses = [status for status, _ in pool.map(lambda _: post(url, V2, body), range(24))]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 8
    assert post(url)[0] == 200


def test_large_json_is_answered_as_raw_bytes_are(url):
    count = 200_000
    pixels = np.random.default_rng(0).integers(100, 256, count).astype("uint8")
    value = {"name": "images", "shape": [1, 1, count, 1], "datatype": "UINT8"}
    header = json.dumps({"inputs": [value | {"parameters": {"binary_data_size": count}}]}).encode()
    binary = post(url, V2, header + pixels.tobytes(), {"Inference-Header-Content-Length": str(len(header))})
    assert (
        binary[0] == 200
        and json.loads(binary[1])["outputs"] == json.loads(post(url, V2, pixels_as_json(count))[1])["outputs"]
    )


def test_large_json_that_is_broken_is_refused(url):
    status, text = post(url, V2, pixels_as_json(300_000)[:-3])
    assert status == 400 and b"the body is no JSON" in text and len(text) < 300


def test_a_connection_is_kept_and_requests_in_a_row_on_it_are_answered_in_order(url):
    head = f"POST {V1} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    bad = b"POST " + V1.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n?"
    with socket.create_connection(address(url), timeout=60) as client:
        client.sendall((head + BODY) * 2 + bad + head + BODY)
        received = b""
        while received.count(b"HTTP/1.1 ") < 4:
            received += client.recv(65536)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", b"400", b"200"]


def test_clients_that_go_away_leave_the_server_as_it_was(url):
    head = f"POST {V1} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    for sent in (head[:20], head, head + BODY[:50], head + BODY) * 8:
        with socket.create_connection(address(url)) as client:
            client.sendall(sent)
    deadline, statuses = time.monotonic() + 30, set()
    while statuses != {200} and time.monotonic() < deadline:  # what was whole is answered all the same
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            statuses = {status for status, _ in pool.map(lambda _: post(url), range(8))}
    assert statuses == {200}  # no place in the queue was lost


def test_half_a_body_gets_408_in_the_end(url):
    with socket.create_connection(address(url), timeout=60) as client:
        client.sendall(f"POST {V1} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{{".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 408")


def test_a_newer_version_takes_over_and_no_request_is_lost(path, tmp_path):
    shutil.copytree(path, tmp_path / "exported")
    folder = tmp_path / "exported"
    with running(folder) as (url, _):
        seen, ending = [], threading.Event()

        def ask():
            while not ending.is_set():
                seen.append((post(url)[0], json.loads(post(url, V2, pixels_as_json(64))[1])["model_version"]))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        (folder / "3").mkdir()  # a broken one is left out
        (folder / "3/saved_model.pb").write_bytes(b"")
        kms.export_saved_model(tiny_network(), folder, [8, 12], version=4)
        deadline = time.monotonic() + 60
        while (200, "4") not in seen[-4:] and time.monotonic() < deadline:
            time.sleep(0.1)
        ending.set()
        for thread in asking:
            thread.join()
        versions = [version for _, version in seen]
        assert {status for status, _ in seen} == {200} and set(versions) == {"1", "4"}
        for version, status in (("4", 200), ("1", 404), ("x", 404)):
            assert post(url, f"/v1/models/mixsize/versions/{version}:predict")[0] == status
            assert post(url, f"/v2/models/mixsize/versions/{version}/infer", pixels_as_json(64))[0] == status


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
