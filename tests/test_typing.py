"""Type checkers see the public names, and mistakes in a user's program are found where they are."""

import pathlib
import re

import pytest
from mypy import api

ROOT = pathlib.Path(__file__).parents[1]
USER = ROOT / "tests/typing/user_code.py"


def errors(*arguments):
    """Return (file name, line, code) of each error that mypy reports."""
    printed, problems, _ = api.run(["--config-file", str(ROOT / "pyproject.toml"), *map(str, arguments)])
    assert not problems
    return re.findall(r"^(.*?):(\d+): error: .*\[([\w-]+)\]$", printed, re.MULTILINE)


@pytest.fixture(scope="module")
def found():
    names = sorted((ROOT / "keras_mixsize").rglob("__init__.py"))
    return errors("--follow-imports=silent", *names, USER)


def test_the_public_names_are_clean(found):
    assert [error for error in found if pathlib.Path(error[0]).name != USER.name] == []


def test_the_planted_mistakes_of_a_users_program_are_found_and_no_others(found):
    marked = re.finditer(r"# error: ([\w-]+)$", USER.read_text(), re.MULTILINE)
    planted = {(USER.read_text()[: match.start()].count("\n") + 1, match[1]) for match in marked}
    assert {(int(line), code) for file, line, code in found if pathlib.Path(file).name == USER.name} == planted
