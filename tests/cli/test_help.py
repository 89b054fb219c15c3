"""The help of every subcommand fits a screen, and shows examples that the command understands."""

import importlib
import shlex

import pytest

from keras_mixsize.cli import command, main


def module_of(name):
    return importlib.import_module(f"keras_mixsize.cli.{name.replace('-', '_')}")


def examples(module):
    """Return the command lines in a module's docstring."""
    lines = (line.strip() for line in module.__doc__.splitlines())
    return [shlex.split(line, comments=True) for line in lines if line.startswith("mixsize ")]


@pytest.mark.parametrize("name", main.SUMMARIES)
def test_help_fits_a_screen(name, capsys):
    assert main.run(["mixsize", name, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"mixsize {name}: ")
    assert len(lines) <= 24 and max(map(len, lines)) <= 110


@pytest.mark.parametrize("name", main.SUMMARIES)
def test_its_examples_can_be_parsed(name):
    module = module_of(name)
    assert examples(module)
    for _, called, *arguments in examples(module):
        assert called == name
        command.parse(module.FLAGS, [f"mixsize {name}", *(word for word in arguments if word != "...")])
