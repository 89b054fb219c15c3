"""What measuring scripts share: figures against NumPy, turns, and the file of the figures."""

import itertools
import json
import sys

import measuring
import numpy as np
import pytest
from measuring import Spread, alternate, ratios


@pytest.fixture
def values():
    return np.random.default_rng(0).gamma(2.0, size=41)


def test_quartiles_are_those_of_numpy(values):
    assert Spread.quartiles(values) == pytest.approx(np.percentile(values, [25, 50, 75]))


def test_quartiles_take_any_numbers_once():
    assert Spread.quartiles(number for number in (3, 1, 2)) == (1.5, 2.0, 2.5)


def test_extremes_are_the_least_the_median_and_the_greatest(values):
    assert Spread.extremes(values) == pytest.approx((values.min(), np.median(values), values.max()))


@pytest.mark.parametrize("make", [Spread.quartiles, Spread.extremes])
def test_no_measurement_at_all_is_refused(make):
    with pytest.raises(ValueError, match="at least one measurement, got none; measure one round or more"):
        make([])


def test_a_spread_is_a_list_in_json_and_text_with_its_median_first():
    spread = Spread(1000.0, 1234.5, 2000.0)
    assert json.loads(json.dumps({"ms": spread})) == {"ms": [1000.0, 1234.5, 2000.0]}
    assert spread.text(1) == "1,234.5 (1,000.0 to 2,000.0)" and str(spread) == spread.text(3)


def test_ratios_are_taken_pair_by_pair():
    drift = np.array([1.0, 2.0, 4.0, 8.0])  # of the machine, which both contenders feel
    assert ratios(3 * drift, drift) == (3.0, 3.0, 3.0)


def test_ratios_of_different_rounds_are_refused():
    with pytest.raises(ValueError, match="must be of the same rounds, got 3 and 1 of them"):
        ratios([1.0, 2.0, 3.0], [1.0])


def stand_ins(names):
    """Return contenders that note their calls, and the notes."""
    calls, count = [], itertools.count()
    return {name: lambda name=name: calls.append(name) or next(count) for name in names}, calls


def test_contenders_follow_one_another_in_every_round():
    contenders, calls = stand_ins("abc")
    assert alternate(contenders, 2) == {"a": [0, 3], "b": [1, 4], "c": [2, 5]}
    assert "".join(calls) == "abcabc"


def test_warming_up_is_done_and_does_not_count():
    contenders, calls = stand_ins("ab")
    assert alternate(contenders, 1, warm_up=2) == {"a": [4], "b": [5]}
    assert len(calls) == 6


def test_a_seed_draws_an_order_for_each_round_and_the_same_one_again():
    runs = []
    for _ in range(2):
        contenders, calls = stand_ins("abcd")
        found = alternate(contenders, 20, seed=3)
        assert {len(values) for values in found.values()} == {20} and list(found) == list("abcd")
        runs.append("".join(calls))
    rounds = [runs[0][turn : turn + 4] for turn in range(0, 80, 4)]
    assert runs[0] == runs[1] and {"".join(sorted(turn)) for turn in rounds} == {"abcd"} and len(set(rounds)) > 5


def test_every_round_can_be_watched():
    contenders, _ = stand_ins("ab")
    seen = []
    alternate(contenders, 2, warm_up=1, watch=lambda number, turn: seen.append((number, turn)))
    assert seen == [(-1, {"a": 0, "b": 1}), (0, {"a": 2, "b": 3}), (1, {"a": 4, "b": 5})]


def test_seconds_are_those_of_the_clock(monkeypatch):
    monkeypatch.setattr(measuring.time, "perf_counter", iter([10.0, 12.5]).__next__)
    assert measuring.seconds_of(divmod, 7, 2) == 2.5


def test_results_have_the_command_and_the_versions_beside_them(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmarks/zoo.py", "--networks=resnet44", "--note=two words"])
    output = tmp_path / "new" / "zoo.json"
    measuring.write_results(output, {"ms": Spread(1.0, 2.0, 3.0), "command": "an earlier one"})
    facts = measuring.read_results(output)
    assert facts["command"] == "python benchmarks/zoo.py --networks=resnet44 '--note=two words'"
    assert facts["ms"] == [1.0, 2.0, 3.0] and facts["versions"]["numpy"] == np.__version__
    assert {"machine", "python", "keras_mixsize"} <= facts["versions"].keys()
    assert [path.name for path in output.parent.iterdir()] == ["zoo.json"]


def test_results_that_cannot_be_written_leave_the_old_ones(tmp_path):
    output = tmp_path / "figures.json"
    measuring.write_results(output, {"ms": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        measuring.write_results(output, {"ms": object()})
    assert measuring.read_results(output)["ms"] == 1


def test_a_file_that_is_not_there_holds_no_results(tmp_path):
    assert measuring.read_results(tmp_path / "none.json") == {}


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script that measures one thing in a process of its own, or fails."""
    file = tmp_path / "script.py"
    monkeypatch.setattr(sys, "argv", [str(file)])
    lines = [
        "import json, sys",
        "output = sys.argv[-1].removeprefix('--output=')",
        "if '--fail' in sys.argv: sys.exit(3)",
    ]
    file.write_text("\n".join([*lines, "open(output, 'w').write(json.dumps({'given': sys.argv[1:-1]}))"]))


def test_a_process_of_its_own_hands_back_what_it_measured(script):
    assert measuring.measure_apart("--one", "--rounds=2") == {"given": ["--one", "--rounds=2"]}


def test_a_process_that_fails_ends_the_measurement(script):
    with pytest.raises(SystemExit, match="the measurement with --one --fail ended with status 3"):
        measuring.measure_apart("--one", "--fail")


def test_tables_show_medians_with_their_quartiles(capsys, monkeypatch):
    monkeypatch.setattr(measuring, "console", measuring.rich.console.Console(width=80))
    measuring.show_spreads("steps", {"stock": Spread(1.0, 2.0, 3.0)}, digits=1)
    shown = capsys.readouterr().out
    assert "steps" in shown and "stock" in shown and "2.0 (1.0 to 3.0)" in shown
