"""The command `mixsize`: finds the subcommand, whose module is imported when it runs.

Neighbours: `command` (what subcommands have in common), one module for each name in `SUMMARIES`.

    mixsize plan cifar/d+ --examples=50000
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import keras_mixsize as kms
from keras_mixsize.cli import command

SUMMARIES = {
    "plan": "print a regime: steps, shares, and memory relative to the base; needs no data",
    "train": "train a recipe, or a network on your own folder of images",
    "search": "find the regime that is best for a data set",
    "evaluate": "test finished runs at other sizes, in one picture",
    "calibrate": "fit the batch-norm statistics of a finished run for a size",
    "export": "write a finished run as one SavedModel that serves several sizes",
    "serve": "serve an export over HTTP, with a web page",
    "client": "ask a server about an image",
    "convert": "write a data set as shards that are read fast",
    "launch": "start a command on several workers",
    "input-server": "make batches for training processes on other machines",
    "report": "print and draw the accuracies of finished runs",
}
HELP = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the subcommand that the command line names, and exit with its status."""
    sys.exit(run(sys.argv if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the subcommand that `argv[1]` names and return the exit status.

    Args:
        argv: the program's name, the subcommand's, and what the user gave it.
    """
    name, *arguments = argv[1:] or ["--help"]
    if name == "help" and arguments:
        name, arguments = arguments[0], ["--help"]
    if name in HELP:
        print(overview())
        return 0
    if name == "--version":
        print(f"keras_mixsize {kms.__version__}")
        return 0
    if name not in SUMMARIES:
        hint = command.nearest(name, tuple(SUMMARIES))
        print(f"mixsize: no command {name!r}{hint}\n`mixsize --help` lists the commands", file=sys.stderr)
        return command.USER_ERROR
    module = importlib.import_module(f"keras_mixsize.cli.{name.replace('-', '_')}")
    return command.run(module, [f"mixsize {name}", *arguments])


def overview() -> str:
    """Return the list of subcommands, a line each."""
    width = max(map(len, SUMMARIES)) + 2
    lines = [f"  {name:<{width}}{summary}" for name, summary in SUMMARIES.items()]
    head = ["mixsize: train one network for many image sizes", "", *lines, ""]
    return "\n".join([*head, "`mixsize COMMAND --help` explains one; `mixsize --version` prints the version"])
