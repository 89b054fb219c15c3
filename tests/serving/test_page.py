"""The web page in headless Chromium, against the real server."""

import base64
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network
from server import ROOT, needs_server, running

import keras_mixsize as kms
from keras_mixsize.evaluation.report import Accuracy
from keras_mixsize.export.cascade import Cascade

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    needs_server,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH; Debian's package of that name has one"),
]
SIZES = (8, 12)
JPEG = tf.io.encode_jpeg(np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype("uint8")).numpy()
WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + bytes(28)
BROKEN = {
    "truncated.jpg": (JPEG[:200], "Invalid JPEG data"),
    "notes.txt": (b"some text", "neither JPEG nor PNG"),
    "photo.webp": (WEBP, "send JPEG or PNG files of at most 40 megapixels"),
}
# The start of a JPEG with Exif's orientation 6
TURNED = b"\xff\xd8\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
UNSURE = 1.1  # a threshold that no confidence reaches


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """An export whose cascade always looks twice, and a sample image."""
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("exported")
    kms.export_saved_model(tiny_network(), path, SIZES, cascade=Cascade(*SIZES, UNSURE, Accuracy.of(1, 2), 1.0, 1.4))
    (path / "samples").mkdir()
    (path / "samples/0003_Dress.jpg").write_bytes(JPEG)
    return path


@pytest.fixture(scope="module")
def expected(path):
    """The likeliest class and its probability in percent, at each size."""
    served = kms.serving.load(path)
    answers = {str(size): served.predict([JPEG], size=size) for size in SIZES}
    answers["cascade"] = served.predict_cascade([JPEG])
    return {size: f"{answer.names[0, 0]} {100 * answer.confidences[0, 0]:.1f}\xa0%" for size, answer in answers.items()}


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed; pip install playwright"
    )
    with playwright.sync_playwright() as api:
        yield api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def url(path):
    with running(path) as (url, _):
        yield url


@pytest.fixture
def page(browser, url):
    """The page, which must neither fail nor ask anyone but its server."""
    page = browser.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(error))
    page.on("request", lambda request: request.url.startswith((url, "data:", "blob:")) or faults.append(request.url))
    page.goto(url)
    page.get_by_label("all, side by side").wait_for(state="attached")
    yield page
    page.close()
    assert faults == []


def drop(page, name, data):
    """Drop a file on the page."""
    text = base64.b64encode(data).decode()
    transfer = page.evaluate_handle(
        """([name, text]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt())], name));
            return transfer;
        }""",
        [name, text],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def answers(page):
    """Return the first bar of each card by its size."""
    page.wait_for_selector("article")
    return {
        card.get_attribute("data-size"): " ".join(card.locator("li").first.locator("span").all_inner_texts())
        for card in page.locator("article").all()
    }


def test_a_dropped_image_is_answered_at_all_sizes_side_by_side(page, expected):
    drop(page, "image.jpg", JPEG)
    assert answers(page) == expected
    for card in page.locator("article").all():
        assert card.locator("li").count() == 5
        assert "ms" in card.inner_text() and "compute" in card.inner_text()


def test_a_turned_photograph_is_shown_and_answered_upright(page, path):
    photo = TURNED + JPEG[2:]
    drop(page, "turned.jpg", photo)
    expected = kms.serving.load(path).predict([photo], size=8)
    assert answers(page)["8"] == f"{expected.names[0, 0]} {100 * expected.confidences[0, 0]:.1f}\xa0%"
    assert page.evaluate("[preview.naturalWidth, preview.naturalHeight]") == [30, 40]  # stored as 40 x 30


def test_one_size_can_be_chosen(page, expected):
    page.get_by_text("8 px", exact=True).click()
    drop(page, "image.jpg", JPEG)
    assert answers(page) == {"8": expected["8"]}


def test_auto_says_which_size_answered(page, expected):
    page.get_by_text("auto", exact=True).click()
    page.get_by_role("button", name="sample: Dress").click()
    assert answers(page) == {"cascade": expected["cascade"]}
    assert "8 px, then 12 px" in page.locator("article").inner_text()


def test_an_image_can_be_chosen_by_keyboard_alone(page):
    for _ in range(2):  # past the file, to the sample
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert len(answers(page)) == 3
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.locator("article[data-size='12']").wait_for(state="detached")
    assert list(answers(page)) == ["8"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_shows_the_servers_error_and_the_next_image_is_answered(page, name):
    data, text = BROKEN[name]
    drop(page, name, data)
    page.wait_for_selector("#error:not([hidden])")
    assert text in page.inner_text("#error") and page.locator("article").count() == 0
    drop(page, "image.jpg", JPEG)
    assert len(answers(page)) == 3 and page.is_hidden("#error")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_text_has_contrast(browser, url, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
    page.goto(url)
    page.get_by_role("button", name="sample: Dress").click()
    answers(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    style = page.evaluate("(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))")
    page.close()
    light, dark = sorted(map(luminance, style), reverse=True)
    assert (light + 0.05) / (dark + 0.05) > 7  # the Web Content Accessibility Guidelines' enhanced contrast
    assert (luminance(style[1]) > 0.5) == (scheme == "light")


def luminance(color):
    """Return the relative luminance of a CSS colour, as the Web Content Accessibility Guidelines define it."""
    shares = np.array([int(part) for part in color[4:-1].split(",")]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_page_is_one_file():
    text = (ROOT / "keras_mixsize/serving/page.html").read_text()
    assert 'src="http' not in text and "@import" not in text and len(text) < 40_000
