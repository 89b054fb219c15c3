"""Predictions by HTTP: the routes of V1 and V2, in place of KServe's own, which read a body on the event loop.

Neighbours: `bodies` (takes a body in and reads it), `answering` (from what is asked to an answer), `records`; `server`
adds the routes.

    add_routes(application, Routes(answering, Bodies(Limits()), "mixsize"))
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from keras_mixsize.serving import v1, v2
from keras_mixsize.serving.answering import Answering
from keras_mixsize.serving.asking import Asked, Refused, check_names, checked_size, said, written
from keras_mixsize.serving.bodies import Bodies
from keras_mixsize.serving.records import Record

_LENGTH = "inference-header-content-length"
_GONE = 499  # nginx's status of a client that went away; nobody gets it


class Routes:
    """The handlers.

    Args:
        answering: answers what is asked.
        bodies: takes bodies in.
        name: of the model.
    """

    def __init__(self, answering: Answering, bodies: Bodies, name: str):
        self._answering, self._bodies, self._name = answering, bodies, name

    async def predict(self, request: Request) -> Response:
        """Answer a request of V1."""
        return await self._handle(request, "v1")

    async def infer(self, request: Request) -> Response:
        """Answer a request of V2."""
        return await self._handle(request, "v2")

    async def _handle(self, request: Request, protocol: str) -> Response:
        record = Record(protocol)
        try:
            response = await self._answer(request, protocol, record)
            response.headers["server-timing"] = record.server_timing()
        except Refused as refused:
            record.is_refused(refused.status, refused.text)
            response = _error(refused)
        except ClientDisconnect:
            record.is_refused(_GONE, "the client went away")
            response = Response(status_code=_GONE)
        except Exception:
            record.has_failed()
            response = _error(Refused("the server failed; its log says more", 500))
        if self._answering.is_ending:
            response.headers["connection"] = "close"
        return response

    async def _answer(self, request: Request, protocol: str, record: Record) -> Response:
        chunks: list[bytes] = []
        headers = request.headers
        if request.path_params["name"] != self._name:
            raise Refused(f"model {said(request.path_params['name'])} is not served; {self._name} is", 404)
        with self._bodies.held(chunks):
            try:
                await self._bodies.receive(request, chunks)
            finally:
                record.body = sum(map(len, chunks))
            record.at("received")
            with self._bodies.place():
                ask = await self._bodies.reading(
                    protocol, chunks, headers.get("content-type", ""), headers.get(_LENGTH)
                )
                return await self._answering.answer(
                    lambda: _with_query(ask(), request),
                    record,
                    lambda asked, columns, version: _response(protocol, asked, columns, self._name, version),
                )


def _with_query(asked: Asked, request: Request) -> Asked:
    """Return what is asked with what stands in the address, as `?size=24` for a file alone."""
    query = request.query_params
    if not query:
        return asked
    check_names("parameter", query, ("size", "signature_name"))
    found = {"size": checked_size(query.get("size")), "signature": query.get("signature_name")}
    return asked.with_values({name: value for name, value in found.items() if value is not None})


def _response(protocol: str, asked: Asked, columns: dict, model: str, version: str) -> Response:
    if protocol == "v1":
        return Response(v1.write(asked, columns), media_type="application/json")
    body, length = v2.write(asked, columns, model, version)
    if length is None:
        return Response(body, media_type="application/json")
    return Response(body, media_type="application/octet-stream", headers={_LENGTH: str(length)})


def _error(refused: Refused) -> Response:
    headers = {"retry-after": "1"} if refused.status == 503 else {}
    headers |= {"connection": "close"} if refused.status in (408, 413) else {}
    return Response(written({"error": refused.text}), refused.status, headers, "application/json")


def add_routes(application: FastAPI, routes: Routes) -> None:
    """Give an application the routes; those that it gets later for the same addresses are not reached."""
    application.add_api_route("/v1/models/{name}:predict", routes.predict, methods=["POST"], response_class=Response)
    application.add_api_route("/v2/models/{name}/infer", routes.infer, methods=["POST"], response_class=Response)
