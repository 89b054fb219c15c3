"""`mixsize serve`: what it refuses without a server; tests/serving runs one."""

import importlib.util

import pytest

from keras_mixsize.cli import command, serve


def mixsize_serve(*arguments):
    return command.run(serve, ["mixsize serve", *arguments])


@pytest.mark.skipif(importlib.util.find_spec("kserve") is not None, reason="kserve is installed")
def test_without_kserve_it_says_what_to_install(capsys):
    assert mixsize_serve("exported") == 2
    error = capsys.readouterr().err
    assert "pip install 'kserve>=0.21'" in error and "serving/bin/mixsize serve exported" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one folder, that `mixsize export` wrote"),
        (["a", "b"], "name one folder"),
        (["a", "--port=70000"], "--port"),
        (["a", "--http_port=80"], "unknown flag --http_port"),
    ],
)
def test_mistakes_are_answered_in_a_line(arguments, message, capsys):
    assert mixsize_serve(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
