"""`mixsize plan`: the regime before anything is trained, at once."""

import json
import re
import subprocess
import sys

import pytest

from keras_mixsize.cli import command, plan
from keras_mixsize.regimes import Regime, Schedule

SIZES = "32:.3,48:.2,24:.3,16:.2"


def mixsize_plan(*arguments):
    return command.run(plan, ["mixsize plan", *map(str, arguments)])


def test_sizes_are_solved_as_regime_solve_does(capsys):
    options = ["--base_size=32", "--base_batch=64", "--grow=duplicates", "--examples=50000"]
    assert mixsize_plan(SIZES, *options) == 0
    regime = Regime.solve({32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}, base_size=32, base_batch=64, grow="duplicates")
    assert capsys.readouterr().out.startswith(regime.table(50_000) + "\n")


def test_the_memory_of_a_bucket_is_its_pixels_over_the_bases(capsys):
    mixsize_plan("32x64x1:0.5,16x64x2:0.5")
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("memory"))
    shares = {int(size): float(share) for size, share in re.findall(r"(\d+) px (\d\.\d+)", line)}
    assert shares == {32: 1.0, 16: pytest.approx(16 * 16 * 128 / (32 * 32 * 64))}


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["cifar/d+"], Regime.preset("cifar/d+")),
        (["cifar/b+", "--base_batch=128"], Regime.preset("cifar/b+", base_batch=128)),
        (["imagenet144/baseline"], Regime.preset("imagenet144/baseline")),
        (["32:0.5,16:0.5"], Regime.parse("32:0.5,16:0.5", base_size=32, base_batch=64, grow="duplicates")),
        (["32:0.5,16:0.5", "--grow=batch"], Regime.parse("32:0.5,16:0.5", base_size=32, base_batch=64, grow="batch")),
        (["32x64:1", "--share=samples"], Regime.parse("32x64:1", share="samples")),
    ],
)
def test_what_is_planned_can_be_trained_from_its_file(arguments, expected, tmp_path, capsys):
    assert mixsize_plan(*arguments, f"--output={tmp_path / 'regime.json'}") == 0
    assert Regime.from_json((tmp_path / "regime.json").read_text()) == expected
    capsys.readouterr()
    assert mixsize_plan(tmp_path / "regime.json") == 0
    assert capsys.readouterr().out.startswith(expected.table())


def test_a_schedule_is_shown_stage_by_stage_and_trained_from_its_file(tmp_path, capsys):
    text, file = "0.8*cifar/d+; 0.2*32:1", tmp_path / "schedule.json"
    schedule = Schedule.finish(Regime.preset("cifar/d+"))
    assert mixsize_plan(text, "--examples=50000", "--epochs=10", f"--output={file}") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(schedule.table(50_000, 10) + "\n") and shown.count("32 px 1.00") == 1
    assert Schedule.from_json(file.read_text()) == schedule
    assert mixsize_plan(file) == 0 and capsys.readouterr().out.startswith(schedule.table())


def test_flags_hold_for_every_stage(tmp_path):
    file = tmp_path / "schedule.json"
    assert mixsize_plan("0.8*cifar/d+; 0.2*cifar/baseline", "--base_batch=128", f"--output={file}") == 0
    assert Schedule.from_json(file.read_text()) == Schedule.finish(Regime.preset("cifar/d+", base_batch=128))


@pytest.mark.parametrize(
    "arguments, answer",
    [
        ([], "name one regime"),
        (["cifar/d+", "cifar/b+"], "name one regime"),
        (["cifr/d+"], "did you mean cifar/d+?"),
        (["32:half"], "cannot be read"),
        (["32:0.5,16:0.4"], "sum to 1"),
        (["/nowhere.json"], "/nowhere.json"),
        (["0.8*cifar/d+"], "shares must sum to 1"),
        (["0.8*cifar/d+;cifar/b+"], "write share*regime"),
        (["0.8*cifr/d+;0.2*32:1"], "did you mean cifar/d+?"),
        (["cifar/d+", "--epochs=0"], "epochs"),
        (["cifar/d+", "--grow=batch"], "as in cifar/b+"),
        (["32x64:1", "--base_size=32"], "base_size"),
        (["cifar/d+", "--example=3"], "did you mean --examples?"),
    ],
)
def test_a_mistake_is_answered_in_a_line_or_two(arguments, answer, capsys):
    assert mixsize_plan(*arguments) == 2
    error = capsys.readouterr().err
    assert answer in error and len(error.splitlines()) <= 2


def test_a_broken_file_is_named(tmp_path, capsys):
    (tmp_path / "regime.json").write_text(json.dumps({"buckets": []}))
    assert mixsize_plan(tmp_path / "regime.json") == 2 and "regime JSON" in capsys.readouterr().err


def test_it_takes_a_fraction_of_a_second_and_loads_neither_tensorflow_nor_pictures():
    code = (
        "import resource, sys; from keras_mixsize.cli import main\n"
        "before = resource.getrusage(resource.RUSAGE_SELF)\n"
        "assert main.run(['mixsize', 'plan', 'cifar/d+', '--examples=50000']) == 0\n"
        "print([name for name in ('tensorflow', 'keras', 'matplotlib', 'rich') if name in sys.modules])\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    *_, loaded, seconds = answer.splitlines()
    assert loaded == "[]" and float(seconds) < 2.5  # 0.2 on an idle machine
