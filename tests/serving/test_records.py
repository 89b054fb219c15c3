"""What a server counts."""

import urllib.request

import pytest
from server import B64, needs_server, v1

pytestmark = [pytest.mark.slow, needs_server]


def test_metrics_count_by_signature_and_size(url):
    def metrics():
        with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line.startswith("mixsize_")]
        return {name: float(value) for name, value in lines}

    before = metrics()
    v1(url, {"size": 12, "instances": [{"b64": B64}] * 3})
    v1(url, {"size": 12, "instances": [{"b64": "?"}]})
    after = metrics()
    for name, count in (
        ('mixsize_requests_total{protocol="v1",signature="serve_bytes_12",size="12"}', 1),
        ('mixsize_images_total{signature="serve_bytes_12",size="12"}', 3),
        ('mixsize_errors_total{protocol="v1",status="400"}', 1),
    ):
        assert after[name] - before.get(name, 0) == count
    assert any(name.startswith("mixsize_request_seconds_bucket") for name in after)
