"""Forms of a request that clients send by HTTP."""

import json
import urllib.request

import numpy as np
import pytest
from server import B64, PNG, needs_server

import keras_mixsize as kms

pytestmark = [pytest.mark.slow, needs_server]


def test_a_file_alone_is_answered(url, path):
    expected = kms.serving.load(path).predict([PNG], size=8)
    for kind in ("image/png", "application/x-www-form-urlencoded", ""):  # the second as `curl --data-binary` says
        request = urllib.request.Request(f"{url}/v1/models/mixsize:predict?size=8", PNG, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as answer:
            logits = json.load(answer)["predictions"][0]["logits"]
        np.testing.assert_allclose(logits, expected.logits[0], atol=1e-6)


def test_a_request_needs_no_header_that_says_json(url):
    body = json.dumps({"signature_name": "serve_bytes_8", "instances": [{"b64": B64}]}).encode()
    request = urllib.request.Request(f"{url}/v1/models/mixsize:predict", body)  # as curl -d sends it
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["predictions"][0]["sizes"] == 8
