"""Bodies of requests: taken in within limits, and read where they stop nobody else.

A large JSON document is read in a process of its own unless nobody else waits, all else in a thread. Neighbours:
`routes` (who calls it), `readers`.

    bodies = Bodies(Limits(body=64 << 20, waiting=128))
    with bodies.held(chunks), bodies.place():
        await bodies.receive(request, chunks)
        ask = await bodies.reading("v1", chunks, content_type="application/json", header_length=None)
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from starlette.requests import Request

from keras_mixsize.serving.asking import Asked, Refused, is_file
from keras_mixsize.serving.readers import Readers, read

_LARGE_JSON = 1 << 18  # bytes; parsed in 3 ms at most
_FILE_ALONE = 8 << 20  # bytes; decoded in 20 ms
_LONG_PART = 1 << 16  # bytes; copied several times on the event loop, and more do not come before it is asked for
_DRAINED = 4  # how many limits of a body that is too large are read and thrown away, so that its sender gets the answer


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the server takes in.

    Attributes:
        body: bytes of one.
        waiting: requests that are being answered or wait for it.
        memory: bytes of all bodies together.
        silence: seconds until the next part of a body must have come.
    """

    body: int = 64 << 20
    waiting: int = 128
    memory: int = 2 << 30
    silence: float = 20.0


class Bodies:
    """Takes bodies in and reads them.

    Args:
        limits: beyond which requests are refused.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self._waiting, self._held = 0, 0
        self._readers, self._turn = Readers(), asyncio.Lock()

    def start(self) -> None:
        """Start the processes that read large JSON."""
        self._readers.start()

    def stop(self) -> None:
        """End them."""
        self._readers.stop()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            Refused: with 503, if there is none.
        """
        if self._waiting >= self.limits.waiting:
            raise Refused(f"{self._waiting} requests wait already; send it again in a second", 503)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    @contextlib.contextmanager
    def held(self, chunks: list[bytes]) -> Iterator[None]:
        """Forget a body's bytes at the end, whatever came of it."""
        try:
            yield
        finally:
            self._held -= sum(map(len, chunks))
            chunks.clear()

    async def receive(self, request: Request, chunks: list[bytes]) -> None:
        """Append the parts of a body to a list; of one that is too large, nothing or its start.

        Raises:
            Refused: with 413 if it is too large, 503 if all bodies together are, 408 if the next part does not come.
        """
        told = request.headers.get("content-length", "0")
        size = int(told) if told.isdecimal() else 0
        too_large = size > self.limits.body
        if too_large and (size > _DRAINED * self.limits.body or "expect" in request.headers):
            raise self._too_large()
        taken, loop = 0, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.silence) as silence:
                async for part in request.stream():
                    silence.reschedule(loop.time() + self.limits.silence)
                    taken += len(part)
                    too_large |= taken > self.limits.body
                    if taken > _DRAINED * self.limits.body:
                        break
                    if not too_large:
                        self._hold(part, chunks)
                    if len(part) >= _LONG_PART:
                        await self._take_turn()
        except TimeoutError:
            text = f"no more of the body came for {self.limits.silence:g} s; send it again, whole"
            raise Refused(text, 408) from None
        if too_large:
            raise self._too_large()

    async def _take_turn(self) -> None:
        """Wait until this body may go on: one at a time, so that all else has its turn between two long parts."""
        async with self._turn:
            await asyncio.sleep(0)

    def _too_large(self) -> Refused:
        return Refused(f"the body must be at most {self.limits.body} bytes; send fewer images in it, or files", 413)

    def _hold(self, part: bytes, chunks: list[bytes]) -> None:
        if self._held + len(part) > self.limits.memory:
            raise Refused("the bodies that wait fill the server's memory; send it again in a second", 503)
        self._held += len(part)
        chunks.append(part)

    async def reading(
        self, protocol: str, chunks: list[bytes], content_type: str, header_length: str | None
    ) -> Callable[[], Asked]:
        """Return a function that returns what a body asks for, and is called in a thread.

        Args:
            protocol: `"v1"` or `"v2"`.
            chunks: of the body.
            content_type, header_length: the headers.

        Raises:
            Refused: it cannot be read; so does the function.
        """
        form = (protocol, content_type, header_length)
        if not _is_large_json(chunks, content_type, header_length) or self._is_file_alone(chunks):
            return lambda: read(_joined(chunks), *form)
        asked = await self._readers.read(chunks, *form)
        return lambda: asked

    def _is_file_alone(self, chunks: list[bytes]) -> bool:
        """Return whether this seems to be a file in base64 while nobody else waits: it is read sooner here."""
        middle = chunks[len(chunks) // 2]
        is_text = middle.count(b",") < len(middle) / 100  # numbers have more, and take far longer
        return is_text and self._waiting == 1 and sum(map(len, chunks)) <= _FILE_ALONE


def _is_large_json(chunks: list[bytes], content_type: str, header_length: str | None) -> bool:
    if content_type.startswith("image/") or chunks and is_file(chunks[0]):
        return False
    is_short = header_length is not None and header_length.isdecimal() and int(header_length[:20]) <= _LARGE_JSON
    return not is_short and sum(map(len, chunks)) > _LARGE_JSON


def _joined(chunks: list[bytes]) -> bytes | bytearray:
    """Return the whole body; a long one is copied part by part, because one copy would hold Python's lock for long."""
    length = sum(map(len, chunks))
    if length <= _FILE_ALONE:
        return b"".join(chunks)
    body, place = bytearray(length), 0
    for chunk in chunks:
        body[place : place + len(chunk)] = chunk
        place += len(chunk)
    return body
