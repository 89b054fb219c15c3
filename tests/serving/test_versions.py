"""A newer version takes over while requests come."""

import json
import shutil
import threading
import time

import pytest
from networks import tiny_network
from server import V2, needs_server, pixels_as_json, running, send

import keras_mixsize as kms

pytestmark = [pytest.mark.slow, needs_server]
MIB = 1 << 20


def test_a_newer_version_takes_over_and_no_request_is_lost(path, tmp_path):
    shutil.copytree(path, tmp_path / "exported")
    folder = tmp_path / "exported"
    with running(folder) as (url, _):
        seen, ending = [], threading.Event()

        def ask():
            while not ending.is_set():
                seen.append((send(url)[0], json.loads(send(url, V2, pixels_as_json(64))[1])["model_version"]))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        (folder / "3").mkdir()  # a broken one is left out
        (folder / "3/saved_model.pb").write_bytes(b"")
        kms.export_saved_model(tiny_network(), folder, [8, 12], version=4)
        deadline = time.monotonic() + 60
        while (200, "4") not in seen[-4:] and time.monotonic() < deadline:
            time.sleep(0.1)
        ending.set()
        for thread in asking:
            thread.join()
        versions = [version for _, version in seen]
        assert {status for status, _ in seen} == {200} and set(versions) == {"1", "4"}
        for version, status in (("4", 200), ("1", 404), ("x", 404)):
            assert send(url, f"/v1/models/mixsize/versions/{version}:predict")[0] == status
            assert send(url, f"/v2/models/mixsize/versions/{version}/infer", pixels_as_json(64))[0] == status
