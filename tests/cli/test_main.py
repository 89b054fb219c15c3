"""The command finds its subcommands, and loads no more than the one that runs."""

import importlib.metadata
import subprocess
import sys

import pytest

import keras_mixsize
from keras_mixsize.cli import main


def test_every_subcommand_has_a_line_that_fits(capsys):
    assert main.run(["mixsize"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100 and len(lines) <= 24
    assert [line.split()[0] for line in lines[2 : 2 + len(main.SUMMARIES)]] == list(main.SUMMARIES)


def test_help_with_a_name_is_the_help_of_that_command(capsys):
    assert main.run(["mixsize", "help", "plan"]) == 0
    assert capsys.readouterr().out.startswith("mixsize plan: ")


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert main.run(["mixsize", "trian"]) == 2
    answer = capsys.readouterr()
    assert answer.out == "" and len(answer.err.splitlines()) <= 2 and "did you mean train?" in answer.err


def test_the_version_is_the_packages(capsys):
    assert main.run(["mixsize", "--version"]) == 0
    assert capsys.readouterr().out == f"keras_mixsize {keras_mixsize.__version__}\n"


def test_main_exits_with_the_commands_status():
    with pytest.raises(SystemExit) as exit_:
        main.main(["mixsize", "plan", "nonsense"])
    assert exit_.value.code == 2


def test_pip_installs_the_command():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="mixsize")
    assert script.load() is main.main


def test_help_of_every_command_loads_no_tensorflow():
    code = (
        "import sys; from keras_mixsize.cli import main\n"
        "for name in main.SUMMARIES: main.run(['mixsize', name, '--help'])\n"
        "sys.exit([name for name in ('tensorflow', 'keras', 'matplotlib') if name in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
