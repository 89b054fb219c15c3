"""What a search tries and how it scores, without training anything."""

import pytest

from keras_mixsize.evaluation.report import Accuracy, SizeReport, SizeRow
from keras_mixsize.recipes.search import SPREADS, Candidate, Goal
from keras_mixsize.regimes import MODES


def report(**by_size):
    """Return a report of (accuracy, latency) by size, given as s16=(0.5, 2.0)."""
    rows = [
        SizeRow(int(name[1:]), Accuracy.of(round(1000 * share), 1000), 1.0, None, None, 1, time)
        for name, (share, time) in by_size.items()
    ]
    return SizeReport("net", tuple(rows))


REPORT = {"s8": (0.5, 1.0), "s16": (0.8, 4.0), "s24": (0.9, 9.0)}


@pytest.mark.parametrize(
    "text, score", [("mean", 2.2 / 3), ("16", 0.8), ("16px", 0.8), ("5ms", 0.8), ("1.5ms", 0.5), ("10ms", 0.9)]
)
def test_a_goal_scores_a_report(text, score):
    assert Goal.parse(text).score(report(**REPORT)) == pytest.approx(score)


@pytest.mark.parametrize("text", ["", "best", "0", "-5ms", "0ms", "16.5", "ms"])
def test_another_goal_is_refused(text):
    with pytest.raises(ValueError, match="goal must be mean, a size such as 16, or a latency such as 5ms"):
        Goal.parse(text)


def test_a_latency_that_no_size_meets_is_refused_with_the_fastest():
    with pytest.raises(ValueError, match="no test size answers within 0.5 ms an image: 8 px takes 1"):
        Goal.parse("0.5ms").score(report(**REPORT))


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("mode", MODES)
def test_candidates_are_regimes_around_the_base_within_its_budget(mode, spread):
    regime = Candidate(mode, spread).regime(32, 64, stride=4)
    assert regime.base.size == 32 and regime.base.batch == 64
    assert 32 in regime.sizes and len(regime.sizes) >= 3 and all(size % 4 == 0 for size in regime.sizes)
    assert all(bucket.cost <= 32 * 32 * 64 for bucket in regime.buckets)


def test_a_finish_ends_at_the_base():
    schedule = Candidate("b+", "wide", finish=0.2).regime(32, 64, stride=4)
    share, last = schedule.stages[-1]
    assert (share, last.sizes) == (pytest.approx(0.2), (32,))
    assert len(Candidate("baseline", finish=0.2).regime(32, 64, stride=4).stages) == 1


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"mode": "c+"}, "mode must be one of"),
        ({"mode": "b+", "spread": "huge"}, "spread must be one of"),
        ({"mode": "b+", "finish": 1.0}, "finish must be a share"),
        ({"mode": "b+", "rate": 0.0}, "rate must be above 0"),
    ],
)
def test_a_candidate_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Candidate(**fields)
