"""The report as one HTML file: it is whole, names what was recorded and what was not, and needs nothing beside it."""

import base64
import html.parser
import json
import re
import sys
import xml.etree.ElementTree

import pytest
from PIL import Image

import keras_mixsize as kms
from keras_mixsize.cli import page
from keras_mixsize.cli.config import RunConfig

WARMED = {"size": 16, "batch": 8, "duplicates": 4, "compile_seconds": 2.5, "step_seconds": 0.02, "peak_bytes": 2**30}


def write_run(folder, name="d+", **recorded):
    """Write results.json with the settings of a run, its accuracy and whatever else is recorded."""
    config = RunConfig(kms.recipes.find("embedded/resnet8/d+"), output=str(folder), name=name)
    accuracy = {"value": 0.5, "low": 0.4, "high": 0.6}
    row = {"accuracy": accuracy, "loss": 1.0, "calibrated": None, "calibrated_loss": None, "multiply_adds": 9}
    rows = [row | {"size": size, "latency_ms": size / 10} for size in (16, 24)]
    report = {"name": name, "rows": rows, "about": {}}
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps({"config": config.to_dict(), "report": report, **recorded}))
    return folder


def written(path, *folders):
    page.write_page(folders, path / "report.html")
    return (path / "report.html").read_text()


class Addresses(html.parser.HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of two runs: of one all is recorded, of the other the accuracy."""
    path = tmp_path_factory.mktemp("page")
    history = {"loss_16": [1.0, 0.5], "accuracy_16": [0.5, 0.6], "skipped_steps": [2.0, 1.0]}
    speed = {"warm_up": [WARMED], "epoch_seconds": [5.0, 6.0], "steps_per_epoch": 100, "steps": 200}
    full = write_run(path / "full", "<d+>", history=history, damaged=["image 7"], train_seconds=11.0, **speed)
    (full / "examples").mkdir()
    Image.new("L", (32, 64)).save(full / "examples/16x8x4.png")
    old = path / "old"
    old.mkdir()
    report = json.loads((full / "results.json").read_text())["report"]
    (old / "report.json").write_text(json.dumps(report | {"name": "old"}))
    return written(path, full), written(path, full, old)


def test_a_page_holds_all_that_it_shows(pages):
    addresses = Addresses(pages[1]).found
    assert len(addresses) > 6 and all(address.startswith("data:image/") for address in addresses)
    for address in addresses:
        data = base64.b64decode(address.partition(",")[2])
        if "svg" in address[:20]:
            assert xml.etree.ElementTree.fromstring(data).tag.endswith("svg")
    assert not re.search(r"@import|url\(|<script|<link", pages[1])


@pytest.mark.parametrize(
    "text",
    [
        "3.", "Damaged images that were skipped: 1.", "image 7", "1,600", "1024", "20.0", "50.0 to 60.0 ms",
        "200 steps, 11.0 s", "16 px, batch 8, 4 copies", "16 px is the cheapest size within 1 point",
        "prefers-color-scheme: dark", "resnet8", "50.0 % [40.0, 60.0]",
    ],
)  # fmt: skip
def test_what_was_recorded_is_shown(pages, text):
    assert text in pages[0] and "not recorded" not in pages[0]


def test_names_are_escaped(pages):
    assert "&lt;d+&gt;" in pages[0] and "<d+>" not in pages[0]


def test_what_was_not_recorded_is_said(pages):
    missing = ["Step times by bucket", "Example pictures", "Settings", "Learning rate", "Loss in training by size"]
    assert [name for name in missing if f"{name}: not recorded" not in pages[1]] == []


def test_without_jinja2_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ValueError, match=r"needs the package jinja2: pip install 'keras_mixsize\[report\]'"):
        page.write_page([write_run(tmp_path / "run")], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_run_that_has_not_ended_and_a_folder_of_another_kind_are_told_apart(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="has not ended"):
        page.write_page([tmp_path], tmp_path / "report.html")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        page.write_page([tmp_path / "none"], tmp_path / "report.html")
    (tmp_path / "photos").mkdir()
    with pytest.raises(FileNotFoundError, match="so it is no run"):
        page.write_page([tmp_path / "photos"], tmp_path / "report.html")
