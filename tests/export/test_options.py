"""Options of an export: what is checked, and what is filled in."""

import keras
import numpy as np
import pytest
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.evaluation.report import Accuracy, SizeReport, SizeRow
from keras_mixsize.export import Cascade, ExportOptions, FitCascade, Preprocessing
from keras_mixsize.export.options import settled

ROWS = [SizeRow(size, Accuracy.of(correct, 10), 1.0, None, None, 1000, 0.5) for size, correct in ((8, 6), (16, 7))]
REPORT = SizeReport("tiny", tuple(ROWS), {"window": "CenterCrop(share=0.875)"})
IMAGES, LABELS = np.zeros([2, 8, 8, 1]), np.zeros(2)


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "at least one size in pixels, got none; give sizes= or report="),
        ({"sizes": []}, "at least one size in pixels, got none"),
        ({"sizes": [8, 8]}, r"sizes must differ from each other, got \[8, 8\]"),
        ({"sizes": [8, 0]}, "sizes must be an integer of at least 1, got 0"),
        ({"sizes": [8], "top": 0}, "top must be"),
        ({"sizes": [8], "version": 0}, "version must be"),
        ({"sizes": [8], "batches": 0}, "batches must be"),
    ],
)
def test_options_that_are_wrong_by_themselves_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ExportOptions(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cascade": FitCascade(IMAGES, LABELS, sizes=(8, 9))}, r"two of the exported sizes \(8, 16\), got \(8, 9\)"),
        ({"cascade": Cascade(4, 16, 0.5, Accuracy.of(1, 2), 0.5, 0.75)}, "two of the exported sizes"),
        ({"cascade": FitCascade(IMAGES, LABELS, work="latency_ms")}, "work must be 'multiply_adds' without a report"),
        ({"preprocessing": Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)}, "model's 1 channels"),
        ({"default_size": 12}, r"default_size must be one of \(8, 16\), got 12"),
        ({"class_names": "abc"}, "one for each of the model's 10 outputs, got 3"),
    ],
)
def test_options_that_do_not_fit_the_model_or_each_other_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        settled(network, ExportOptions(sizes=(8, 16), **options))


def test_a_model_of_one_size_is_refused():
    inputs = keras.Input((16, 16, 1))
    fixed = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ValueError, match=r"\(None, None, channels\), got the shape \(None, 16, 16, 1\)"):
        settled(fixed, ExportOptions(sizes=(8, 16)))


def test_sizes_are_ascending_whatever_their_order_and_type():
    assert ExportOptions(sizes=np.array([16, 8])).sizes == (8, 16)


def test_what_was_not_said_comes_from_the_report(network):
    contents = settled(network, ExportOptions(report=REPORT))
    assert (contents.sizes, contents.default_size) == ((8, 16), 16)
    assert contents.preprocessing == Preprocessing(center_crop=0.875)
    assert contents.latencies == {8: 0.5, 16: 0.5}


def test_what_was_said_goes_before_the_report(network):
    options = {"sizes": [4, 8], "default_size": 4, "preprocessing": Preprocessing(0.5, antialias=False)}
    contents = settled(network, ExportOptions(report=REPORT, **options))
    assert (contents.sizes, contents.default_size) == ((4, 8), 4)
    assert contents.preprocessing == Preprocessing(0.5, antialias=False)


def test_without_a_report_the_largest_size_answers_files(network):
    contents = settled(network, ExportOptions(sizes=(8, 16)))
    assert (contents.default_size, contents.calibration_batches) == (16, None)
    assert (contents.class_names, contents.top) == (tuple("0123456789"), 5)


def test_no_more_classes_are_named_than_there_are(network):
    assert settled(network, ExportOptions(sizes=(8,), top=20)).top == 10


def test_classes_have_the_names_of_the_training_data(network, small_arrays):
    names = tuple(f"class {number}" for number in range(10))
    source = kms.sources.ArraySource(*small_arrays, names)
    train = kms.MixSizeDataset.from_source(source, regime=kms.Regime.fixed(16, 8))
    contents = settled(network, ExportOptions(sizes=(8,), calibration=train, batches=7))
    assert (contents.class_names, contents.calibration_batches) == (names, 7)
