"""make_clipart.py, run as a user starts it, on a small tree like the package's."""

import collections
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from scripts import run_script

import keras_mixsize as kms

OPTIONS = ("--test_share=0.4", "--min_images=20")
PAIRS = [(f"sketch{n}{n}", f"portrait{n}{n}") for n in "abcdefghij"]  # no common name: only the picture tells
SERIES = ["drum", "flute", "viola", "harp", "tuba", "gong", "oboe", "lute"]
LARGE = ["star", "moon", "comet"]


def draw(seed: int) -> np.ndarray:
    """Return a picture of coloured blocks, `[48, 64, 3]` uint8; two of them have nothing in common."""
    blocks = np.random.default_rng(seed).integers(0, 200, (6, 8, 3))
    return blocks.repeat(8, 0).repeat(8, 1).astype(np.uint8)


def save(file: pathlib.Path, pixels: np.ndarray, **options) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, **options)


def add_transparency(pixels: np.ndarray) -> np.ndarray:
    """Return RGBA whose left half is clear and whose middle is half so."""
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:, :32], alpha[:, 32:48] = 0, 128
    return np.dstack([pixels, alpha])


def draw_groups(folder: pathlib.Path) -> None:
    """Write pairs of near pictures, in two classes each, and series whose pictures differ."""
    for n, (first, second) in enumerate(PAIRS):
        changed = draw(n)
        changed[:8, :8] = 255 - changed[:8, :8]
        save(folder / "animals" / f"{first}.png", draw(n))
        save(folder / "tools" / f"{second}.png", changed)
    for n, name in enumerate(np.repeat(LARGE, 8)):
        save(folder / "tools" / f"{name}_{n:02}pt{n:02}step.png", draw(700 + n))
    for n, name in enumerate(SERIES):
        save(folder / "animals" / f"{name}_01.png", draw(100 + n))
        save(folder / "animals" / f"{name}2_bw_jean-victor__01.png", draw(200 + n))


def draw_repeats(folder: pathlib.Path) -> None:
    """Write the same file twice, the same pixels twice, and a link."""
    save(folder / "animals" / "original.png", draw(300))
    shutil.copy(folder / "animals" / "original.png", folder / "tools" / "same_file.png")
    save(folder / "tools" / "same_pixels.png", draw(300), compress_level=0)
    (folder / "tools" / "link.png").symlink_to(folder / "animals" / "original.png")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """An extracted package: two classes of about 55 images, one that is no category, and one that is too small."""
    source = tmp_path_factory.mktemp("package")
    folder = source / "usr/share/openclipart/png"
    draw_groups(folder)
    draw_repeats(folder)
    for n in range(25):
        word = chr(97 + n) * 2
        save(folder / "animals" / "birds" / f"bird{word}.png", draw(400 + n))
        save(folder / "tools" / f"tool{word}.png", draw(500 + n))
        save(folder / "unsorted" / f"thing{word}.png", draw(600 + n))
    save(folder / "science" / "atom.png", draw(800))
    save(folder / "animals" / "clear.png", add_transparency(draw(801)))
    Image.fromarray(add_transparency(draw(802))).quantize(16).save(folder / "animals" / "palette.png")
    (folder / "animals" / "broken.png").write_bytes((folder / "animals" / "clear.png").read_bytes()[:300])
    save(folder / "tools" / "blank.png", np.full((8, 8, 4), [0, 0, 0, 0], np.uint8))
    return source


def make(package: pathlib.Path, target: pathlib.Path, *options) -> pathlib.Path:
    run_script("data/make_clipart.py", f"--source={package}", f"--target={target}", *OPTIONS, *options)
    return target


@pytest.fixture(scope="module")
def made(package, tmp_path_factory):
    """What the script makes of the package at the native sizes."""
    return make(package, tmp_path_factory.mktemp("made") / "clipart")


def read(file: pathlib.Path) -> Image.Image:
    with Image.open(file) as image:
        image.load()
    return image


def read_splits(target: pathlib.Path) -> dict[str, str]:
    """Return "train" or "test" by file stem."""
    return {file.stem: file.relative_to(target).parts[0] for file in target.rglob("*.png")}


@pytest.mark.parametrize("name", ["clear", "palette"])
def test_transparency_becomes_white(name, package, made):
    rgba = np.asarray(read(package / f"usr/share/openclipart/png/animals/{name}.png").convert("RGBA"), float)
    alpha = rgba[..., 3:] / 255
    written = read(next(made.rglob(f"{name}.png")))
    assert written.mode == "RGB" and alpha.min() == 0
    np.testing.assert_allclose(np.asarray(written, float), rgba[..., :3] * alpha + 255 * (1 - alpha), atol=1)


def test_only_the_first_of_equal_pictures_is_kept_and_no_link(made):
    assert {"original", "same_file", "same_pixels", "link"} & set(read_splits(made)) == {"original"}
    dropped = json.loads((made / "manifest.json").read_text())["dropped"]
    assert (dropped["same_file"], dropped["same_pixels"]) == (1, 1)


def test_near_pictures_never_straddle_train_and_test(made):
    splits = read_splits(made)
    together = [{splits[first], splits[second]} for first, second in PAIRS]
    assert {len(pair) for pair in together} == {1} and {"train"} in together and {"test"} in together
    assert json.loads((made / "manifest.json").read_text())["test_images_near_train"] == 0


def test_series_never_straddle_train_and_test(made):
    splits = read_splits(made)
    together = [{splits[f"{name}_01"], splits[f"{name}2_bw_jean-victor__01"]} for name in SERIES]
    assert {len(pair) for pair in together} == {1} and {"train"} in together and {"test"} in together


def test_a_group_larger_than_a_quarter_of_the_quota_is_trained_on(made):
    assert {part for name, part in read_splits(made).items() if name.startswith(tuple(LARGE))} == {"train"}


def test_test_gets_its_share_of_a_class_without_large_groups(made):
    parts = collections.Counter(file.relative_to(made).parts[0] for file in made.glob("*/animals/*.png"))
    assert parts["test"] == round(0.4 * parts.total())


def test_small_classes_and_unsorted_are_left_out(made):
    assert {folder.name for folder in made.glob("*/*") if folder.is_dir()} == {"animals", "tools"}


def test_files_without_a_picture_are_named_and_skipped(made):
    skipped = json.loads((made / "manifest.json").read_text())["skipped"]
    assert set(skipped) == {"animals/broken.png", "tools/blank.png"}
    assert skipped["tools/blank.png"] == "blank on white" and not {"broken", "blank"} & set(read_splits(made))


def test_the_folder_source_reads_the_result_under_flat_names(made):
    manifest = json.loads((made / "manifest.json").read_text())
    for part in ("train", "test"):
        source = kms.sources.folder(made / part)
        assert source.class_names == ("animals", "tools")
        assert source.num_examples == sum(row[part] for row in manifest["classes"].values())
    assert len(list(made.glob("*/animals/birds__bird*.png"))) == 25


def test_a_second_run_makes_the_same_files(package, made, tmp_path):
    again = make(package, tmp_path / "again")
    files = [
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.png")} for folder in (made, again)
    ]
    assert files[0] == files[1]


def test_smaller_sides_are_honoured_and_leave_the_split_as_it_is(package, made, tmp_path):
    small = make(package, tmp_path / "small", "--max_side=16")
    assert read_splits(small) == read_splits(made)
    assert {read(file).size for file in small.rglob("*.png")} == {(16, 12)}
    assert {read(file).size for file in made.rglob("*.png")} == {(64, 48)}


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--source=/nowhere", "--source=/nowhere: no class folders .* extract the package"),
        ("--target={made}", "--target=.* is not an empty folder; name a new one"),
        ("--test_share=1", "--test_share must lie between 0 and 1, got 1.0"),
        ("--max_side=-1", "--max_side must not be negative, got -1; use 0"),
        ("--min_images=1000", "--min_images=1000: .* no class with so many"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(argument, message, package, made, tmp_path):
    arguments = (f"--source={package}", f"--target={tmp_path / 'new'}", *OPTIONS, argument.format(made=made))
    done = run_script("data/make_clipart.py", *arguments, check=False)
    assert done.returncode != 0 and re.search(message, done.stdout + done.stderr)
    assert not list(tmp_path.iterdir())
