"""Processes that read large requests, because who parses or decodes holds Python's lock for as long as it takes.

A request goes there and what it asks for comes back in parts, so that no copy of it holds that lock for long either.
Neighbours: `bodies` (who calls it), `v1` and `v2` (which read).

    readers = Readers()
    readers.start()
    asked = await readers.read(chunks, "v1", content_type="application/json", header_length=None)
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import numpy as np

from keras_mixsize.serving import v1, v2
from keras_mixsize.serving.asking import Asked, Refused, is_file

_COUNT = min(8, max(2, os.cpu_count() or 1))


class Readers:
    """A process for each core, up to eight, and as many threads that talk to them."""

    def __init__(self):
        self._threads = ThreadPoolExecutor(_COUNT, "read")
        self._readers: list[_Reader] = []
        self._idle: queue.SimpleQueue[_Reader] = queue.SimpleQueue()

    def start(self) -> None:
        """Start the processes, so that the first large request does not wait for it."""
        self._readers = [_Reader() for _ in range(_COUNT)]
        for reader in self._readers:
            reader.wait()
            self._idle.put(reader)

    def stop(self) -> None:
        """End the processes, whatever they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in self._readers:
            reader.kill()
        self._threads.shutdown()  # at once, because who waits for a process sees its end
        for reader in self._readers:
            reader.close()

    async def read(self, chunks: list[bytes], *form: str | None) -> Asked:
        """Return what a body asks for.

        Args:
            chunks: the body's parts.
            form: protocol, content type and header length, as `read` takes them.

        Raises:
            Refused: it cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, chunks, form)

    def _read(self, chunks: list[bytes], form: tuple) -> Asked:
        reader = self._idle.get()  # there are as many as threads
        try:
            return reader.read(chunks, form)
        except (EOFError, OSError):
            reader.restart()
            text = "the process that reads large requests ended, as for lack of memory; send fewer images at a time"
            raise Refused(text, 503) from None
        finally:
            self._idle.put(reader)


class _Reader:
    """A process that reads; it ends with this one, however this one ends, as its connection does."""

    def __init__(self):
        self._start()

    def _start(self) -> None:
        self._file, self._has_started = _memory(), False
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = [theirs.fileno(), self._file.fileno()]
            command = [sys.executable, "-m", __name__, *map(str, descriptors)]
            self._process = subprocess.Popen(command, pass_fds=descriptors)
        self._connection = Connection(ours.detach())

    def wait(self) -> None:
        if not self._has_started:
            self._has_started = self._connection.recv()

    def read(self, chunks: list[bytes], form: tuple) -> Asked:
        self.wait()
        _fill(self._file, chunks)
        self._connection.send(form)
        found, layout = self._connection.recv()
        if isinstance(found, Exception):
            raise found
        self._file.seek(0)
        if isinstance(layout, list):
            return found.with_values({"images": [self._file.read(length) for length in layout]})
        dtype, shape = layout
        return found.with_values({"images": np.frombuffer(self._file.read(), dtype).reshape(shape)})

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._connection.close()
        self._file.close()

    def restart(self) -> None:
        self.close()
        self._start()


def _memory() -> io.FileIO:
    """Return a file in memory, or one without a name where there are none."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("request"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _fill(file: io.FileIO, parts: Iterable[bytes | np.ndarray]) -> None:
    """Make a file hold these parts and nothing else."""
    file.seek(0)
    file.truncate()
    for part in parts:
        file.write(part)


def read(body: bytes | bytearray, protocol: str, content_type: str, header_length: str | None) -> Asked:
    """Return what a body asks for: a file alone, as `curl --data-binary` sends it, or the protocol's form.

    Args:
        body: of the request.
        protocol: `"v1"` or `"v2"`.
        content_type, header_length: the headers.

    Raises:
        Refused: it cannot be read.
    """
    if content_type.startswith("image/") or is_file(bytes(body[:16])):
        return Asked([bytes(body)])
    return v1.read(body) if protocol == "v1" else v2.read(body, header_length)


def _read_for(connection: Connection, file: io.FileIO) -> None:
    """Read one request for the server."""
    form = connection.recv()
    file.seek(0)
    try:
        asked = read(file.read(), *form)
    except Refused as refused:
        return connection.send((refused, None))
    except Exception as error:
        return connection.send((RuntimeError("".join(traceback.format_exception(error))), None))
    images = asked.images
    is_array = isinstance(images, np.ndarray)
    _fill(file, [np.ascontiguousarray(images)] if is_array else images)
    layout = (images.dtype, images.shape) if is_array else [len(file) for file in images]
    connection.send((asked.with_values({"images": []}), layout))


def main(connection: str, file: str) -> None:
    """Read requests until the server ends; it alone gets signals.

    Args:
        connection: descriptor of the socket to the server.
        file: descriptor of the file that holds a request and then what it asks for.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with (
        contextlib.suppress(EOFError, OSError),
        Connection(int(connection)) as server,
        open(int(file), "r+b", buffering=0) as memory,
    ):
        server.send(True)
        while True:
            _read_for(server, memory)


if __name__ == "__main__":
    main(*sys.argv[1:])
