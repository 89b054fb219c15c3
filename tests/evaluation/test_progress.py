"""The bar on a terminal, and none in a log."""

import io

import rich.console

from keras_mixsize.evaluation import progress


def test_a_terminal_shows_the_parts_and_is_left_clean(monkeypatch):
    terminal = io.StringIO()
    console = rich.console.Console(file=terminal, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda **options: console)
    with progress.progress_bar(2, shown=True) as bar:
        for name in ("calibrating at 16 px", "evaluating [b+] at 16 px"):
            bar.begin(name)
    text = terminal.getvalue()
    assert "evaluating [b+] at 16 px" in text and text.endswith("\x1b[2K")


def test_a_log_gets_nothing(capsys):
    with progress.progress_bar(2, shown=True) as bar:
        bar.begin("evaluating at 16 px")
    assert capsys.readouterr() == ("", "")
