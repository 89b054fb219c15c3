"""Every request of docs/serving.md is answered by the server, as it stands there."""

import os
import re
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network
from server import PYTHON, ROOT, address, needs_server, running

import keras_mixsize as kms
from keras_mixsize.evaluation.report import Accuracy
from keras_mixsize.export.cascade import Cascade

pytestmark = [pytest.mark.slow, needs_server]
SECTION = re.search("<!-- requests -->(.*)<!-- /requests -->", (ROOT / "docs/serving.md").read_text(), re.DOTALL)[1]
BLOCKS = re.findall(r"```(sh|python)[^\n]*\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an export and a photograph."""
    folder = tmp_path_factory.mktemp("requests")
    cascade = Cascade(16, 24, 0.5, Accuracy.of(1, 2), 1.0, 1.4)
    kms.export_saved_model(tiny_network(), folder / "exported", [16, 24], cascade=cascade)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype("uint8")
    (folder / "boot.jpg").write_bytes(tf.io.encode_jpeg(pixels).numpy())
    return folder


@pytest.fixture(scope="module")
def here(folder):
    """The server's host and port, as text."""
    with running(folder / "exported") as (url, _):
        yield "{}:{}".format(*address(url))


def test_the_page_has_requests():
    assert sum(code.count("localhost:8080") for _, code in BLOCKS) == 7


@pytest.mark.parametrize(("language", "code"), BLOCKS)
def test_a_request_of_the_page_is_answered(folder, here, language, code):
    code = code.replace("localhost:8080", here).replace("curl ", "curl --silent --show-error --fail ")
    if language == "python" and subprocess.run([str(PYTHON), "-c", "import tritonclient.http"]).returncode:
        pytest.skip("the server's environment has no tritonclient")
    command = ["bash", "-ec", code] if language == "sh" else [str(PYTHON), "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    if language == "sh":
        assert done.stdout.count("top_names") + done.stdout.count("predictions") + done.stdout.count("outputs") > 0


def test_our_client_is_answered(folder, here):
    command = [str(PYTHON), "-m", "keras_mixsize", "client", str(folder / "boot.jpg"), f"--url=http://{here}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--sizes=16,24,cascade"], cwd=folder, capture_output=True, text=True, timeout=120, env=environment
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["16", "24", "cascade"], done.stderr
