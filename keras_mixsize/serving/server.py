"""A server of an export: KServe's Python server with REST V1 and V2, gRPC, metrics, and the web page of `page`.

KServe gives health, metadata, metrics and errors; predictions have routes of their own (`routes`, `grpc`), so that
nothing that grows with a body runs on the event loop. It needs kserve and TensorFlow, and of this package its own room
alone. When it is told to end, it answers what it has accepted first. Neighbours: `versions`, `bodies`, `answering`.

    serve("exported", Options(host="127.0.0.1", port=8080))         # until it is interrupted
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import gc
import logging
import os
import pathlib
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import kserve
import uvicorn
from kserve.model_repository import ModelRepository
from kserve.model_server import app as application
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer
from timing_asgi import TimingMiddleware

from keras_mixsize.serving import v2
from keras_mixsize.serving.answering import Answering
from keras_mixsize.serving.bodies import Bodies, Limits
from keras_mixsize.serving.grpc import Service, make_server
from keras_mixsize.serving.page import add_page
from keras_mixsize.serving.routes import Routes, add_routes
from keras_mixsize.serving.versions import VersionPaths, Versions

NAME = "mixsize"  # of the model, in every address
_LOOK = 2.0  # seconds between looks for a newer version
_FAREWELL = 1.0  # seconds in which clients learn that the server ends, and requests on their way still come in
_SWITCH = 0.001  # seconds for which a thread keeps Python's lock; the event loop waits that long for each of them
_GRACE = 60  # seconds for the requests that were accepted


@dataclasses.dataclass(frozen=True)
class Options:
    """Where a server listens and what it takes in.

    Attributes:
        host: address to listen at; the usual one is this machine's only.
        port: of HTTP; 0 for any that is free.
        grpc_port: of gRPC; None for none.
        limits: of requests.
        log_level: of a line for each request: INFO for refusals, WARNING for slow ones alone, DEBUG for all.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = None
    limits: Limits = Limits()
    log_level: str = "INFO"


class Model(kserve.Model):
    """The export as KServe's data plane knows it, for health and metadata.

    Args:
        versions: the export.
    """

    def __init__(self, versions: Versions):
        super().__init__(NAME)
        self._versions = versions
        self.ready = True

    def get_input_types(self):
        """Return the inputs, as V2's metadata lists them."""
        return self._metadata()[0]

    def get_output_types(self):
        """Return the outputs."""
        return self._metadata()[1]

    def _metadata(self):
        manifest = self._versions.current.served.manifest
        return v2.metadata(manifest["input"]["channels"], len(manifest["classes"]), manifest["top_k"])


class Server(uvicorn.Server):
    """Uvicorn's server with what starts and ends beside it.

    Args:
        config: of uvicorn.
        answering, bodies: as `serve` made them.
        make_grpc: makes the gRPC server on the event loop; None for none.
        started: called once requests are taken.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        answering: Answering,
        bodies: Bodies,
        make_grpc: Callable | None,
        started: Callable,
    ):
        super().__init__(config)
        self._answering, self._bodies, self._make_grpc, self._started = answering, bodies, make_grpc, started
        self._grpc = self._watch = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the processes that read, gRPC and the look-out for versions, then HTTP."""
        self._bodies.start()
        if self._make_grpc is not None:
            self._grpc = self._make_grpc()
            await self._grpc.start()
        self._watch = asyncio.create_task(self._answering.versions.watch(_LOOK))
        await super().startup(sockets)
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell clients to go, and end when all that was accepted is answered."""
        self._answering.is_ending = True
        self._watch.cancel()
        await asyncio.sleep(_FAREWELL)
        await self._close_door(sockets or [])
        await asyncio.sleep(_FAREWELL)  # those who came last have sent their requests then
        ending = [super().shutdown(sockets)]
        await asyncio.gather(*ending, *([self._grpc.stop(_GRACE)] if self._grpc else []))
        self._bodies.stop()

    async def _close_door(self, sockets: list[socket.socket]) -> None:
        """Take no connections any more, but those that the system has accepted already."""
        waiting = [client for listening in sockets for client in _accepted(listening)]
        for server in self.servers:
            server.close()
        state = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        loop = asyncio.get_running_loop()
        for client in waiting:
            await loop.connect_accepted_socket(lambda: self.config.http_protocol_class(**state), client)


def _accepted(listening: socket.socket) -> list[socket.socket]:
    """Return the connections that wait at a socket that does not block."""
    clients = []
    while True:
        try:
            clients.append(listening.accept()[0])
        except OSError:
            return clients


def serve(path: str | os.PathLike, options: Options = Options(), *, progress: Callable[[str], None] = print) -> None:
    """Serve an export until a signal ends the process.

    Args:
        path: the export; sample images for the page may lie in its folder `samples`.
        options: where it listens and what it takes in.
        progress: gets a line for each thing that takes a while, and the address at the end.

    Raises:
        FileNotFoundError, ValueError: what `load` raises.
        OSError: a port cannot be had.
    """
    _log_at(options.log_level)
    sys.setswitchinterval(_SWITCH)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # uvicorn raises it again when all is answered
    with listen(options.host, options.port) as listening:  # KServe's own ModelServer listens at all addresses
        progress(f"loading {path} and warming it up")
        versions = Versions(path)
        threads = ThreadPoolExecutor(max(4, os.cpu_count() or 1), "answer")
        answering, bodies = Answering(versions, threads), Bodies(options.limits)
        models = ModelRepository()
        models.update(Model(versions))
        planes = DataPlane(model_registry=models), ModelRepositoryExtension(model_registry=models)
        add_routes(application, Routes(answering, bodies, NAME))
        add_page(application, versions, pathlib.Path(path) / "samples")
        application.add_middleware(VersionPaths, versions=versions)
        rest = RESTServer("kserve.model_server:app", *planes, options.port, grace_period=_GRACE)
        rest.create_application()
        rest.config.access_log = False  # a line of its own for each request is enough
        kept = [middleware for middleware in application.user_middleware if middleware.cls is not TimingMiddleware]
        application.user_middleware[:] = kept  # it matches each request with all routes, and `records` has the times
        gc.freeze()  # a collection that looks at TensorFlow's many objects stops everything for long

        def make_grpc():
            service = Service(answering, bodies, NAME, planes)
            return make_server(service, f"{options.host}:{options.grpc_port}", options.limits)

        def started():
            if options.grpc_port is not None:
                progress(f"gRPC at {options.host}:{options.grpc_port}")
            progress(
                f"web page and REST, Ctrl+C stops:\nlistening at http://{options.host}:{listening.getsockname()[1]}"
            )

        Server(rest.config, answering, bodies, make_grpc if options.grpc_port is not None else None, started).run(
            sockets=[listening]
        )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: the port cannot be had; the message says what to do.
    """
    try:
        return socket.create_server((host, port), backlog=512)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise OSError(f"cannot listen at {host}, port {port}: {error.strerror}") from error
        raise OSError(f"port {port} is in use; choose another one, as in --port={port + 1}") from error


def _log_at(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("keras_mixsize.serving")
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
