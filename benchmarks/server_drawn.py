"""Requests that nobody thought of, drawn by hypothesis: any bytes, any JSON of known keys, good requests with damage.

requests = drawn_requests([*good_requests(exported, served).values()], count=4000)
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from server_requests import BAD, GOOD, JSON, LENGTH, V1, V2, Request

_KEYS = ["instances", "inputs", "signature_name", "size", "b64", "images", "image_bytes", "name", "shape", "datatype"]
_KEYS += ["data", "parameters", "binary_data_size", "outputs", "id"]
_VALUES = [None, 0, 24, "cascade", "serve_bytes_24", "UINT8", "FP32", "BYTES", "images", "image_bytes", "/9j/4AAQ"]
_LONGEST = 20_000  # bytes of a good request that is damaged

scalars = st.sampled_from(_VALUES) | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=60), values, max_size=5)
headers = st.sampled_from([{}, JSON, {LENGTH: "2"}, {LENGTH: "0x1"}, {"Content-Type": "text/html"}])


@st.composite
def damaged(draw: st.DrawFn, good: Sequence[Request]) -> Request:
    """Return one of the requests with a part of its body replaced, or cut off."""
    request = draw(st.sampled_from(good))
    start = draw(st.integers(0, len(request.body) - 1))
    end = draw(st.integers(start, min(start + 40, len(request.body))) | st.just(len(request.body)))
    return request._replace(body=request.body[:start] + draw(st.binary(max_size=20)) + request.body[end:])


def drawn_requests(good: Sequence[Request], count: int) -> list[Request]:
    """Return requests, of which each may be answered or refused; the same ones each time.

    Args:
        good: requests to damage.
        count: how many.
    """
    paths = st.sampled_from([V1, V2])
    as_json = objects.map(lambda value: json.dumps(value).encode())
    anything = st.builds(Request, paths, as_json | st.binary(max_size=200), headers)
    short = [request for request in good if len(request.body) < _LONGEST]
    found: list[Request] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(anything | damaged(short))
    def collect(request):
        found.append(request._replace(statuses=(GOOD, BAD)))

    collect()
    return found
