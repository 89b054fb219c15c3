"""Makes "glyphs", pictures of A-Z, a-z and 0-9 in some 700 fonts, from Debian's texlive-fonts-extra.

    apt-get download texlive-fonts-extra && dpkg-deb -x texlive-fonts-extra_*.deb DIR
    python experiments/data/make_glyphs.py --source=DIR --target=FOLDER/glyphs.npz

Writes glyphs.npz: `images` uint8 `[N, S, S]` (ink is 255), `labels` uint8 `[N]`, `class_names` `[62]`, `fonts` int16
`[N]` (index into `font_names` and `font_families`) and `split` `[N]` (train, validation or test). Beside it glyphs.json
with the counts and every font left out, and two sheets to look at. It takes 2.5 minutes and 1 GB on two cores.

S is 32 px, twice the base size of 16 px at which a small network trains: every size up to 32 px is made by shrinking,
so larger sizes hold more detail. All of a font is drawn at one scale, its capital H 5/8 of the side high, so "o" stays
smaller than "O"; only what would not fit, such as a Q with a long tail, is shrunk by itself.

No family is in two splits, and designs that were digitised twice (Times, Palatino) are one family. Fonts are left out
if they lack a letter, have one case only, show signs for letters, or look like another font. Which ones, and the
split, do not depend on --side. The same package and the same Pillow make the same bytes.

The fonts have free licences of several kinds (OFL, GFL, GPL, ...; see each one's in the package). keras_mixsize ships
no font, and of these pictures those that embed_glyphs.py takes.
"""

import collections
import concurrent.futures
import dataclasses
import gzip
import hashlib
import json
import os
import pathlib
import re
import shlex
import string
import struct
import sys

import numpy as np
import rich.console
import rich.table
from absl import app, flags
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont

SOURCE = flags.DEFINE_string("source", None, "Folder into which the package was extracted.", required=True)
TARGET = flags.DEFINE_string("target", None, "File to write; must end in .npz and be new.", required=True)
SIDE = flags.DEFINE_integer("side", 32, "Side of the pictures in pixels, 16 to 256.")
MAX_FONTS = flags.DEFINE_integer("max_fonts", 12, "Fonts of one family, at most.")
TEST_SHARE = flags.DEFINE_float("test_share", 0.2, "Share of the fonts for test.")
VALIDATION_SHARE = flags.DEFINE_float("validation_share", 0.08, "Share of the fonts for validation.")

CLASSES = string.ascii_uppercase + string.ascii_lowercase + string.digits
FONTS, CHANGELOG = "usr/share/texlive/texmf-dist/fonts", "usr/share/doc/texlive-fonts-extra/changelog.Debian.gz"
CANVAS, CAPITAL, LARGEST = 256, 160, 240  # pixels: drawn large, so that hinting is nothing, and shrunk after
# A directory holds one family with all its weights, but these hold many: there the file's name tells.
COLLECTIONS = {"aesupp", "ektype-tanka", "fonts-churchslavonic", "nimbus15", "qualitype"}
STYLES = re.compile(r"([-_].*|[0-9N]|Cnd|Heavy|Light|Lite|Poster|Fat|Open)+$")
# Letters whose two cases have different shapes; in 150 fonts of one case they correlate by 0.62 to 1, else to 0.57.
TWO_SHAPED, ONE_CASE = "abdefghmnqrt", 0.6
# Relative distance of two fonts: one face in another format or size is below 0.1, one design by two foundries below
# 0.197, two designs above 0.21.
SAME_FACE, SAME_DESIGN = 0.1, 0.2
ILLEGIBLE = 0.1  # share of letters that look like themselves in another family: signs to 0.05, most scripts from 0.13
LOOKED_AT = {
    "AlmendraSC-Regular": "one case",
    "CinzelDecorative-Regular": "one case",
    "FedorovskUnicode": "a drop for the zero",
    "Missaali-Regular": "Roman numerals for digits",
    "QTStoryTimeCaps": "ornaments round the capitals",
    "drmsy10": "signs for small letters",
}
BROKEN = (OSError, TTLibError, struct.error)
console = rich.console.Console(highlight=False, soft_wrap=True)


@dataclasses.dataclass(frozen=True)
class Font:
    """A font's letters, in the order of CLASSES.

    Attributes:
        file: it was read from.
        family: by directory or name; see `name_family`.
        images: uint8 `[62, S, S]`.
        thumbnails: uint8 `[62, 16, 16]`, the same smaller.
        shapes: uint8 `[62, 8, 8]`, stretched to their bounding boxes.
    """

    file: pathlib.Path
    family: str
    images: np.ndarray
    thumbnails: np.ndarray
    shapes: np.ndarray


# Files


def find_files(root: pathlib.Path) -> list[pathlib.Path]:
    """Return the OpenType fonts, then the TrueType ones; most Type 1 fonts of the package are copies of them."""
    return [file for ending in ("otf", "ttf") for file in sorted(root.rglob(f"*.{ending}"))]


def name_family(file: pathlib.Path) -> str:
    """Return the directory's name, or in a collection the file's without its style."""
    if file.parent.name not in COLLECTIONS:
        return file.parent.name
    return STYLES.sub("", file.stem) or file.stem


def read_version(source: pathlib.Path) -> str:
    """Return the package's version as its changelog has it."""
    changelog = source / CHANGELOG
    if not changelog.exists():
        return "unknown"
    with gzip.open(changelog, "rt") as stream:
        return re.search(r"\((.*?)\)", stream.readline())[1]


# Pictures


def draw_letters(file: pathlib.Path, size: float) -> list[Image.Image]:
    """Return each letter at a font size in pixels, cut to its ink, white on black; a blank one is 0 x 0."""
    font = ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)
    letters = []
    for character in CLASSES:
        mask = font.getmask(character, mode="L")
        letter = Image.frombytes("L", mask.size, bytes(mask))
        letters.append(letter.crop(letter.getbbox() or (0, 0, 0, 0)))
    return letters


def place(letter: Image.Image) -> Image.Image:
    """Return a canvas with the letter in its centre, shrunk if it would not fit."""
    excess = max(letter.size) / LARGEST
    if excess > 1:
        size = [max(1, round(side / excess)) for side in letter.size]
        letter = letter.resize(size, Image.Resampling.BOX)
    canvas = Image.new("L", (CANVAS, CANVAS))
    canvas.paste(letter, ((CANVAS - letter.width) // 2, (CANVAS - letter.height) // 2))
    return canvas


def shrink(pictures: list[Image.Image], side: int) -> np.ndarray:
    """Return uint8 `[N, side, side]`; each pixel is the mean of those under it."""
    return np.stack([np.asarray(picture.resize((side, side), Image.Resampling.BOX)) for picture in pictures])


def render(file: pathlib.Path, side: int) -> Font | str:
    """Return a file's letters, or what is wrong with it."""
    if file.stem in LOOKED_AT:
        return LOOKED_AT[file.stem]
    try:
        with file.open("rb") as stream, TTFont(stream, lazy=True) as tables:
            characters = tables.getBestCmap() or {}
        if any(ord(character) not in characters for character in CLASSES):
            return "lacks letters"
        letters = draw_letters(file, CANVAS)
        if not all(map(min, (letter.size for letter in letters))):
            return "blank letters"
        letters = draw_letters(file, CANVAS * CAPITAL / letters[CLASSES.index("H")].height)
    except BROKEN:
        return "broken file"
    canvases, shapes = [place(letter) for letter in letters], shrink(letters, 8)
    if has_one_case(shapes):
        return "one case"
    return Font(file, name_family(file), shrink(canvases, side), shrink(canvases, 16), shapes)


def has_one_case(shapes: np.ndarray) -> bool:
    """Return whether small letters `[62, 8, 8]` are small capitals: their median correlation with the capitals."""
    capitals, smalls = (
        shapes[[CLASSES.index(letter) for letter in letters]].reshape(len(letters), -1).astype(float)
        for letters in (TWO_SHAPED.upper(), TWO_SHAPED)
    )
    capitals, smalls = (letters - letters.mean(1, keepdims=True) for letters in (capitals, smalls))
    norms = np.maximum(np.linalg.norm(capitals, axis=1) * np.linalg.norm(smalls, axis=1), 1)
    return bool(np.median((capitals * smalls).sum(1) / norms) > ONE_CASE)


def render_all(files: list[pathlib.Path], side: int) -> tuple[list[Font], dict[pathlib.Path, str]]:
    """Return the fonts that can be used, and the reason for each other file."""
    with concurrent.futures.ProcessPoolExecutor() as pool:
        results = list(pool.map(render, files, [side] * len(files), chunksize=8))
    reasons = {file: result for file, result in zip(files, results) if isinstance(result, str)}
    return [result for result in results if isinstance(result, Font)], reasons


# Choice


def measure_distances(fonts: list[Font]) -> np.ndarray:
    """Return `[F, F]`, the thumbnails' distances relative to the ink of the fainter; whole numbers, so no rounding."""
    pixels = np.stack([font.thumbnails.ravel() for font in fonts]).astype(np.float64)
    ink = (pixels**2).sum(1)
    squares = ink[:, None] + ink - 2 * pixels @ pixels.T
    return np.sqrt(squares / np.minimum(ink[:, None], ink))


def join_families(families: list[str], distances: np.ndarray) -> list[str]:
    """Return the family of each font, after those that share a design were joined to "one+other"."""
    groups = {family: {family} for family in families}
    for first, second in np.argwhere(np.triu(distances < SAME_DESIGN, 1)):
        joined = groups[families[first]] | groups[families[second]]
        groups.update(dict.fromkeys(joined, joined))
    return ["+".join(sorted(groups[family])) for family in families]


def find_copies(distances: np.ndarray) -> dict[int, str]:
    """Return the indices of fonts that look like an earlier one that is kept, and in which way."""
    copies, kept = {}, []
    for index, row in enumerate(distances):
        nearest = row[kept].min(initial=np.inf)
        if nearest < SAME_FACE:
            copies[index] = "same face" if nearest else "same pictures"
        else:
            kept.append(index)
    return copies


def measure_legibility(thumbnails: np.ndarray, families: list[str]) -> np.ndarray:
    """Return `[F]`, the share of letters of a font whose nearest letter in another family is the same one.

    Args:
        thumbnails: uint8 `[F, 62, 8, 8]`, 8 px so that all products are whole numbers below 2**24, exact in float32.
        families: of the fonts; a letter without another family finds letter A.
    """
    pixels = thumbnails.reshape(-1, thumbnails[0, 0].size).astype(np.float32)
    ink, labels = (pixels**2).sum(1), np.tile(np.arange(len(CLASSES)), len(thumbnails))
    owners = np.repeat(np.unique(families, return_inverse=True)[1], len(CLASSES))
    folded = np.array([CLASSES.index(letter.lower()) for letter in CLASSES])
    shares = []
    for rows in np.arange(len(pixels)).reshape(-1, len(CLASSES)):
        squares = ink - 2 * pixels[rows] @ pixels.T
        squares[:, owners == owners[rows[0]]] = np.inf
        shares.append((folded[labels[squares.argmin(1)]] == folded).mean())
    return np.array(shares)


def digest(name: str) -> bytes:
    """Return what names are ordered by where any order would do."""
    return hashlib.sha256(name.encode()).digest()


def find_surplus(names: list[str], families: list[str], most: int) -> list[int]:
    """Return the indices of the fonts beyond `most` of a family, in the order of the hashes of their names."""
    counts, surplus = collections.Counter(), []
    for index in sorted(range(len(names)), key=lambda index: digest(names[index])):
        counts[families[index]] += 1
        if counts[families[index]] > most:
            surplus.append(index)
    return surplus


def split_families(families: list[str], shares: dict[str, float]) -> dict[str, str]:
    """Return the split of each family.

    Args:
        families: of the fonts.
        shares: of the fonts by split; in the order of the hashes of their names, families go to the first split until
            it has its share, then to the next one, and what is left to `train`.
    """
    counts, splits = collections.Counter(families), {}
    queue = sorted(counts, key=digest)
    for split, share in shares.items():
        missing = share * len(families)
        while queue and missing > 0:
            missing -= counts[queue[0]]
            splits[queue.pop(0)] = split
    return splits | dict.fromkeys(queue, "train")


def choose_fonts(fonts: list[Font], most: int) -> tuple[list[Font], dict[pathlib.Path, float], dict[pathlib.Path, str]]:
    """Return the fonts to keep, of joined families; how legible each font is; and the reason for each one left out."""
    reasons = {}
    distances = measure_distances(fonts)
    families = join_families([font.family for font in fonts], distances)
    fonts = [dataclasses.replace(font, family=family) for font, family in zip(fonts, families)]
    fonts = leave_out(fonts, find_copies(distances), reasons)
    tiny = np.stack([font.thumbnails for font in fonts]).reshape(-1, len(CLASSES), 8, 2, 8, 2).mean((3, 5))
    shares = measure_legibility(tiny.astype(np.uint8), [font.family for font in fonts])
    legibility = {font.file: share for font, share in zip(fonts, shares)}
    fonts = leave_out(fonts, dict.fromkeys(np.flatnonzero(shares < ILLEGIBLE), "illegible"), reasons)
    surplus = find_surplus([font.file.stem for font in fonts], [font.family for font in fonts], most)
    return leave_out(fonts, dict.fromkeys(surplus, "beyond --max_fonts"), reasons), legibility, reasons


def leave_out(fonts: list[Font], bad: dict[int, str], reasons: dict[pathlib.Path, str]) -> list[Font]:
    """Return the fonts without those of some indices, whose reasons are added to `reasons`."""
    reasons |= {fonts[index].file: reason for index, reason in bad.items()}
    return [font for index, font in enumerate(fonts) if index not in bad]


# Results


def draw_sheet(fonts: list[Font], legibility: dict[pathlib.Path, float]) -> Image.Image:
    """Return a row of letters per font, with its name and how legible it is."""
    side, margin = len(fonts[0].images[0]), 220
    sheet = Image.new("L", (margin + side * len(CLASSES), side * len(fonts)))
    pen = ImageDraw.Draw(sheet)
    for row, font in enumerate(fonts):
        pen.text((4, side * row + side // 4), f"{legibility[font.file]:.2f} {font.file.stem[:30]}", fill=255)
        sheet.paste(Image.fromarray(np.concatenate(list(font.images), axis=1)), (margin, side * row))
    return sheet


def gather(fonts: list[Font], splits: dict[str, str], root: pathlib.Path) -> dict[str, np.ndarray]:
    """Return the arrays of the data set: font by font, each with its letters in the order of CLASSES."""
    letters = len(CLASSES)
    return {
        "images": np.concatenate([font.images for font in fonts]),
        "labels": np.tile(np.arange(letters, dtype=np.uint8), len(fonts)),
        "class_names": np.array(list(CLASSES)),
        "fonts": np.repeat(np.arange(len(fonts), dtype=np.int16), letters),
        "font_names": np.array([str(font.file.relative_to(root)) for font in fonts]),
        "font_families": np.array([font.family for font in fonts]),
        "split": np.repeat([splits[font.family] for font in fonts], letters),
    }


def count_splits(fonts: list[Font], splits: dict[str, str]) -> dict[str, dict[str, int]]:
    """Return the numbers of images, fonts and families of each split."""
    rows = {}
    for split in ("train", "validation", "test"):
        families = [font.family for font in fonts if splits[font.family] == split]
        rows[split] = {
            "images": len(CLASSES) * len(families),
            "fonts": len(families),
            "families": len(set(families)),
        }
    return rows


def save(target: pathlib.Path, arrays: dict[str, np.ndarray], facts: dict, sheets: dict[str, Image.Image]) -> None:
    """Write the sheets and the facts beside the target, and last the target, whole or not at all."""
    for name, sheet in sheets.items():
        sheet.save(target.with_name(f"{target.stem}_{name}.png"))
    target.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    partial = target.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    os.replace(partial, target)


def show(facts: dict) -> None:
    """Print the counts."""
    table = rich.table.Table("split", "images", "fonts", "families")
    for split, row in facts["splits"].items():
        table.add_row(split, *map(str, row.values()))
    table.add_row("all", *(str(sum(row[name] for row in facts["splits"].values())) for name in row))
    console.print(table)
    for reason, count in collections.Counter(facts["left_out"].values()).most_common():
        console.print(f"left out, {reason}: {count} fonts")


def check_flags(source: pathlib.Path, target: pathlib.Path) -> None:
    """Raise a UsageError that names the first flag that cannot be."""
    if not find_files(source / FONTS):
        remedy = "extract the package with dpkg-deb -x and name that folder"
        raise app.UsageError(f"--source={source}: no .otf or .ttf in {source / FONTS}; {remedy}")
    if target.suffix != ".npz" or target.exists():
        raise app.UsageError(f"--target={target} must end in .npz and be new; name another file or remove it")
    if not 16 <= SIDE.value <= CANVAS:
        raise app.UsageError(f"--side must lie between 16 and {CANVAS} pixels, got {SIDE.value}; use 32")
    if MAX_FONTS.value < 1:
        raise app.UsageError(f"--max_fonts must be at least 1, got {MAX_FONTS.value}; use 12")
    if min(TEST_SHARE.value, VALIDATION_SHARE.value) < 0 or TEST_SHARE.value + VALIDATION_SHARE.value >= 1:
        got = f"{TEST_SHARE.value} and {VALIDATION_SHARE.value}"
        raise app.UsageError(
            f"--test_share and --validation_share must leave fonts to train, got {got}; use 0.2 and 0.08"
        )


def main(_):
    source, target = pathlib.Path(SOURCE.value), pathlib.Path(TARGET.value)
    check_flags(source, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    root = source / FONTS
    files = find_files(root)
    console.print(f"{len(files)} font files")
    fonts, reasons = render_all(files, SIDE.value)
    if not fonts:
        raise app.UsageError(f"--source: none of {len(files)} fonts has all letters; unpack the package again")
    console.print(f"{len(fonts)} with all letters in two cases; comparing their shapes")
    fonts, legibility, more_reasons = choose_fonts(fonts, MAX_FONTS.value)
    shares = {"test": TEST_SHARE.value, "validation": VALIDATION_SHARE.value}
    splits = split_families([font.family for font in fonts], shares)
    facts = {
        "package": {"name": "texlive-fonts-extra", "version": read_version(source)},
        "command": shlex.join(["python", "experiments/data/make_glyphs.py", *sys.argv[1:]]),
        "splits": count_splits(fonts, splits),
        "left_out": {str(file.relative_to(root)): reason for file, reason in sorted((reasons | more_reasons).items())},
    }
    hardest = sorted(fonts, key=lambda font: legibility[font.file])[:40]
    sample = fonts[:: -(-len(fonts) // 40)]
    sheets = {"hardest": draw_sheet(hardest, legibility), "sample": draw_sheet(sample, legibility)}
    save(target, gather(fonts, splits, root), facts, sheets)
    show(facts)
    console.print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    app.run(main)
