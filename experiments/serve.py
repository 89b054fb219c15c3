"""Serves an export with KServe's Python server: REST V1, TensorFlow Serving's form, V2, and a web page to try it.

    make serve                                                  # the demo's network, in an environment of its own
    .venv-serving/bin/python experiments/serve.py --model_dir=exported --http_port=8080

    curl -d '{"signature_name": "serve_bytes_24", "instances": [{"b64": "'$(base64 -w0 boot.jpg)'"}]}' \
        localhost:8080/v1/models/mixsize:predict

It listens on this machine only. It needs kserve and TensorFlow, in an environment of their own, and of this repository only this
file, serve_page.html and keras_mixsize/serving.py. A browser gets the page at `/`, with sample images from the folder `samples` beside
the export's versions, if there is one. V1 takes `instances`: encoded files as {"b64": ...}, or arrays of numbers, 0..255; and either
`signature_name` (`serve_24`, `serve_bytes_24`, `serve_cascade`) or `size` (a number or "cascade"). V2 takes one input, `images`
of UINT8 or FP32, or `image_bytes` of BYTES, and the parameter `size`. What the model refuses is answered with 400. The header
`Server-Timing` says how many milliseconds the model took.
"""

import asyncio
import base64
import errno
import importlib.util
import json
import logging
import pathlib
import socket
import time
import uuid

import kserve
import numpy as np
from absl import app, flags
from fastapi import Request
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from kserve import InferOutput, InferRequest, InferResponse
from kserve.errors import InvalidInput
from kserve.logging import KSERVE_LOGGER_NAME
from kserve.model_repository import ModelRepository
from kserve.model_server import app as application
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer

MODEL_DIR = flags.DEFINE_string("model_dir", "exported", "What export.py wrote.")
HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; others than this machine's only by choice.")
HTTP_PORT = flags.DEFINE_integer("http_port", 8080, "Port to listen at; 0 for any that is free.", 0, 65_535)
NAME = "mixsize"
SERVING = pathlib.Path(__file__).parents[1] / "keras_mixsize/serving/served_model.py"
PAGE = pathlib.Path(__file__).with_name("serve_page.html")


def load_serving():
    """Return keras_mixsize/serving.py as a module by itself, so that nothing else of the package is needed."""
    spec = importlib.util.spec_from_file_location("serving", SERVING)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class MixSizeModel(kserve.Model):
    """The export behind KServe's protocols.

    Args:
        served: what `serving.load` returned.
    """

    def __init__(self, served):
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
        return write_v2(payload.id or str(uuid.uuid4()), prediction) if is_v2 else write_v1(prediction)


def answer(served, images, size):
    """Return the prediction at a size, at the nearest one (None) or by the cascade ("cascade"), and its seconds."""
    start = time.perf_counter()
    prediction = served.predict_cascade(images) if size == "cascade" else served.predict(images, size=size)
    return prediction, time.perf_counter() - start


def read_v1(payload: dict | bytes):
    """Return images and size of a V1 request; KServe hands over bytes if the header names no JSON, as with `curl -d`.

    Raises:
        ValueError: no JSON object, no instances, a mixture of files and arrays, arrays of various shapes, or a name of no signature.
    """
    payload = json.loads(payload) if isinstance(payload, bytes) else payload
    if not isinstance(payload, dict):
        raise ValueError(f"the request must be a JSON object with instances, got {type(payload).__name__}")
    instances = payload.get("instances")
    if not isinstance(instances, list) or not instances:
        raise ValueError("instances must be a list of at least one image")
    size = payload.get("size", size_of(payload.get("signature_name", "")))
    if all(isinstance(instance, dict) for instance in instances):
        return [base64.b64decode(instance["b64"], validate=True) for instance in instances], size
    pixels = np.array(instances)
    if not np.issubdtype(pixels.dtype, np.integer) or pixels.size and (pixels.min() < 0 or pixels.max() > 255):
        raise ValueError('instances must be arrays of whole numbers in 0..255, or encoded files as {"b64": ...}')
    return pixels.astype(np.uint8), size


def size_of(signature: str):
    """Return the size that a signature's name asks for: `serve_bytes_24` 24, `serve_cascade` "cascade", others None."""
    last = [part for part in signature.split("_") if part not in ("bytes", "uint8")][-1]
    if last == "cascade":
        return last
    if last.isdecimal():
        return int(last)
    if signature in ("", "serving_default", "serve_bytes"):
        return None
    raise ValueError(
        f"signature_name must be serve_SIZE, serve_bytes_SIZE, serve_cascade or serving_default, got {signature}"
    )


def read_v2(request: InferRequest):
    """Return images and size of a V2 request."""
    if len(request.inputs) != 1 or request.inputs[0].name not in ("images", "image_bytes"):
        raise ValueError(f"inputs must be one, images or image_bytes, got {[value.name for value in request.inputs]}")
    size = (request.parameters or {}).get("size")
    values = request.inputs[0].as_numpy()
    if request.inputs[0].name == "images":
        return values, size
    return [base64.b64decode(value, validate=True) for value in values.ravel().tolist()], size


def columns(prediction) -> dict[str, np.ndarray]:
    """Return the outputs by the names of the signatures."""
    return {
        "probabilities": prediction.probabilities,
        "logits": prediction.logits,
        "top_labels": prediction.labels,
        "top_names": prediction.names,
        "top_probabilities": prediction.confidences,
        "sizes": prediction.sizes,
    }


def write_v1(prediction) -> dict:
    """Return a V1 answer: a row per image."""
    lists = {name: values.tolist() for name, values in columns(prediction).items()}
    return {"predictions": [dict(zip(lists, row)) for row in zip(*lists.values())]}


def write_v2(identity: str, prediction) -> InferResponse:
    """Return a V2 answer: a tensor per output."""
    types = {"f": "FP32", "i": "INT32", "U": "BYTES"}
    outputs = []
    for name, values in columns(prediction).items():
        output = InferOutput(name, list(values.shape), types[values.dtype.kind])
        output.set_data_from_numpy(values.astype(object) if values.dtype.kind == "U" else values, binary_data=False)
        outputs.append(output)
    return InferResponse(identity, NAME, outputs)


def add_page(served, samples: pathlib.Path) -> None:
    """Give KServe's application the web page and what it shows."""
    files = sorted(file.name for file in samples.iterdir()) if samples.is_dir() else []
    if files:
        application.mount("/page/samples", StaticFiles(directory=samples))

    @application.get("/page/facts")
    async def facts():
        return {"manifest": served.manifest, "samples": files}

    @application.get("/")
    async def front(request: Request):
        is_browser = "text/html" in request.headers.get("accept", "")
        return FileResponse(PAGE) if is_browser else {"status": "alive"}  # KServe's own answer here


def say_briefly(record: logging.LogRecord) -> bool:
    """Make one line of a refused request, for which KServe writes the whole stack."""
    if record.exc_info and isinstance(record.exc_info[1], InvalidInput):
        record.msg, record.args, record.exc_info = "refused: %s", (record.exc_info[1],), None
    return True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, or end the program with what to do."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise SystemExit(f"cannot listen at {host}, port {port}: {error.strerror}") from error
        raise SystemExit(f"port {port} is in use; choose another one, as in: make serve PORT={port + 1}") from error


def main(_):
    # KServe's own ModelServer listens at all addresses
    with listen(HOST.value, HTTP_PORT.value) as listening:
        served = load_serving().load(MODEL_DIR.value)
        served.warm_up()
        models = ModelRepository()
        models.update(MixSizeModel(served))
        planes = DataPlane(model_registry=models), ModelRepositoryExtension(model_registry=models)
        add_page(served, pathlib.Path(MODEL_DIR.value) / "samples")
        logging.getLogger(KSERVE_LOGGER_NAME).addFilter(say_briefly)
        print("web page and REST, Ctrl+C stops:")
        print(f"listening at http://{HOST.value}:{listening.getsockname()[1]}", flush=True)
        RESTServer("kserve.model_server:app", *planes, HTTP_PORT.value).run(sockets=[listening])


if __name__ == "__main__":
    app.run(main)
