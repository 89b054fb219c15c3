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


def test_the_regime_table_beside_the_text_is_what_the_library_prints():
    import keras_mixsize as kms

    assert kms.Regime.preset("cifar/d+").table(50_000) in (ROOT / "docs/sizes.md").read_text()


def run_page(*arguments: str) -> int:
    """Run the blocks of a page in a process of its own and return how many there were."""
    command = [sys.executable, str(ROOT / "tests/run_page.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout.splitlines()[-1].split(":")[1])


def blocks_of(page: pathlib.Path) -> int:
    return len(re.findall(r"^```python$", page.read_text(), re.MULTILINE))


RUN = [page for page in (ROOT / "docs").glob("*.md") if blocks_of(page) and page.name != "start.md"]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_every_python_block_of_a_page_runs_by_itself(page):
    assert run_page(str(page)) == blocks_of(page)


QUICK = (  # as the slow test, in seconds instead of minutes
    "[:400]=>[:200]",
    "--epochs=3=>--epochs=1 --model=resnet8 --regime=16x16:1 --sizes=16 --calibration_batches=2",
    "--sizes=16,24,32 --calibration_batches=25=>--sizes=16 --calibration_batches=2",
    "--sizes=16,32 --calibration_batches=25=>--sizes=16 --calibration_batches=2",
    "size=32)=>size=16)",
    "{32: 0.5, 16: 0.5}, base_size=32=>{16: 1.0}, base_size=16",
    "sizes=[16, 32]=>sizes=[16]",
)


def test_the_five_minutes_run():
    assert run_page(str(ROOT / "docs/start.md"), "--commands", *(f"--replace={pair}" for pair in QUICK)) >= 6


@pytest.mark.slow
def test_the_five_minutes_run_as_they_are_written():
    assert run_page(str(ROOT / "docs/start.md"), "--commands") >= 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_fence_says_a_language_and_nothing_that_the_site_would_show_as_text(page):
    heads = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)[::2]
    assert [head for head in heads if not re.fullmatch(r"[a-z]+( \{\.no-run\})?", head)] == []
