"""The manifest and the model card."""

import json

import pytest

from keras_mixsize.evaluation.report import Accuracy, SizeReport, SizeRow
from keras_mixsize.export.card import make_manifest, model_card, size_entry
from keras_mixsize.export.cascade import Cascade
from keras_mixsize.export.preprocessing import Preprocessing

ROW = SizeRow(32, Accuracy(0.8, 0.75, 0.85), 0.6, Accuracy(0.9, 0.85, 0.95), 0.4, 5_000_000, 0.25)
REPORT = SizeReport("ours", (ROW,), {"images": 100})


def manifest(**changes):
    options = {
        "default_size": 32,
        "class_names": ("cat", "dog"),
        "top": 2,
        "channels": 3,
        "limits": {"max_batch": 8, "max_pixels": 1000},
        "preprocessing": Preprocessing(),
        "calibration_batches": 20,
        "cascade": Cascade(16, 32, 0.75, Accuracy(0.9, 0.85, 0.95), 0.25, 0.5),
        "report": REPORT,
        "signatures": {},
    }
    return make_manifest("net", [size_entry(32, 5_000_000, REPORT, True)], **options | changes)


def test_the_manifest_is_json():
    written = manifest()
    assert json.loads(json.dumps(written)) == written


@pytest.mark.parametrize(("calibrated", "value"), [(True, 0.9), (False, 0.8)])
def test_the_accuracy_is_that_of_the_statistics_exported(calibrated, value):
    assert size_entry(32, 5_000_000, REPORT, calibrated)["accuracy"]["value"] == value


def test_a_size_that_the_report_lacks_has_no_accuracy():
    entry = size_entry(16, 1_000, REPORT, True)
    assert (entry["accuracy"], entry["latency_ms"], entry["multiply_adds"]) == (None, None, 1_000)


def test_the_card_says_what_the_manifest_holds():
    card = model_card(manifest())
    assert "| 32 | 90.0% [85.0, 95.0] | 5.00 | 0.250 | `serve_32` |" in card
    assert "calibrated with 20 training batches" in card
    assert "looks at 16 px, and again at 32 px where no class is as likely as 0.750" in card


def test_what_is_not_there_is_not_in_the_card():
    card = model_card(manifest(cascade=None, report=None, calibration_batches=None))
    assert "Cascade" not in card and "the model's own" in card
