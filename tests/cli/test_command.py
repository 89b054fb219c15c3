"""What every subcommand has in common: flags, help on a screen, and mistakes answered in a line."""

import types

import pytest
from absl import flags

from keras_mixsize.cli import command


def make(function=lambda arguments: None, more=()):
    """Return a command of three flags."""
    module = types.ModuleType("keras_mixsize.cli.count_images", "Count images.\n\n    mixsize count-images photos")
    module.FLAGS, module.main, module.MORE = flags.FlagValues(), function, more
    flags.DEFINE_integer("limit", 3, "At most so many.", lower_bound=1, flag_values=module.FLAGS)
    flags.DEFINE_list("sizes", None, "In pixels.", flag_values=module.FLAGS)
    flags.DEFINE_boolean("resume", False, "Go on.", flag_values=module.FLAGS)
    return module


def run(module, *arguments):
    return command.run(module, ["mixsize count-images", *arguments])


def test_flags_and_positional_arguments_stand_in_any_order():
    seen = []
    module = make(lambda arguments: seen.append((arguments, module.FLAGS.limit, module.FLAGS.sizes)))
    assert run(module, "photos", "--limit=5", "--sizes", "8,16", "more") == 0
    assert seen == [(["photos", "more"], 5, ["8", "16"])]


def test_what_follows_two_dashes_is_positional():
    seen = []
    assert run(make(seen.extend), "--limit=5", "--", "ls", "--help", "--nothing") == 0
    assert seen == ["ls", "--help", "--nothing"]


def test_flags_are_forgotten_between_two_runs():
    seen = []
    module = make(lambda _: seen.append(module.FLAGS.limit))
    run(module, "--limit=5")
    run(module)
    assert seen == [5, 3]


def test_flags_come_from_a_file(tmp_path):
    seen = []
    module = make(lambda arguments: seen.append((arguments, module.FLAGS.limit, module.FLAGS.resume)))
    (tmp_path / "flags").write_text("--limit=7\n--resume\n")
    assert run(module, f"--flagfile={tmp_path / 'flags'}", "photos") == 0
    assert seen == [(["photos"], 7, True)]


@pytest.mark.parametrize(
    "argument, answer",
    [
        ("--limt=4", "unknown flag --limt; did you mean --limit?"),
        ("--noresum", "unknown flag --noresum; did you mean --noresume?"),
        ("--xyzzy", "unknown flag --xyzzy"),
        ("--limit=many", "flag --limit=many: invalid literal"),
        ("--limit=0", "flag --limit=0: 0 is not a positive"),
        ("--flagfile=/nowhere", "/nowhere"),
    ],
)
def test_a_flag_that_cannot_be_parsed_is_answered_in_a_line(argument, answer, capsys):
    assert run(make(), argument) == 2
    error = capsys.readouterr().err
    assert answer in error and error.startswith("mixsize count-images: ") and len(error.splitlines()) <= 2


@pytest.mark.parametrize(
    "mistake, line",
    [
        (ValueError("sizes must be at least 1"), "sizes must be at least 1"),
        (FileNotFoundError(2, "No such file", "photos"), "No such file: photos"),
        (OSError("no connection"), "no connection"),
    ],
)
def test_a_mistake_of_the_users_is_a_line_and_its_traceback_a_flag_away(mistake, line, capsys):
    def fail(_):
        raise mistake

    assert run(make(fail)) == 2
    assert capsys.readouterr().err == f"mixsize count-images: {line}\n"
    assert run(make(fail), "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_error_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(make(lambda _: 1 / 0))


def test_an_interrupted_command_ends_as_shells_expect(capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    assert run(make(interrupt)) == 130 and capsys.readouterr().err == "stopped\n"


def test_a_command_can_choose_its_status():
    assert run(make(lambda _: 1)) == 1


def test_help_shows_the_example_and_a_line_for_each_flag(capsys):
    assert run(make(), "photos", "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mixsize count-images: Count images." and "    mixsize count-images photos" in lines
    assert [line.split()[0] for line in lines[-3:]] == ["--limit", "--sizes", "--[no]resume"]
    assert lines[-3].endswith("At most so many. [3]") and lines[-1].endswith("Go on.")


def test_help_names_the_rarer_flags_and_helpfull_explains_them(capsys):
    module = make(more=("sizes",))
    run(module, "--help")
    assert capsys.readouterr().out.splitlines()[-1].endswith("explained by --helpfull: --sizes")
    run(module, "--helpfull")
    assert "In pixels." in capsys.readouterr().out
