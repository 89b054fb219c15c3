"""The server answers a real HTTP client; needs `make serve`'s environment, or SERVING_PYTHON with kserve."""

import base64
import json
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from server import B64, COMMAND, PNG, ROOT, needs_server, v1, v2

import keras_mixsize as kms
from keras_mixsize.serving.asking import OUTPUTS

pytestmark = [pytest.mark.slow, needs_server]


@pytest.mark.parametrize("size", [8, 12])
def test_both_protocols_answer_as_the_export_does(url, path, size):
    expected = kms.serving.load(path).predict([PNG], size=size)
    status, answer = v1(url, {"signature_name": f"serve_bytes_{size}", "instances": [{"b64": B64}]})
    assert status == 200
    np.testing.assert_allclose(answer["predictions"][0]["logits"], expected.logits[0], atol=1e-6)
    assert answer["predictions"][0]["top_names"] == expected.names[0].tolist()
    value = {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": [B64]}
    status, answer = v2(url, {"inputs": [value], "parameters": {"size": size}})
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert status == 200 and outputs["sizes"] == [size]
    np.testing.assert_allclose(outputs["logits"], expected.logits[0], atol=1e-6)


def test_arrays_are_answered(url):
    pixels = np.full([2, 8, 8, 1], 2)
    status, answer = v1(url, {"size": 8, "instances": pixels.tolist()})
    assert (status, len(answer["predictions"])) == (200, 2)
    value = {"name": "images", "shape": [2, 8, 8, 1], "datatype": "UINT8", "data": pixels.ravel().tolist()}
    assert v2(url, {"inputs": [value]})[0] == 200


def test_the_metadata_say_what_goes_in_and_comes_out(url):
    with urllib.request.urlopen(f"{url}/v2/models/mixsize", timeout=60) as answer:
        found = json.load(answer)
    assert [value["name"] for value in found["inputs"]] == ["images", "image_bytes"]
    assert [value["name"] for value in found["outputs"]] == list(OUTPUTS)


def test_browsers_get_the_page_and_others_kserves_answer(url, path):
    for accept, kind in (("text/html,*/*", "text/html"), ("*/*", "application/json")):
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=60) as answer:
            assert answer.headers["content-type"].startswith(kind)
    with urllib.request.urlopen(f"{url}/page/facts", timeout=60) as answer:
        assert json.load(answer)["manifest"] == kms.serving.load(path).manifest


def test_a_busy_port_is_said(url, path):
    port = url.rsplit(":")[-1]
    command = [*COMMAND, str(path), f"--port={port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 2 and f"port {port} is in use; choose another one" in done.stderr.splitlines()[-1]


def test_what_is_no_export_is_refused(tmp_path):
    done = subprocess.run([*COMMAND, str(tmp_path)], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 2 and "holds no export" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        {},
        [],
        {"instances": []},
        {"instances": [{"b64": "?"}]},
        {"instances": [{"b64": base64.b64encode(PNG[:30]).decode()}]},
        {"instances": [{"b64": base64.b64encode(b"GIF89a").decode()}]},
        {"instances": [[[1]]]},
        {"instances": [[[[2.5]]]]},
        {"instances": [[[[1]], [[1], [2]]]]},
        {"instances": [{"b64": B64}] * 257},
        {"instances": [{"b64": B64}], "size": 9},
        {"instances": [{"b64": B64}], "size": [8]},
        {"instances": [{"b64": B64}], "signature_name": "serve_all"},
        {"instances": [{"b64": B64}], "sise": 8},
        {"instances": [{"b64": B64}], "size": "cascade"},
    ],
)
def test_bad_requests_get_400_and_the_next_one_is_answered(url, body):
    status, answer = v1(url, body)
    assert status == 400 and answer["error"]
    assert v1(url, {"instances": [{"b64": B64}]})[0] == 200


def test_the_client_prints_five_classes_at_each_size(url, tmp_path):
    (tmp_path / "image.png").write_bytes(PNG)
    options = [f"--url={url}", f"--image={tmp_path / 'image.png'}", "--sizes=8,12"]
    command = [sys.executable, str(ROOT / "experiments/client.py"), *options]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["8", "12"]
    assert all(line.count("%") == 5 for line in lines)
