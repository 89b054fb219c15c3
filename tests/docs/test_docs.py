"""The documentation's figures are those of the files beside it, and its links lead somewhere."""

import pathlib
import re
import subprocess
import sys

import pytest
import write_docs

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
SCRIPTS = re.compile(r"\b(?:experiments|benchmarks|docs/tools|tests)/(?:[a-z_]+/)?[a-z_]+\.py")


@pytest.mark.parametrize("page", write_docs.PAGES)
def test_figures_are_up_to_date(page):
    text = (ROOT / page).read_text()
    assert write_docs.filled(text) == text


def test_every_block_stands_on_a_page():
    text = "".join((ROOT / page).read_text() for page in write_docs.PAGES)
    assert [name for name in write_docs.BLOCKS if f"<!-- {name} -->\n" not in text] == []


def test_only_what_stands_between_the_marks_is_replaced(monkeypatch):
    monkeypatch.setattr(write_docs, "BLOCKS", {"a": lambda: r"1 \1", "b": lambda: "2"})
    page = "x\n<!-- a -->\nold\nold\n<!-- /a -->\ny\n<!-- c -->\nz\n<!-- /c -->\n"
    assert write_docs.filled(page) == "x\n<!-- a -->\n1 \\1\n<!-- /a -->\ny\n<!-- c -->\nz\n<!-- /c -->\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "Makefile"], ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_that_a_page_names_exist(page):
    assert [name for name in SCRIPTS.findall(page.read_text()) if not (ROOT / name).exists()] == []


def test_the_regime_table_in_the_readme_is_what_the_library_prints():
    import keras_mixsize as kms

    printed = kms.Regime.preset("cifar/d+").table(50_000)
    shown = re.sub(r"^ {4}", "", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert printed in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    "page, blocks",
    [
        ("docs/guide.md", 20),
        ("docs/serving.md", 4),
        ("docs/reliability.md", 1),
        ("docs/machines.md", 1),
    ],
)
def test_every_python_block_runs(page, blocks):
    command = [sys.executable, str(ROOT / "tests/run_page.py"), str(ROOT / page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout.splitlines()[-1].split(":")[1]) >= blocks
