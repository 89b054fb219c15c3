"""`mixsize serve` as a process, for tests; needs `make serve`'s environment, or SERVING_PYTHON with kserve."""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[1]
PYTHON = pathlib.Path(os.environ.get("SERVING_PYTHON", ROOT / ".venv-serving/bin/python")).absolute()
needs_server = pytest.mark.skipif(
    not PYTHON.exists(),
    reason=f"{PYTHON} does not exist; make serve makes it, or SERVING_PYTHON names another with kserve",
)

PNG = tf.io.encode_png(np.random.default_rng(0).integers(0, 256, (12, 12, 1)).astype("uint8")).numpy()
B64 = base64.b64encode(PNG).decode()
V1, V2 = "/v1/models/mixsize:predict", "/v2/models/mixsize/infer"
BODY = json.dumps({"size": 8, "instances": [{"b64": B64}]}).encode()
COMMAND = [str(PYTHON), "-m", "keras_mixsize", "serve"]  # from ROOT, where Python finds the package


@contextlib.contextmanager
def running(path: pathlib.Path, *options: str, stderr=None) -> Iterator[tuple[str, subprocess.Popen]]:
    """Serve an export and yield the address and the process.

    Args:
        path: folder of the versions.
        options: of the command.
        stderr: file for its log.
    """
    with subprocess.Popen(
        [*COMMAND, str(path), "--port=0", *options], stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT
    ) as server:
        lines = iter(server.stdout.readline, "")
        try:
            yield next(line for line in lines if line.startswith("listening")).split()[-1], server
        finally:
            server.terminate()


def post(url, body):
    """Return the status and the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def v1(url, body):
    return post(f"{url}/v1/models/mixsize:predict", body)


def v2(url, body):
    return post(f"{url}/v2/models/mixsize/infer", body)


def address(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def send(url, path=V1, body=BODY, headers=None):
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
