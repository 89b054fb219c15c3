"""Triton's client is answered, by gRPC as by HTTP; it lies in the server's environment."""

import subprocess

import numpy as np
import pytest
from server import PNG, PYTHON, needs_server

import keras_mixsize as kms

CLIENTS = """
import sys, numpy as np, tritonclient.http, tritonclient.grpc
file, http, grpc = sys.argv[1:]
for api, address in ((tritonclient.http, http), (tritonclient.grpc, grpc)):
    client = api.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("mixsize")
    names = client.get_model_metadata("mixsize")
    names = names["inputs"] if isinstance(names, dict) else [{"name": value.name} for value in names.inputs]
    assert [value["name"] for value in names] == ["images", "image_bytes"]
    files = api.InferInput("image_bytes", [1], "BYTES")
    files.set_data_from_numpy(np.array([open(file, "rb").read()], object))
    answer = client.infer("mixsize", [files], parameters={"size": 8})
    print(answer.as_numpy("sizes")[0], *answer.as_numpy("logits")[0])
    answer = client.infer("mixsize", [files], outputs=[api.InferRequestedOutput("sizes")])
    assert answer.as_numpy("sizes") == [12] and answer.as_numpy("logits") is None
    for dtype, name in (("uint8", "UINT8"), ("float32", "FP32")):
        array = api.InferInput("images", [2, 8, 8, 1], name)
        array.set_data_from_numpy(np.ones([2, 8, 8, 1], dtype))
        assert client.infer("mixsize", [array]).as_numpy("sizes").tolist() == [8, 8]
    for options in ({"parameters": {"sise": 8}}, {"outputs": [api.InferRequestedOutput("logit")]}):
        try:
            client.infer("mixsize", [files], **options)
        except Exception as error:
            assert "did you mean" in str(error)
        else:
            raise SystemExit("not refused")
plain = tritonclient.http.InferInput("images", [1, 8, 8, 1], "UINT8")
plain.set_data_from_numpy(np.ones([1, 8, 8, 1], "uint8"), binary_data=False)
wanted = [tritonclient.http.InferRequestedOutput("top_names", binary_data=False)]
client = tritonclient.http.InferenceServerClient(http)
assert client.infer("mixsize", [plain], outputs=wanted).as_numpy("top_names").size
"""

pytestmark = [pytest.mark.slow, needs_server]


def test_tritonclient_is_answered_by_http_and_grpc(url, path, grpc_address, tmp_path):
    if subprocess.run(
        [str(PYTHON), "-c", "import tritonclient.grpc, tritonclient.http"], capture_output=True
    ).returncode:
        pytest.skip("the server's environment has no tritonclient; pip install 'tritonclient[http,grpc]'")
    (tmp_path / "image.png").write_bytes(PNG)
    command = [str(PYTHON), "-c", CLIENTS, str(tmp_path / "image.png"), url.removeprefix("http://"), grpc_address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    expected = kms.serving.load(path).predict([PNG], size=8)
    for line in done.stdout.splitlines():
        np.testing.assert_allclose([float(value) for value in line.split()], [8, *expected.logits[0]], atol=1e-6)
