"""Takes pictures of the built site: pages at two widths, light and dark.

make docs
pip install playwright          # and Chromium: Debian's package chromium
python docs/tools/site_pictures.py index sizes --folder=/tmp/pictures

Neighbour: `screenshot` (the page of a running server).
"""

import argparse
import itertools
import pathlib
import shutil

from figures import ROOT
from playwright.sync_api import Page, sync_playwright

WIDTHS, SCHEMES = (1200, 390), ("light", "dark")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", default=["index"], help="names without .html")
    parser.add_argument("--site", type=pathlib.Path, default=ROOT / "build/site", help="folder of the site")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("."), help="for NAME_WIDTH_SCHEME.png")
    parser.add_argument("--full", action="store_true", help="the whole page, not one screen")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as api:
        browser = api.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, width, scheme in itertools.product(arguments.pages, WIDTHS, SCHEMES):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto((arguments.site / f"{name}.html").resolve().as_uri())
            print(f"{name} {width} {scheme}: {overflow(page)} px too wide")
            page.screenshot(path=arguments.folder / f"{name}_{width}_{scheme}.png", full_page=arguments.full)
            page.close()
        browser.close()


def overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


if __name__ == "__main__":
    main()
