"""The server under load, at its limits, when it ends and when a newer version comes, with clients that misbehave."""

import base64
import concurrent.futures
import json
import re
import socket
import time

import numpy as np
import pytest
import tensorflow as tf
from server import BODY, V1, V2, address, needs_server, pixels_as_json, running, send

pytestmark = [pytest.mark.slow, needs_server]
MIB = 1 << 20


@pytest.fixture(scope="module")
def url(path):
    """The address of a server that takes bodies of up to 8 MiB, and 8 requests at a time."""
    with running(path, "--max_body_mb=8", "--max_waiting=8") as (url, _):
        yield url


def test_a_body_above_the_limit_gets_413_and_its_text(url):
    for size in (9 * MIB, 40 * MIB):
        try:
            status, text = send(url, body=bytes(size))
        except (BrokenPipeError, ConnectionResetError):
            assert size > 4 * 8 * MIB  # hung up on while it sent many times the limit
        else:
            assert status == 413 and b"at most 8388608 bytes" in text
    assert send(url)[0] == 200


def test_a_body_of_unknown_length_is_limited_too(url):
    status, _ = send(url, body=(bytes(MIB) for _ in range(9)))  # sent in chunks
    assert status == 413


def test_requests_beyond_the_queue_get_503_and_all_others_are_answered(url):
    body = pixels_as_json(300_000)  # in the processes that read, for a while
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        statuses = [status for status, _ in pool.map(lambda _: send(url, V2, body), range(24))]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 8
    assert send(url)[0] == 200


def test_large_json_is_answered_as_raw_bytes_are(url):
    count = 200_000
    pixels = np.random.default_rng(0).integers(100, 256, count).astype("uint8")
    value = {"name": "images", "shape": [1, 1, count, 1], "datatype": "UINT8"}
    header = json.dumps({"inputs": [value | {"parameters": {"binary_data_size": count}}]}).encode()
    binary = send(url, V2, header + pixels.tobytes(), {"Inference-Header-Content-Length": str(len(header))})
    assert (
        binary[0] == 200
        and json.loads(binary[1])["outputs"] == json.loads(send(url, V2, pixels_as_json(count))[1])["outputs"]
    )


def test_a_large_file_is_answered_alike_alone_and_among_others(url):
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1000, 1)).astype("uint8")
    data = base64.b64encode(tf.io.encode_png(pixels).numpy()).decode()
    body = json.dumps({"size": 8, "instances": [{"b64": data}]}).encode()
    alone = send(url, body=body)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert {*pool.map(lambda _: send(url, body=body), range(6)), alone} == {alone}
    assert alone[0] == 200


def test_large_json_that_is_broken_is_refused(url):
    status, text = send(url, V2, pixels_as_json(300_000)[:-3])
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
            statuses = {status for status, _ in pool.map(lambda _: send(url), range(8))}
    assert statuses == {200}  # no place in the queue was lost


def test_half_a_body_gets_408_in_the_end(url):
    with socket.create_connection(address(url), timeout=60) as client:
        client.sendall(f"POST {V1} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{{".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 408")
