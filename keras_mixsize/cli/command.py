"""What every subcommand has in common: flags from the command line or a file, help on one screen, errors in one line.

A command is a module with a docstring (what it does, and an example that runs), `FLAGS`, a FlagValues of its own, and
`main(arguments)`, which gets the positional arguments when `FLAGS` has been parsed. It loads TensorFlow inside of
functions. A module with more flags than fit on a screen names those in `MORE` that `--help` only lists; `--helpfull`
explains them. Neighbours: `main` finds the command, experiments/*.py run one as a script.

    sys.exit(command.run(plan, ["mixsize plan", "cifar/d+", "--examples=50000"]))
"""

from __future__ import annotations

import difflib
import os
import sys
import textwrap
import traceback
from collections.abc import Sequence
from types import ModuleType

from absl import flags

COLUMNS = 100
HELP_FLAGS = ("-h", "--help", "-help", "-?")
FULL_HELP_FLAGS = ("--helpfull", "-helpfull")
USER_ERROR, INTERRUPTED = 2, 130  # exit statuses, as shells and getopt have them


def run(module: ModuleType, argv: Sequence[str]) -> int:
    """Run a command and return the exit status of the process: 0 when done, 2 after a mistake of the user's.

    Mistakes are a flag that cannot be parsed, and any ValueError or OSError of the command: one line on standard
    error, whose traceback `--debug` shows. Every other exception is one of ours and goes on with its traceback.

    Args:
        module: the command.
        argv: the program's name, then what the user gave it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow tells of the machine's features otherwise
    program = os.path.basename(argv[0])
    before_dashes = list(argv[1 : argv.index("--")] if "--" in argv else argv[1:])
    for asked, full in ((HELP_FLAGS, False), (FULL_HELP_FLAGS, True)):
        if any(argument in asked for argument in before_dashes):
            return _print(help_text(module, program, full=full))
    try:
        arguments = parse(module.FLAGS, argv)
    except (flags.Error, ValueError, OSError) as error:
        return _refuse(program, error)
    try:
        return module.main(arguments) or 0
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of `mixsize plan | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (flags.Error, ValueError, OSError) as error:
        if module.FLAGS["debug"].value:
            traceback.print_exc()
        return _refuse(program, error)


def nearest(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean NAME?` of the nearest known name, or nothing if none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def parse(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Set the flags from the command line, forgetting what they were, and return the positional arguments.

    `--flagfile=FILE` stands for the flags in a file, a line each. Flags and positional arguments may stand in any
    order; what comes after `--` is positional.

    Raises:
        flags.Error: an unknown flag, with the nearest known one, or a value that does not fit.
    """
    if "debug" not in values:
        flags.DEFINE_boolean("debug", False, "Show where an error was raised.", flag_values=values)
    if values.is_parsed():
        values.unparse_flags()
    values.set_gnu_getopt(True)
    try:
        return values(list(argv))[1:]
    except flags.UnrecognizedFlagError as error:
        known = [name for name in values if len(name) > 1]
        known += [f"no{name}" for name in known if values[name].boolean]
        near = difflib.get_close_matches(error.flagname, known, n=1, cutoff=0.5)
        hint = f"; did you mean --{near[0]}?" if near else ""
        raise flags.Error(f"unknown flag --{error.flagname}{hint}") from None


def help_text(module: ModuleType, program: str, *, full: bool = False) -> str:
    """Return what a command does, its example, and a line for each flag with its default.

    Args:
        module: the command.
        program: what the user calls it: `mixsize plan`, or a script's name.
        full: explain the flags in `module.MORE`, too, instead of naming them.
    """
    values, more = module.FLAGS, () if full else vars(module).get("MORE", ())
    shown = [name for name in _own_flags(values) if name not in more]
    left = {name: f"  --{'[no]' if values[name].boolean else ''}{name}" for name in shown}
    width = max(map(len, left.values()), default=0) + 2
    lines = [f"{program}: {(module.__doc__ or '').strip()}", ""]
    lines += [f"{left[name]:<{width}}{_explained(values[name])}" for name in shown]
    if more:
        names = "more, explained by --helpfull: " + " ".join(f"--{name}" for name in more)
        lines += textwrap.wrap(names, COLUMNS, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines)


def _own_flags(values: flags.FlagValues) -> list[str]:
    """Return the names of a command's flags in the order in which the module defines them."""
    return [name for name in values.flag_values_dict() if name != "debug"]


def _explained(flag: flags.Flag) -> str:
    if flag.default is None or flag.boolean and not flag.default:
        return flag.help
    default = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
    return f"{flag.help} [{default}]"


def _print(text: str) -> int:
    print(text)
    return 0


def _refuse(program: str, error: Exception) -> int:
    told = (
        f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else error
    )  # of the system's errors
    print(f"{program}: {told}", file=sys.stderr)
    return USER_ERROR
