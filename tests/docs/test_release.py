"""What names the version says the same everywhere."""

import pathlib
import re

import keras_mixsize as kms

ROOT = pathlib.Path(__file__).parents[2]


def test_the_newest_heading_of_the_changelog_and_the_citation_are_of_this_version():
    heading = re.search(r"^## \[(.+)\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = dict(re.findall(r"^([a-z-]+): (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    assert heading.groups() == (kms.__version__, citation["date-released"])
    assert citation["version"] == kms.__version__


def test_the_room_map_of_the_contributors_page_has_every_room_in_its_order():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    shown = re.search(r"^    (regimes → .*)$", page, re.MULTILINE)[1].split(" → ")
    layout = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "docs/design.md").read_text(), re.MULTILINE)
    assert [room for room in layout if room not in ("internals", "models")] == shown
