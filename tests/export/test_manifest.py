"""The manifest of an export."""

import dataclasses
import json

import pytest
from manifests import CONTENTS, MULTIPLY_ADDS, REPORT

from keras_mixsize.export.manifest import make_manifest, size_entry
from keras_mixsize.serving import served_model


def test_the_manifest_is_json():
    written = make_manifest(CONTENTS, MULTIPLY_ADDS, {})
    assert json.loads(json.dumps(written)) == written


def test_its_format_is_the_one_that_the_loader_reads():
    written = make_manifest(CONTENTS, MULTIPLY_ADDS, {})
    assert (written["format"], written["format_version"]) == (served_model.FORMAT, served_model.FORMAT_VERSION)


def test_it_holds_the_cascade_under_the_names_of_its_format():
    assert make_manifest(CONTENTS, MULTIPLY_ADDS, {})["cascade"] == {
        "small": 16,
        "large": 32,
        "threshold": 0.75,
        "accuracy": {"value": 0.9, "low": 0.85, "high": 0.95},
        "share": 0.25,
        "cost": 0.5,
    }


def test_what_is_not_there_is_null():
    nothing = dataclasses.replace(CONTENTS, cascade=None, report=None, calibration_batches=None)
    written = make_manifest(nothing, MULTIPLY_ADDS, {})
    assert written["cascade"] is written["report"] is written["calibration"] is None
    assert [row["accuracy"] for row in written["sizes"]] == [None]


@pytest.mark.parametrize(("calibrated", "value"), [(True, 0.9), (False, 0.8)])
def test_the_accuracy_is_that_of_the_statistics_exported(calibrated, value):
    assert size_entry(32, 5_000_000, REPORT, calibrated)["accuracy"]["value"] == value


def test_a_size_that_the_report_lacks_has_no_accuracy():
    entry = size_entry(16, 1_000, REPORT, True)
    assert (entry["accuracy"], entry["latency_ms"], entry["multiply_adds"]) == (None, None, 1_000)
