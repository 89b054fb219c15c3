"""The layer table of docs/design.md holds: no module imports one that stands above it."""

import ast
import pathlib
import subprocess
import sys

import pytest

import keras_mixsize as kms

ROOT = pathlib.Path(kms.__file__).parent


def table():
    """Return module -> (layer, modules it may import), from the documentation."""
    lines = (ROOT.parent / "docs/design.md").read_text().splitlines()
    start = lines.index("| layer | modules | may import |") + 2
    rows = {}
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        layer, modules, imports = (cell.strip() for cell in line.strip("|").split("|"))
        allowed = set() if imports.startswith("no module") else set(imports.split(", "))
        rows |= {module: (int(layer), allowed) for module in modules.split(", ")}
    return rows


def imported(path):
    """Return the package's modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_mixsize"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("keras_mixsize.")}
    return found


def modules():
    names = [path.stem for path in ROOT.glob("*.py") if path.stem != "__init__"]
    return sorted([*names, *(path.parent.name for path in ROOT.glob("*/__init__.py"))])


def files_of(module):
    return [ROOT / f"{module}.py"] if (ROOT / f"{module}.py").exists() else sorted((ROOT / module).glob("*.py"))


def test_the_table_names_every_module_and_no_other():
    assert sorted(table()) == modules()


@pytest.mark.parametrize("module", modules())
def test_modules_import_only_what_their_layer_allows(module):
    rows = table()
    layer, allowed = rows[module]
    found = set().union(*map(imported, files_of(module))) - {module}
    assert found <= allowed
    assert all(rows[name][0] < layer for name in allowed)


def test_the_zoo_is_imported_by_nothing_but_the_front():
    assert not any("models" in imported(path) for path in ROOT.glob("*.py") if path.stem != "__init__")


def test_numpy_modules_do_not_import_tensorflow():
    for module in ("bucket", "hashing", "presets", "regime", "plan", "report", "plots"):
        tree = ast.parse((ROOT / f"{module}.py").read_text())
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert not {name.split(".")[0] for name in names} & {"tensorflow", "keras"}


def test_only_images_imports_keras_cv_and_only_when_asked():
    assert [path.stem for path in ROOT.rglob("*.py") if "import keras_cv" in path.read_text()] == ["images"]
    code = "import sys, keras_mixsize; print('keras_cv' in sys.modules, 'tensorflow_datasets' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]


def test_every_public_name_exists_and_is_documented():
    for name in kms.__all__:
        assert getattr(kms, name).__doc__, name


def test_every_module_has_its_own_tests():
    tests = pathlib.Path(__file__).parent
    assert [module for module in modules() if not (tests / f"test_{module}.py").exists()] == []
