"""Pictures of reports: their format, their dimension and the words in them."""

import dataclasses

import numpy as np
import pytest
from matplotlib import image

from keras_mixsize import SizeReport
from keras_mixsize.evaluation import plots
from keras_mixsize.evaluation.report import Accuracy, CascadePoint, SizeRow


def report(name, sizes=(16, 24, 32), calibrated=True):
    after = (Accuracy.of(90, 100), 0.4) if calibrated else (None, None)
    rows = [SizeRow(size, Accuracy.of(50 + size, 100), 0.5, *after, 1000 * size**2, None) for size in sizes]
    return SizeReport(name, tuple(rows))


def words(path, *reports, **options):
    """Return the picture as SVG text, in which matplotlib notes every string that it draws."""
    plots.accuracy_by_size(reports, path / "picture.svg", **options)
    return (path / "picture.svg").read_text()


def is_drawn(text, svg):
    return f"<!-- {text} -->" in svg


def test_a_png_is_wide_enough_to_read(tmp_path):
    plots.accuracy_by_size([report("one")], tmp_path / "picture.png")
    height, width, _ = image.imread(tmp_path / "picture.png").shape
    assert 400 <= height <= 2000 and 1.5 < width / height < 4


def test_a_path_may_be_text(tmp_path):
    plots.accuracy_by_size([report("one")], str(tmp_path / "picture.png"))
    assert (tmp_path / "picture.png").stat().st_size > 10_000


@pytest.mark.parametrize("count", [1, 6, 7])
def test_the_legend_names_every_report(tmp_path, count):
    reports = [report(f"network {number}") for number in range(count)]
    svg = words(tmp_path, *reports)
    assert [each.name for each in reports if not is_drawn(each.name, svg)] == []


def test_the_picture_says_what_it_shows(tmp_path):
    svg = words(tmp_path, report("one"), title="a title")
    labels = ["test image size (px)", "accuracy (%)", "without calibration", "a title"]
    assert [label for label in labels if not is_drawn(label, svg)] == []


def test_every_size_of_every_report_has_a_tick(tmp_path):
    svg = words(tmp_path, report("one", sizes=(17, 29)), report("two", sizes=(29, 43)))
    assert all(is_drawn(size, svg) for size in (17, 29, 43))


def test_a_cascade_is_drawn_against_compute(tmp_path):
    points = [CascadePoint(Accuracy.of(80, 100), 2e5), CascadePoint(Accuracy.of(85, 100), 3e5)]
    assert is_drawn("size cascade", words(tmp_path, report("one"), cascades=points))
    assert not is_drawn("size cascade", words(tmp_path, report("one")))


@pytest.mark.parametrize("sizes", [(16,), (16, 24, 32)])
def test_a_report_without_calibration_is_drawn(tmp_path, sizes):
    plots.accuracy_by_size([report("plain", sizes, calibrated=False)], tmp_path / "picture.png")
    assert np.ptp(image.imread(tmp_path / "picture.png")[..., :3]) == 1


def test_reports_with_and_without_calibration_are_drawn_together(tmp_path):
    svg = words(tmp_path, report("plain", calibrated=False), report("calibrated"))
    assert is_drawn("plain", svg) and is_drawn("calibrated", svg)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'nonsense' is not supported"):
        plots.accuracy_by_size([report("one")], tmp_path / "picture.nonsense")


def test_the_choice_is_drawn_with_its_line_and_against_what_was_measured(tmp_path):
    report("one").plot_choice(tmp_path / "choice.svg", within=0.02)
    svg = (tmp_path / "choice.svg").read_text()
    assert is_drawn("cheapest above it: 16 px, 90.0%", svg) and is_drawn("best less 2 points", svg)
    assert is_drawn("compute per image (million multiply-adds)", svg)
    timed = [dataclasses.replace(row, latency_ms=0.1 * row.size) for row in report("one").rows]
    SizeReport("timed", tuple(timed)).plot_choice(tmp_path / "choice.svg")
    assert is_drawn("latency per image on this machine (ms)", (tmp_path / "choice.svg").read_text())


@pytest.mark.parametrize("count", [1, 7])
def test_the_legend_lies_below_all_axes(count):
    figure = plots.new_figure(11, 5)
    axes = figure.subplots()
    plots.draw_by_size(axes, [report(f"network {number}") for number in range(count)])
    plots.legend_below(figure)
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().y1 <= axes.get_tightbbox().y0
