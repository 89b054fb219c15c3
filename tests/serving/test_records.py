"""What a server counts, and what its log says."""

import subprocess
import urllib.request

import pytest
from server import B64, PYTHON, ROOT, needs_server, running, v1

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


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 2), ("INFO", 1), ("WARNING", 0)])
def test_the_log_has_a_line_a_request_at_the_level_asked_for(path, tmp_path, level, lines):
    with (tmp_path / "log").open("w") as log, running(path, f"--log_level={level}", stderr=log) as (url, _):
        v1(url, {"size": 12, "instances": [{"b64": B64}] * 3})
        v1(url, {"sise": 12, "instances": [{"b64": B64}] * 3})
    found = [line for line in (tmp_path / "log").read_text().splitlines() if "v1" in line]
    assert len(found) == lines and not any(B64[:40] in line for line in found)
    if level == "DEBUG":
        assert "DEBUG answered: v1 serve_bytes_12 size 12, 3 images" in found[0]
    if found:
        assert "INFO refused: v1 400" in found[-1] and "did you mean size" in found[-1]


SLOW = """
import logging, types, numpy as np
from keras_mixsize.serving import asking, records
logging.basicConfig(format="%(levelname)s %(message)s", level="WARNING")
record = records.Record("v1")
record.body = 5000
record._start -= 2
record._last -= 1.5
record.at("model")
prediction = types.SimpleNamespace(sizes=np.array([24, 24]))
record.is_answered(asking.Asked([b"", b""], 24), 24, prediction, None)
"""


def test_a_request_of_more_than_a_second_is_said_with_where_the_time_went():
    done = subprocess.run([str(PYTHON), "-c", SLOW], capture_output=True, text=True, cwd=ROOT, timeout=120)
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("WARNING slow"))
    assert "v1 serve_bytes_24 size 24, 2 images, 5000 bytes: 200" in line and "(model 150" in line
