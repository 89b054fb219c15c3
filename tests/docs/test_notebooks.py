"""The notebooks run from top to bottom, and open where the package is not installed."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.py"))
by_name = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)


def cells(notebook):
    """Return (kind, text) of each cell of a script in percent format."""
    parts = re.split(r"^# %%(.*)\n", notebook.read_text(), flags=re.MULTILINE)
    assert parts[0] == ""
    return [(kind.strip(), text) for kind, text in zip(parts[1::2], parts[2::2])]


@by_name
def test_a_notebook_begins_with_its_title_and_the_cell_that_installs_the_package(notebook):
    (kind, title), (_, installing), *_ = cells(notebook)
    assert kind == "[markdown]" and title.startswith("# # ")
    assert installing == cells(NOTEBOOKS[0])[1][1]
    assert "keras_mixsize" not in {alias.name for alias in imports(installing)}


def imports(text):
    return [alias for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names]


@by_name
def test_a_notebook_is_on_the_site(notebook):
    assert f"notebooks/{notebook.name}\n" in (ROOT / "mkdocs.yml").read_text()


@by_name
def test_a_notebook_has_no_relative_link_for_it_is_read_in_several_places(notebook):
    text = "".join(text for kind, text in cells(notebook) if kind == "[markdown]")
    assert [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target] == []


@pytest.mark.slow
@by_name
def test_a_notebook_runs(notebook, tmp_path):
    environment = os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error::UserWarning", str(notebook)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.strip()
