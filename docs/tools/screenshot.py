"""Takes a picture of the web page of a running `mixsize serve` after one of its sample images was chosen.

make serve &
pip install playwright          # and Chromium: Debian's package chromium
python docs/tools/screenshot.py --url=http://127.0.0.1:8080 --sample=Dress --output=docs/serving_page.png
"""

import argparse
import shutil

from playwright.sync_api import sync_playwright


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="of the server")
    parser.add_argument("--sample", default="Dress", help="name of a sample image")
    parser.add_argument("--width", type=int, default=1200, help="of the window, in pixels")
    parser.add_argument("--scheme", default="light", choices=["light", "dark"], help="colours")
    parser.add_argument("--output", default="serving_page.png", help="PNG to write")
    arguments = parser.parse_args()
    with sync_playwright() as api:
        browser = api.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": arguments.width, "height": 400}, color_scheme=arguments.scheme)
        page.goto(arguments.url)
        page.get_by_role("button", name=f"sample: {arguments.sample}", exact=True).click()
        page.wait_for_selector("#legend:not([hidden])")
        page.wait_for_timeout(300)  # until its thumbnails are drawn
        page.screenshot(path=arguments.output, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
