"""Progress: a line for each thing in a log, a line that goes away on a terminal."""

import io
import logging

import pytest
import rich.console

from keras_mixsize.cli import progress


def test_a_log_gets_a_line_when_each_thing_begins(capsys):
    seen = []
    for size in progress.each((16, 24), "evaluating [b+] at {} px"):
        seen.append((size, capsys.readouterr().err))
    assert seen == [(16, "evaluating [b+] at 16 px (1 of 2)\n"), (24, "evaluating [b+] at 24 px (2 of 2)\n")]
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_line_that_goes_away(monkeypatch):
    terminal = io.StringIO()
    console = rich.console.Console(file=terminal, force_terminal=True, force_interactive=True)
    monkeypatch.setattr(progress, "Console", lambda **options: console)
    with progress.doing("loading"):
        pass
    assert "loading" in terminal.getvalue() and terminal.getvalue().endswith("\x1b[2K")


def test_it_ends_with_an_error(capsys):
    with pytest.raises(KeyError), progress.doing("loading"):
        raise KeyError("x")
    assert capsys.readouterr().err == "loading\n"


def test_a_log_gets_the_librarys_parts_and_then_no_more(capsys):
    log = logging.getLogger("keras_mixsize.evaluation.progress")
    with progress.parts():
        log.info("evaluating at %d px", 16)
    log.info("evaluating at %d px", 24)
    assert capsys.readouterr().err == "evaluating at 16 px\n"
