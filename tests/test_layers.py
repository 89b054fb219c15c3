"""The rooms of the house stand in the order of the data: a module imports its own room and rooms to its left."""

import ast
import pathlib
import subprocess
import sys

import pytest

import keras_mixsize as kms

ROOT = pathlib.Path(kms.__file__).parent
ORDER = [
    "arguments",
    "files",
    "xla_cache",
    "internals",
    "regimes",
    "images",
    "sources",
    "input",
    "distribution",
    "resuming",
    "training",
    "evaluation",
    "callbacks",
    "recipes",
    "serving",
    "export",
    "cli",
    "__main__",
]
ALONE = ("models", "serving")  # import nothing of the package, but models may import internals
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path):
    """Return the rooms that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "keras_mixsize":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("keras_mixsize.")}
    return found - {room_of(path)}


def test_the_order_names_every_room_and_no_other():
    rooms = {path.stem for path in ROOT.glob("*.py")} - {"__init__"} | {
        path.parent.name for path in ROOT.glob("*/__init__.py")
    }
    assert {*ORDER, *ALONE} == rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_rooms_to_its_left_only(path):
    room, found = room_of(path), imported(path)
    if room in ALONE:
        assert found <= ({"internals"} if room == "models" else set())
    else:
        assert found <= {*ORDER[: ORDER.index(room)]} | ({"models"} if room == "cli" else set())


def test_without_keras_nothing_loads_tensorflow():
    code = (
        "import sys, keras_mixsize as kms; kms.Regime.preset('cifar/d+').table(); kms.presets.RECIPES; "
        "import keras_mixsize.files; "
        "print([name for name in ('tensorflow', 'keras', 'keras_cv', 'tensorflow_datasets') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["[]"]


def test_only_randaugment_imports_keras_cv():
    assert [path.stem for path in ROOT.rglob("*.py") if "import keras_cv" in path.read_text()] == ["randaugment"]


def test_every_public_name_exists_and_is_documented():
    for name in kms.__all__:
        assert getattr(kms, name).__doc__, name


def test_every_module_has_its_own_tests():
    tests = pathlib.Path(__file__).parent
    wanted = [path.relative_to(ROOT) for path in FILES if path.stem != "__init__"]
    assert [str(path) for path in wanted if not (tests / path.parent / f"test_{path.name}").exists()] == []
