"""Takes the picture of a report that the documentation shows.

make demo
mixsize report runs/demo/baseline runs/demo/b+ --output=runs/demo/report
pip install playwright          # and Chromium: Debian's package chromium
python docs/tools/report_picture.py runs/demo/report/report.html --output=docs/report.png
"""

import argparse
import pathlib
import shutil

from playwright.sync_api import sync_playwright


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path, help="HTML file that `mixsize report` wrote")
    parser.add_argument("--width", type=int, default=1200, help="of the window, in pixels")
    parser.add_argument("--height", type=int, default=850, help="of the picture, in pixels; 0 for all of the report")
    parser.add_argument("--scheme", default="light", choices=["light", "dark"], help="colours")
    parser.add_argument("--output", default="report.png", help="PNG to write")
    arguments = parser.parse_args()
    with sync_playwright() as api:
        browser = api.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        viewport = {"width": arguments.width, "height": arguments.height or 400}
        page = browser.new_page(viewport=viewport, color_scheme=arguments.scheme)
        page.goto(arguments.report.resolve().as_uri())
        page.screenshot(path=arguments.output, full_page=not arguments.height)
        browser.close()


if __name__ == "__main__":
    main()
