"""make_glyphs.py: its functions on matplotlib's DejaVu fonts, and the script itself on a small package."""

import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from fontTools.subset import Subsetter
from fontTools.ttLib import TTFont
from PIL import Image

SCRIPT = pathlib.Path(__file__).parents[2] / "experiments/data/make_glyphs.py"
DEJAVU = pathlib.Path(matplotlib.get_data_path()) / "fonts/ttf"
SANS, BOLD, SERIF, MONO = (DEJAVU / f"DejaVu{name}.ttf" for name in ("Sans", "Sans-Bold", "Serif", "SansMono"))


@pytest.fixture(scope="module")
def glyphs():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("make_glyphs", SCRIPT)
    module = sys.modules["make_glyphs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fonts(glyphs):
    """Sans, sans bold and serif at 32 px."""
    return [glyphs.render(file, 32) for file in (SANS, BOLD, SERIF)]


def change_characters(file: pathlib.Path, target: pathlib.Path, change) -> pathlib.Path:
    """Write a font with 62 letters whose table of characters, {code: glyph name}, went through `change`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TTFont(file) as font:
        subsetter = Subsetter()
        subsetter.populate(unicodes=[code for code in range(48, 123) if chr(code).isalnum()])
        subsetter.subset(font)
        for table in font["cmap"].tables:
            table.cmap = change(table.cmap)
        font.save(target)
    return target


def drop_q(characters: dict[int, str]) -> dict[int, str]:
    return {code: name for code, name in characters.items() if chr(code) != "q"}


def show_capitals(characters: dict[int, str]) -> dict[int, str]:
    return {code: characters[ord(chr(code).upper())] for code in characters}


def measure_height(glyphs, font, letter: str) -> int:
    """Return in how many rows a letter has ink."""
    return int(np.any(font.images[glyphs.CLASSES.index(letter)] > 40, axis=1).sum())


# Pictures


@pytest.mark.parametrize("letter", "ocsvxz")
def test_small_letters_stay_smaller_than_capitals_of_the_same_shape(letter, glyphs, fonts):
    for font in fonts:
        assert measure_height(glyphs, font, letter) < 0.85 * measure_height(glyphs, font, letter.upper())


def test_the_capital_h_is_five_eighths_of_the_side_at_every_side(glyphs, fonts):
    large = glyphs.render(SANS, 64)
    assert [measure_height(glyphs, font, "H") for font in fonts] == [20, 20, 20]
    assert measure_height(glyphs, large, "H") == 40


def test_each_letter_is_centred_and_clear_of_the_edge(fonts):
    for image in np.concatenate([font.images for font in fonts]):
        left, top, right, bottom = Image.fromarray(image).getbbox()
        assert abs(left - (32 - right)) <= 1 and abs(top - (32 - bottom)) <= 1
        assert min(left, top) >= 1 and max(right, bottom) <= 31


def test_a_letter_that_would_not_fit_is_shrunk_by_itself(glyphs):
    canvas = glyphs.place(Image.new("L", (960, 240), 255))
    assert canvas.size == (256, 256) and canvas.getbbox() == (8, 98, 248, 158)


def test_smaller_copies_of_the_letters_do_not_depend_on_the_side(glyphs, fonts):
    large = glyphs.render(SANS, 48)
    np.testing.assert_array_equal(large.thumbnails, fonts[0].thumbnails)
    np.testing.assert_array_equal(large.shapes, fonts[0].shapes)


def test_the_same_file_makes_the_same_pictures(glyphs, fonts):
    assert glyphs.render(SANS, 32).images.tobytes() == fonts[0].images.tobytes()


# Fonts that are left out


def test_a_font_that_lacks_a_letter_is_left_out(glyphs, tmp_path):
    assert glyphs.render(change_characters(SANS, tmp_path / "font.ttf", drop_q), 32) == "lacks letters"


def test_a_font_whose_small_letters_are_capitals_is_left_out(glyphs, tmp_path):
    assert glyphs.render(change_characters(SANS, tmp_path / "font.ttf", show_capitals), 32) == "one case"


def test_a_font_with_a_blank_letter_is_left_out(glyphs, tmp_path):
    with TTFont(SANS) as font:
        font["glyf"]["q"] = type(font["glyf"]["q"])()
        font.save(tmp_path / "font.ttf")
    assert glyphs.render(tmp_path / "font.ttf", 32) == "blank letters"


@pytest.mark.parametrize("damage", [b"", b"no font", SANS.read_bytes()[:3000]], ids=["empty", "text", "cut"])
def test_a_broken_file_is_left_out(damage, glyphs, tmp_path):
    (tmp_path / "font.ttf").write_bytes(damage)
    assert glyphs.render(tmp_path / "font.ttf", 32) == "broken file"


def test_copies_are_found_and_the_first_is_kept(glyphs, fonts):
    distances = glyphs.measure_distances([fonts[0], fonts[1], fonts[0], fonts[2]])
    assert glyphs.find_copies(distances) == {2: "same pictures"}
    assert glyphs.find_copies(np.array([[0, 0.05], [0.05, 0]])) == {1: "same face"}


def test_distances_are_those_of_the_thumbnails_relative_to_the_fainter_ink(glyphs, fonts):
    first, second = (font.thumbnails.astype(float) for font in fonts[:2])
    fainter = min((first**2).sum(), (second**2).sum())
    assert glyphs.measure_distances(fonts)[0, 1] == pytest.approx(np.sqrt(((first - second) ** 2).sum() / fainter))


def test_letters_are_legible_and_signs_are_not(glyphs, fonts):
    sans, bold, serif = (font.thumbnails.reshape(62, 8, 2, 8, 2).mean((2, 4)).astype(np.uint8) for font in fonts)
    wrong = np.roll(bold, 5, axis=0)  # A is shown for F
    shares = glyphs.measure_legibility(np.stack([sans, serif, wrong]), ["one", "two", "three"])
    assert min(shares[:2]) > 0.6 and shares[2] < glyphs.ILLEGIBLE


# Families


@pytest.mark.parametrize(
    "path, family",
    [
        ("lato/Lato-Bold.otf", "lato"),
        ("qualitype/QTHelvetCnd-Black.otf", "QTHelvet"),
        ("aesupp/aemroman10-italic.otf", "aemroman"),
        ("nimbus15/zcoN-Bold.otf", "zco"),
        ("ektype-tanka/Gotu_Regular.ttf", "Gotu"),
    ],
)
def test_a_family_is_a_directory_or_in_a_collection_a_name(path, family, glyphs):
    assert glyphs.name_family(pathlib.Path(path)) == family


def test_families_that_share_a_design_become_one(glyphs):
    distances = np.ones((5, 5))
    distances[0, 2] = distances[2, 0] = distances[3, 2] = distances[2, 3] = 0.15
    assert glyphs.join_families(["a", "b", "c", "d", "b"], distances) == ["a+c+d", "b", "a+c+d", "a+c+d", "b"]


def test_no_more_than_the_most_of_a_family_is_kept_whatever_the_order(glyphs):
    names, families = [f"font{n}" for n in range(20)], ["large"] * 15 + ["small"] * 5
    surplus = {names[index] for index in glyphs.find_surplus(names, families, 6)}
    assert len(surplus) == 9 and surplus < set(names[:15])
    assert {names[::-1][index] for index in glyphs.find_surplus(names[::-1], families[::-1], 6)} == surplus


def test_a_split_has_its_share_of_the_fonts_to_within_a_family(glyphs):
    families = [f"family{n % 60}" for n in range(600)]
    splits = glyphs.split_families(families, {"test": 0.2, "validation": 0.1})
    counts = {split: sum(splits[family] == split for family in families) for split in ("train", "validation", "test")}
    assert counts == {"train": 420, "validation": 60, "test": 120}
    assert splits == glyphs.split_families(families[::-1], {"test": 0.2, "validation": 0.1})


# The script


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """An extracted package: three families of two faces, a copy, a font of one case, two without q, a broken one."""
    source = tmp_path_factory.mktemp("package")
    root = source / "usr/share/texlive/texmf-dist/fonts/truetype/public"
    serif_bold, mono_bold = DEJAVU / "DejaVuSerif-Bold.ttf", DEJAVU / "DejaVuSansMono-Bold.ttf"
    families = {"sans": [SANS, BOLD], "serif": [SERIF, serif_bold], "mono": [MONO, mono_bold], "zcopy": [SANS]}
    for family, files in families.items():
        (root / family).mkdir(parents=True)
        for file in files:
            shutil.copy(file, root / family)
    change_characters(SERIF, root / "lacking/Lacking.ttf", drop_q)
    change_characters(SERIF, root / "capitals/Capitals.ttf", show_capitals)
    shutil.copy(DEJAVU / "DejaVuSansDisplay.ttf", root / "lacking")
    (root / "broken.ttf").write_bytes(b"no font")
    return source


def make(package, target: pathlib.Path, *options) -> dict[str, np.ndarray]:
    done = run(f"--source={package}", f"--target={target}", "--test_share=0.3", *options)
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(target) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def made(package, tmp_path_factory):
    """The arrays that the script makes of the package."""
    return make(package, tmp_path_factory.mktemp("made") / "glyphs.npz")


def test_no_family_is_in_two_splits(made):
    families = made["font_families"][made["fonts"]]
    splits = {family: set(made["split"][families == family]) for family in families}
    assert set(splits) == {"mono", "sans+zcopy", "serif"} and all(len(split) == 1 for split in splits.values())
    assert {"train", "test"} <= set(made["split"])


def test_each_font_has_a_picture_of_each_class(made):
    count = len(made["font_names"])
    assert made["images"].shape == (62 * count, 32, 32) and made["images"].dtype == np.uint8
    pairs = set(zip(made["fonts"].tolist(), made["class_names"][made["labels"]].tolist()))
    assert len(pairs) == 62 * count == len(made["split"])


def test_every_file_is_counted_or_left_out_for_a_reason(made, package, tmp_path):
    make(package, tmp_path / "glyphs.npz", "--max_fonts=1")
    facts = json.loads((tmp_path / "glyphs.json").read_text())
    reasons = sorted(facts["left_out"].values())
    beyond = ["beyond --max_fonts"] * 3
    assert reasons == [*beyond, "broken file", "lacks letters", "lacks letters", "one case", "same pictures"]
    assert sum(row["fonts"] for row in facts["splits"].values()) == 3
    assert {file.name for file in tmp_path.glob("*.png")} == {"glyphs_hardest.png", "glyphs_sample.png"}


def test_a_second_run_makes_the_same_bytes(package, made, tmp_path):
    again = make(package, tmp_path / "again.npz")
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in made.items()
    }


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--source=/nowhere", "--source=/nowhere: no .otf or .ttf .* extract the package"),
        ("--target=glyphs.zip", "--target=glyphs.zip must end in .npz"),
        ("--side=8", "--side must lie between 16 and 256 pixels, got 8; use 32"),
        ("--max_fonts=0", "--max_fonts must be at least 1, got 0; use 12"),
        ("--test_share=1", "must leave fonts to train, got 1.0 and 0.08"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(argument, message, package, tmp_path):
    done = run(f"--source={package}", f"--target={tmp_path / 'new.npz'}", argument)
    assert done.returncode != 0 and re.search(message, done.stdout + done.stderr)
    assert not list(tmp_path.iterdir())
