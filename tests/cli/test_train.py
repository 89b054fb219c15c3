"""`mixsize train`: what it lists and refuses; `test_run` has what it trains."""

import pytest
from pictures import write_image

from keras_mixsize.cli import command, train
from keras_mixsize.recipes import RECIPES, find


def mixsize_train(*arguments):
    return command.run(train, ["mixsize train", *map(str, arguments)])


def test_recipes_are_listed_a_line_each(capsys):
    assert mixsize_train("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(RECIPES)
    assert max(map(len, lines)) <= 120


def test_one_recipe_is_shown_in_full(capsys):
    assert mixsize_train("--list", "--recipe=cifar10/resnet44/d+") == 0
    assert capsys.readouterr().out == f"{find('cifar10/resnet44/d+')}\n"


def test_help_fits_a_screen(capsys):
    assert mixsize_train("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 100
    assert "    mixsize train photos" in "\n".join(lines)


@pytest.mark.parametrize(
    "arguments, answer",
    [
        (["--regime=32:0.5,24:0.4"], "probabilities must sum to 1"),
        (["--regime=cifra"], "did you mean cifar/d+?"),
        (["--recipe=embeded/resnet8/b+"], "did you mean embedded/resnet8/b+?"),
        (["--list", "--recipe=embeded/resnet8/b+"], "did you mean embedded/resnet8/b+?"),
        (["--dataset=clipart"], "data_dir must be given for clipart"),
        (["--model=resnet9"], "no network 'resnet9'; did you mean resnet"),
        (["--dataset=folder:/nowhere"], "/nowhere does not exist"),
        (["embeded"], "did you mean embedded?"),
        (["embedded", "clipart"], "name one data set, got embedded and clipart"),
        (["embedded", "--dataset=clipart"], "name one data set"),
        (["--config=/nowhere.json"], "No such file or directory: /nowhere.json"),
        (["--epoch=3"], "did you mean --epochs?"),
        (["--sizes=16,big"], "'big'"),
        (["--validation=1.5", "{photos}"], "validation must be a share between 0 and 1, got 1.5"),
        (["{photos}", "--base_size=50"], "stride of 4, got 50; use 48"),
    ],
)
def test_a_mistake_is_answered_in_a_line_or_two(arguments, answer, tmp_path, capsys):
    for number in range(40):
        write_image(tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.jpg", 8, 8)
    arguments = [argument.format(photos=tmp_path / "photos") for argument in arguments]
    assert mixsize_train("--smoke", f"--output={tmp_path}", *arguments) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mixsize train")]
    assert len(error) == 1 and answer in error[0]
