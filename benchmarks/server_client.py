"""A server of an export as a process, a client that measures, and the memory that the server has.

    with running_server("runs/serve/exported") as (url, server):
        Client(url).ask(request).milliseconds
        resident_mib(server.pid)

Neighbours: `server_requests` (what is asked). Owns the flag `--python`.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import pathlib
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from typing import NamedTuple

from absl import flags
from measuring import seconds_of
from server_requests import Request

ROOT = pathlib.Path(__file__).parents[1]
PYTHON = flags.DEFINE_string("python", str(ROOT / ".venv-serving/bin/python"), "Interpreter with kserve.")


class Refused(Exception):
    """The server takes no connections."""


class Answer(NamedTuple):
    """What came back for a request."""

    status: int
    body: bytes
    milliseconds: float


class Client:
    """A connection to a server, opened again where the server closed it."""

    def __init__(self, url: str):
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)

    def ask(self, request: Request) -> Answer:
        """Return what comes back.

        Raises:
            Refused: no connection was to be had.
            OSError, http.client.HTTPException: the request was lost.
        """
        found = []
        seconds = seconds_of(lambda: found.extend(self._send(request)))
        return Answer(*found, 1000 * seconds)

    def _send(self, request: Request) -> tuple[int, bytes]:
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except ConnectionRefusedError as error:
                raise Refused from error
        self._connection.request("POST", request.path, request.body, dict(request.headers))
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def resident_mib(process: int) -> float:
    """Return the memory that a process and its children have in use."""
    children = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return sum(_resident_mib(number) for number in (process, *children))


def _resident_mib(process: int | str) -> float:
    lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@contextlib.contextmanager
def running_server(exported: str, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Yield the address and the process of a server of an export, which ends with the block.

    Args:
        exported: folder of the versions.
        options: of `mixsize serve`.
    """
    command = [PYTHON.value, "-m", "keras_mixsize", "serve", str(pathlib.Path(exported).resolve()), "--port=0"]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "cwd": ROOT}
    with subprocess.Popen([*command, *options], **settings) as server:
        try:
            lines = iter(server.stdout.readline, "")
            url = next(line for line in lines if line.startswith("listening")).split()[-1]
            threading.Thread(target=collections.deque, args=(lines, 0), daemon=True).start()  # or its pipe runs full
            yield url, server
        finally:
            server.terminate()
