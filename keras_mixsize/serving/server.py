"""A server of one export: KServe's Python server with REST V1 and V2, and the web page of `page`.

It needs kserve and TensorFlow, and of this package its own room alone. What the model refuses is answered with 400;
the header `Server-Timing` says how many milliseconds the model took. Neighbours: `protocols`, `page`, `served_model`.

    serve("exported", host="127.0.0.1", port=8080)          # until it is interrupted
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import pathlib
import socket
import time
import uuid
from collections.abc import Callable

import kserve
from kserve import InferRequest
from kserve.errors import InvalidInput
from kserve.logging import KSERVE_LOGGER_NAME
from kserve.model_repository import ModelRepository
from kserve.model_server import app as application
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer

from keras_mixsize.serving.page import add_page
from keras_mixsize.serving.protocols import Images, Size, read_v1, read_v2, write_v1, write_v2
from keras_mixsize.serving.served_model import Prediction, ServedModel, load

NAME = "mixsize"  # of the model, in every address


class MixSizeModel(kserve.Model):
    """The export behind KServe's protocols.

    Args:
        served: what `load` returned.
    """

    def __init__(self, served: ServedModel):
        super().__init__(NAME, return_response_headers=True)
        self.served = served
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        """Answer a V1 request (a dict) or a V2 request."""
        is_v2 = isinstance(payload, InferRequest)
        try:
            images, size = read_v2(payload) if is_v2 else read_v1(payload)
            # In a thread, so that the server goes on taking requests
            prediction, seconds = await asyncio.to_thread(answer, self.served, images, size)
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(str(error)) from error
        if response_headers is not None:
            response_headers["server-timing"] = f"model;dur={1000 * seconds:.3f}"
        return write_v2(payload.id or str(uuid.uuid4()), NAME, prediction) if is_v2 else write_v1(prediction)


def answer(served: ServedModel, images: Images, size: Size) -> tuple[Prediction, float]:
    """Return the prediction at a size, at the nearest one (None) or by the cascade ("cascade"), and its seconds."""
    start = time.perf_counter()
    prediction = served.predict_cascade(images) if size == "cascade" else served.predict(images, size=size)
    return prediction, time.perf_counter() - start


def serve(
    path: str | os.PathLike, *, host: str = "127.0.0.1", port: int = 8080, progress: Callable[[str], None] = print
) -> None:
    """Serve an export until a signal ends the process.

    Args:
        path: the export; sample images for the page may lie in its folder `samples`.
        host: address to listen at; the usual one is this machine's only.
        port: to listen at; 0 for any that is free.
        progress: gets a line for each thing that takes a while, and the address at the end.

    Raises:
        FileNotFoundError, ValueError: what `load` raises.
        OSError: the port cannot be had.
    """
    with listen(host, port) as listening:  # KServe's own ModelServer listens at all addresses
        progress(f"loading {path}")
        served = load(path)
        progress(f"warming up {len(served.sizes)} sizes")
        served.warm_up()
        models = ModelRepository()
        models.update(MixSizeModel(served))
        planes = DataPlane(model_registry=models), ModelRepositoryExtension(model_registry=models)
        add_page(application, served.manifest, pathlib.Path(path) / "samples")
        logging.getLogger(KSERVE_LOGGER_NAME).addFilter(_say_briefly)
        progress(f"web page and REST, Ctrl+C stops:\nlistening at http://{host}:{listening.getsockname()[1]}")
        RESTServer("kserve.model_server:app", *planes, port).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: the port cannot be had; the message says what to do.
    """
    try:
        return socket.create_server((host, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise OSError(f"cannot listen at {host}, port {port}: {error.strerror}") from error
        raise OSError(f"port {port} is in use; choose another one, as in --port={port + 1}") from error


def _say_briefly(record: logging.LogRecord) -> bool:
    """Make one line of a refused request, for which KServe writes the whole stack."""
    if record.exc_info and isinstance(record.exc_info[1], InvalidInput):
        record.msg, record.args, record.exc_info = "refused: %s", (record.exc_info[1],), None
    return True
