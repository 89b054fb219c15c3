"""Protocol V2 by gRPC: KServe's service, whose inference reads tensors as NumPy does instead of value by value.

Neighbours: `v2` (checks and forms), `answering`, `server` (who starts it).

    server = make_server(answering, planes, "127.0.0.1:8001", Limits())
    await server.start()
"""

from __future__ import annotations

import grpc
import numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.servicer import InferenceServicer

from keras_mixsize.serving import v2
from keras_mixsize.serving.answering import Answering
from keras_mixsize.serving.asking import OUTPUTS, Asked, Refused, check_names, checked_size, said
from keras_mixsize.serving.bodies import Bodies, Limits
from keras_mixsize.serving.records import Record

_CODES = {503: grpc.StatusCode.RESOURCE_EXHAUSTED, 404: grpc.StatusCode.NOT_FOUND, 500: grpc.StatusCode.INTERNAL}
_FIELDS = {"UINT8": "uint_contents", "FP32": "fp32_contents", "BYTES": "bytes_contents"}
_AT_ONCE = 1 << 16  # values of a list read before another thread may run


class Service(InferenceServicer):
    """KServe's service with an inference of its own.

    Args:
        answering: answers what is asked.
        bodies: has the queue.
        name: of the model.
        planes: KServe's data plane and its extension for repositories.
    """

    def __init__(self, answering: Answering, bodies: Bodies, name: str, planes: tuple):
        super().__init__(*planes)
        self._answering, self._bodies, self._name = answering, bodies, name

    async def ModelInfer(self, request, context):  # noqa: N802, the protocol's name
        """Answer a request."""
        record = Record("grpc")
        record.body = request.ByteSize()
        try:
            with self._bodies.place():
                self._check_model(request)
                return await self._answering.answer(
                    lambda: read(request),
                    record,
                    lambda asked, columns, version: _response(asked, columns, self._name, version),
                )
        except Refused as refused:
            record.is_refused(refused.status, refused.text)
            status, text = refused.status, refused.text
        except Exception:
            record.has_failed()
            status, text = 500, "the server failed; its log says more"
        return await context.abort(_CODES.get(status, grpc.StatusCode.INVALID_ARGUMENT), text)

    def _check_model(self, request) -> None:
        if request.model_name != self._name:
            raise Refused(f"model {said(request.model_name)} is not served; {self._name} is", 404)
        current = self._answering.versions.current.name
        if request.model_version not in ("", current):
            raise Refused(f"this version is not served; version {current} is", 404)


def read(request: messages.ModelInferRequest) -> Asked:
    """Return what a request asks for.

    Raises:
        Refused: unknown names, or data that does not fit its datatype and shape.
    """
    parameters = _plain(request.parameters)
    check_names("parameter", parameters, ("size", "binary_data_output"))
    if len(request.inputs) != 1:
        raise Refused(f"inputs must be one, images or image_bytes, got {len(request.inputs)}")
    value = request.inputs[0]
    v2.check_input(value.name)
    check_names("parameter of an input", value.parameters, ("binary_data_size",))
    images = v2.tensor(value.name, value.datatype, list(value.shape), _data(request, value))
    check_names("output", [output.name for output in request.outputs], OUTPUTS)
    outputs = {output.name: True for output in request.outputs} or None
    return Asked(images, checked_size(parameters.get("size")), outputs=outputs, identity=request.id or None)


def _plain(parameters) -> dict:
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in parameters.items()}


def _data(request: messages.ModelInferRequest, value) -> memoryview | list | np.ndarray:
    if request.raw_input_contents:
        if len(request.raw_input_contents) != 1 or value.HasField("contents"):
            raise Refused("raw_input_contents must be one, without contents in the input")
        return memoryview(request.raw_input_contents[0])
    if value.datatype not in _FIELDS:
        raise Refused(f"datatype must be one of {', '.join(_FIELDS)}, got {said(value.datatype)}")
    values = getattr(value.contents, _FIELDS[value.datatype])
    if value.datatype == "BYTES":
        return list(values)
    parts = [np.array(values[start : start + _AT_ONCE]) for start in range(0, len(values), _AT_ONCE)]
    return np.concatenate(parts) if parts else []


def _response(asked: Asked, columns: dict[str, np.ndarray], model: str, version: str) -> messages.ModelInferResponse:
    response = messages.ModelInferResponse(model_name=model, model_version=version, id=asked.identity or "")
    for name in asked.outputs or OUTPUTS:
        values = columns[name]
        response.outputs.add(name=name, datatype=v2.datatype_of(values), shape=list(values.shape))
        response.raw_output_contents.append(v2.raw_bytes(values))
    return response


def make_server(service: Service, address: str, limits: Limits) -> grpc.aio.Server:
    """Return a server that listens when it is started.

    Raises:
        OSError: the port cannot be had.
    """
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", limits.body), ("grpc.so_reuseport", 0)])
    add_GRPCInferenceServiceServicer_to_server(service, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen for gRPC at {address}; choose another port, as in --grpc_port=9000") from error
    return server
