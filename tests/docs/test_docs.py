"""The documentation's figures are those of the files beside it, and its links lead somewhere."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


def load_script():
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "docs/tools/write_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/serving.md", "docs/reliability.md"])
def test_figures_are_up_to_date(page):
    text = (ROOT / page).read_text()
    assert load_script().filled(text) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


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
        ("docs/api.md", 20),
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
