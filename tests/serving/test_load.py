"""The server under requests of all kinds, good and bad, drawn, and while it is told to end."""

import json

import pytest
import tensorflow as tf
from networks import tiny_network
from scripts import run_script
from server import PYTHON, needs_server
from server_bad import bad_requests
from server_good import good_requests

import keras_mixsize as kms
from keras_mixsize.evaluation.report import Accuracy
from keras_mixsize.export.cascade import Cascade


@pytest.fixture(scope="module")
def exported(tmp_path_factory, fashion):
    """An export with a cascade and sample images."""
    path = tmp_path_factory.mktemp("exported")
    kms.export_saved_model(tiny_network(), path, [8, 12], cascade=Cascade(8, 12, 0.5, Accuracy.of(1, 2), 1.0, 1.4))
    (path / "samples").mkdir()
    for index, pixels in enumerate(fashion.images[:3]):
        (path / f"samples/{index}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    return path


@pytest.mark.slow
def test_there_are_30_good_and_40_bad_kinds_that_differ(exported):
    served = kms.serving.load(exported)
    good, bad = good_requests(exported, served), bad_requests(exported, served)
    assert len(good) >= 30 and len(bad) >= 40
    assert len({(request.path, request.body, str(request.headers)) for request in (good | bad).values()}) == len(
        good | bad
    )


@pytest.mark.slow
@needs_server
def test_every_request_is_answered_as_it_should_be_and_none_is_lost_at_the_end(exported, tmp_path):
    output = tmp_path / "load.json"
    numbers = ["--requests=600", "--drawn=200", "--ends=2"]
    run_script("load_server.py", f"--exported={exported}", f"--python={PYTHON}", f"--output={output}", *numbers)
    facts = json.loads(output.read_text())
    assert (facts["sent"], facts["answered"], facts["wrong"]) == (600, 600, 0)
    statuses = {row["kind"]: set(row["statuses"]) for row in facts["kinds"]}
    assert set().union(*statuses.values()) == {"200", "400", "404"}
    assert [(end["lost"], end["exit_status"]) for end in facts["ends"]] == [([], 0)] * 2
    first, *_, last = facts["resident_mib"][2:]
    assert last < first + 100  # MiB


@pytest.mark.slow
@needs_server
@pytest.mark.parametrize(
    ("script", "options", "key"),
    [
        ("server_health.py", ["--seconds=2", "--clients=4"], "server"),
        ("server_bodies.py", ["--seconds=0.5", "--rounds=1", "--clients=1", "--kinds=1 kB"], "rows"),
    ],
)
def test_what_measures_the_server_runs(exported, tmp_path, script, options, key):
    output = tmp_path / "figures.json"
    run_script(script, f"--exported={exported}", f"--python={PYTHON}", f"--output={output}", *options)
    found = json.loads(output.read_text())[key]
    assert (found if key == "server" else found[0]["kserve"])["p50_ms"] > 0
