"""Size reports: the interval against its defining equation, and every form of a report against its rows."""

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import image

from keras_mixsize import SizeReport
from keras_mixsize.evaluation.report import Accuracy, SizeRow

Z = 1.959964
FIELDS = ("accuracy", "calibrated")


def row(size, correct=80, calibrated=90, latency_ms=0.25):
    """Return a row of 100 test images whose numbers are all different."""
    after = None if calibrated is None else Accuracy.of(calibrated, 100)
    loss = None if calibrated is None else 0.5 + size / 1000
    return SizeRow(size, Accuracy.of(correct, 100), 1 + size / 1000, after, loss, 1000 * size**2, latency_ms)


def report(name="mixed", calibrated=(85, 91, 93), **fields):
    rows = [row(size, 60 + size // 2, after) for size, after in zip((16, 24, 32), calibrated, strict=True)]
    return SizeReport(name, tuple(rows), {"images": 100, "device": "cpu"} | fields)


def plain_report():
    """Return a report without calibration and without latency."""
    return SizeReport("plain", tuple(row(size, calibrated=None, latency_ms=None) for size in (16, 32)), {})


# The interval


@pytest.mark.parametrize(("correct", "count"), [(1, 10), (5, 10), (9, 10), (50, 100), (997, 1000), (9243, 10_000)])
@pytest.mark.parametrize("bound", ["low", "high"])
def test_at_its_bounds_the_share_is_z_deviations_off(correct, count, bound):
    accuracy = Accuracy.of(correct, count)
    truth = getattr(accuracy, bound)
    assert abs(correct / count - truth) == pytest.approx(Z * math.sqrt(truth * (1 - truth) / count))


@pytest.mark.parametrize("count", [1, 3, 10, 10_000])
def test_no_right_answer_still_leaves_room_above(count):
    assert Accuracy.of(0, count).high == pytest.approx(Z**2 / (count + Z**2))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_right_and_wrong_answers_have_mirrored_intervals(drawn):
    correct, count = drawn
    right, wrong = Accuracy.of(correct, count), Accuracy.of(count - correct, count)
    assert (right.low, right.high) == pytest.approx((1 - wrong.high, 1 - wrong.low))


@pytest.mark.parametrize("share", [0, 1])
def test_the_interval_holds_the_share_even_at_its_ends(share):
    accuracies = [Accuracy.of(share * count, count) for count in range(1, 1001)]
    assert all(0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1 for accuracy in accuracies)


def test_more_images_give_a_narrower_interval():
    widths = [Accuracy.of(9 * n, 10 * n).high - Accuracy.of(9 * n, 10 * n).low for n in (1, 10, 100, 1000)]
    assert widths == sorted(widths, reverse=True)


def test_an_accuracy_prints_in_percent():
    assert str(Accuracy(0.934, 0.9194, 0.9462)) == "93.4% [91.9, 94.6]"


# Rows


def test_a_row_is_found_by_its_size():
    assert report().at(24).size == 24


def test_a_size_that_was_not_measured_is_refused_with_those_that_were():
    with pytest.raises(ValueError, match=r"size must be one of \[16, 24, 32\], got 28"):
        report().at(28)


def test_the_best_accuracy_is_the_calibrated_one():
    assert report().at(16).best.value == 0.85


def test_without_calibration_the_best_accuracy_is_the_other():
    assert plain_report().at(16).best.value == 0.8


# Text, JSON, CSV


def test_the_table_has_a_line_for_every_size():
    lines = report().table().splitlines()[2:]
    assert [int(line.split()[0]) for line in lines] == [16, 24, 32]


def test_the_table_holds_the_values_of_a_row():
    line = report().table().splitlines()[2]
    low, high = 100 * Accuracy.of(85, 100).low, 100 * Accuracy.of(85, 100).high
    before = Accuracy.of(68, 100)
    cells = f"16 68.0% [{100 * before.low:.1f}, {100 * before.high:.1f}] 85.0% [{low:.1f}, {high:.1f}] 0.516 0.26 0.250"
    assert line.split() == cells.split()


def test_the_columns_of_the_table_are_aligned():
    lines = report().table().splitlines()
    assert len({len(line) for line in lines[1:]}) == 1


def test_the_table_begins_with_the_name():
    assert report("resnet44").table().splitlines()[0] == "resnet44"


def test_the_table_marks_what_was_not_measured():
    line = plain_report().table().splitlines()[2]
    assert line.split()[4] == line.split()[-1] == "-" and "None" not in line


@pytest.mark.parametrize("made", [report(), plain_report(), SizeReport("empty", ())], ids=lambda made: made.name)
def test_json_gives_an_equal_report_back(made):
    assert SizeReport.from_json(made.to_json()) == made


def test_json_is_plain_data():
    fields = json.loads(report().to_json())
    assert (fields["name"], fields["about"]["images"], fields["rows"][1]["size"]) == ("mixed", 100, 24)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "{}", "[]", "null", '{"name": "x", "rows": [{"size": 8}], "about": {}}']
)
def test_json_that_is_no_report_is_refused(text):
    with pytest.raises(ValueError, match=r"report JSON cannot be read .* write it with SizeReport.to_json\(\)"):
        SizeReport.from_json(text)


def read_csv(made, path):
    made.to_csv(path)
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_csv_has_a_line_for_every_size(tmp_path):
    assert [line["size"] for line in read_csv(report(), tmp_path / "report.csv")] == ["16", "24", "32"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("suffix", "part"), [("", "value"), ("_low", "low"), ("_high", "high")])
def test_csv_holds_the_exact_accuracies(tmp_path, field, suffix, part):
    made = report()
    written = [float(line[field + suffix]) for line in read_csv(made, tmp_path / "report.csv")]
    assert written == [getattr(getattr(each, field), part) for each in made.rows]


@pytest.mark.parametrize("field", ["loss", "calibrated_loss", "multiply_adds", "latency_ms"])
def test_csv_holds_the_exact_losses_and_costs(tmp_path, field):
    made = report()
    written = [float(line[field]) for line in read_csv(made, tmp_path / "report.csv")]
    assert written == [getattr(each, field) for each in made.rows]


def test_csv_leaves_empty_what_was_not_measured(tmp_path):
    line = read_csv(plain_report(), tmp_path / "report.csv")[0]
    empty = {name for name, value in line.items() if value == ""}
    assert empty == {"calibrated", "calibrated_low", "calibrated_high", "calibrated_loss", "latency_ms"}


def test_csv_quotes_a_name_with_a_comma(tmp_path):
    lines = read_csv(report('resnet, "mixed"'), tmp_path / "report.csv")
    assert {line["name"] for line in lines} == {'resnet, "mixed"'}


# The picture


def colours(path):
    """Return how many pixels of the picture are coloured, that is neither white, grey nor black."""
    pixels = image.imread(path)[..., :3]
    return int(np.sum(pixels.max(axis=-1) - pixels.min(axis=-1) > 0.2))


def test_a_picture_is_a_png_that_is_not_blank(tmp_path):
    report().plot(tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert 0.001 < np.mean(image.imread(tmp_path / "report.png")[..., :3].min(axis=-1) < 0.5) < 0.5


def test_other_reports_are_drawn_beside_it(tmp_path):
    report().plot(tmp_path / "one.png")
    report().plot(tmp_path / "three.png", report("b", (80, 85, 88)), report("c", (70, 75, 78)), title="three")
    assert colours(tmp_path / "three.png") > colours(tmp_path / "one.png") + 200


def test_a_perfect_accuracy_can_be_drawn(tmp_path):
    perfect = SizeRow(16, Accuracy.of(10, 10), 0.1, None, None, 1000, None)
    SizeReport("perfect", (perfect,)).plot(tmp_path / "perfect.png")
    assert colours(tmp_path / "perfect.png") == 0  # one grey series


# The choice of a size


@pytest.mark.parametrize(("within", "expected"), [(0, 32), (0.0199, 32), (0.02, 24), (0.08, 16), (1, 16)])
def test_the_chosen_size_is_the_cheapest_within_so_much_of_the_best(within, expected):
    assert plain_times((1.0, 2.0, 3.0)).choose(within).size == expected


def test_measured_time_goes_before_multiply_adds():
    assert plain_times((3.0, 2.0, 1.0)).choose(1).size == 32


def test_if_a_size_was_not_timed_multiply_adds_decide():
    assert plain_times((3.0, None, 1.0)).choose(1).size == 16


@pytest.mark.parametrize("within", [-0.01, 1.5, "0.01", math.nan])
def test_a_share_out_of_range_is_refused(within):
    with pytest.raises(ValueError, match=r"within must be a share in \[0, 1\]"):
        report().choose(within)


def test_nothing_can_be_chosen_from_no_sizes():
    with pytest.raises(ValueError, match="at least one size to choose from"):
        SizeReport("empty", ()).choose()


def plain_times(latencies):
    """Return a report of 85, 91 and 93 % at 16, 24 and 32 px that take so many milliseconds."""
    rows = [
        row(size, calibrated=after, latency_ms=latency)
        for size, after, latency in zip((16, 24, 32), (85, 91, 93), latencies)
    ]
    return SizeReport("timed", tuple(rows))
