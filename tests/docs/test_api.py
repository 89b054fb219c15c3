"""The API reference is made from the docstrings, and no public name is missing there."""

import importlib
import pathlib
import re
import subprocess
import sys
import zlib

import pytest

import keras_mixsize as kms

ROOT = pathlib.Path(__file__).parents[2]
ROOMS = sorted(path.parent.name for path in (ROOT / "keras_mixsize").glob("*/__init__.py"))


def shown():
    """Return the modules that the pages of the reference show."""
    pages = (ROOT / "docs/api").glob("*.md")
    return {name for page in pages for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_every_public_name_of_a_room_lies_in_a_module_that_a_page_shows(room):
    module = importlib.import_module(f"keras_mixsize.{room}")
    if module.__name__ in shown():
        return
    homes = {getattr(module, name).__module__ for name in module.__all__ if callable(getattr(module, name))}
    missing = homes - shown()
    assert missing <= {"keras_mixsize.regimes.presets"}  # which the page of regimes shows


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_knows_every_public_name_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    inventory = zlib.decompress((tmp_path / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    known = {line.split()[0].rpartition(".")[2] for line in inventory.splitlines()}
    fetched = [
        name
        for page in tmp_path.rglob("*.html")
        for name in re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text()
        )
    ]
    assert fetched == []  # the site is read without a network
    modules = [kms, *(importlib.import_module(f"keras_mixsize.{room}") for room in ROOMS if room != "cli")]
    assert {name for module in modules for name in module.__all__ if callable(getattr(module, name))} - known == set()
