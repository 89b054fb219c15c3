"""Makes class folders for `folder` from the pictures of Debian's openclipart-png (public domain).

    apt-get download openclipart-png && dpkg-deb -x openclipart-png_*.deb DIR
    python experiments/make_clipart.py --source=DIR --target=FOLDER --max_side=128

Writes FOLDER/train/CLASS/*.png, FOLDER/test/CLASS/*.png (RGB on white) and FOLDER/manifest.json. The package has series: one
drawing in ten colours, 1,378 stars. A group is what shares a series' name or looks nearly alike; groups go to train or test as
a whole, by a hash of their name, so the result is the same for everybody and at every --max_side.
"""

import collections
import concurrent.futures
import dataclasses
import gzip
import hashlib
import json
import pathlib
import re
import shlex
import shutil
import sys
import tempfile
import warnings

import numpy as np
import rich.console
import rich.table
from absl import app, flags
from PIL import Image

SOURCE = flags.DEFINE_string("source", None, "Folder into which the package was extracted.", required=True)
TARGET = flags.DEFINE_string("target", None, "Folder to write; must be new or empty.", required=True)
MAX_SIDE = flags.DEFINE_integer("max_side", 0, "Shrink to this longer side in pixels; 0 keeps the native size.")
TEST_SHARE = flags.DEFINE_float("test_share", 0.2, "Share of each class for test, between 0 and 1.")
MIN_IMAGES = flags.DEFINE_integer("min_images", 50, "Leave out classes with fewer different files.")

PICTURES, CHANGELOG = "usr/share/openclipart/png", "usr/share/doc/openclipart-png/changelog.Debian.gz"
NO_CLASSES = {"unsorted"}
# Pairs just below are one drawing with a detail changed; just above, different subjects in one frame, or two flags.
NEAR_COLOUR, NEAR_GREY = 0.5, 0.2
FAINTEST = 0.02  # contrast in [0, 1] below which a thumbnail counts as this strong
# Titles end in their author, cut off at about 24 letters: glace_01_bw_jean-victor__01 and glace_01_jean-victor_bal_01.
AUTHORS = """architetto benji costea dan enrique francesco frouke fudriot ganson gerald jarno jean joel jon jonathan juliane
kurt linda lumen marcelo mateya michael mimooh nicolas nicu peterm rollandin sergio tanguy yves zazou""".split()
VARIANTS = """bw black white grey gray red green blue yellow orange purple pink brown seagreen cyan violet up down left right
upper lower top bottom small medium large big md copy new""".split()
console = rich.console.Console(highlight=False, soft_wrap=True)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture written to `file`: its class, series, digest of pixels, (width, height) and 16 x 16 RGB thumbnail."""

    file: pathlib.Path
    series: str
    pixels: str
    size: tuple[int, int]
    thumbnail: np.ndarray

    @property
    def label(self) -> str:
        """The class' name."""
        return self.file.parent.name


# Files


def find_files(root: pathlib.Path, min_images: int) -> tuple[list[pathlib.Path], int]:
    """Return the files of classes with enough different ones, and how many repeats were dropped; links are repeats."""
    files = sorted(file for file in root.rglob("*.png") if file.is_file() and not file.is_symlink())
    digests = {file: hashlib.md5(file.read_bytes()).hexdigest() for file in files}
    labels = {file: file.relative_to(root).parts[0] for file in files}
    counts = collections.Counter(label for label, _ in {(labels[file], digests[file]) for file in files})
    kept = [file for file in files if counts[labels[file]] >= min_images and labels[file] not in NO_CLASSES]
    if not kept:
        raise app.UsageError(f"--min_images={min_images}: {root} has no class with so many images; ask for fewer")
    return drop_repeats(kept, digests.__getitem__)


def drop_repeats(items: list, key) -> tuple[list, int]:
    """Return the first item of each key, and how many were dropped: sorted files keep the first class that has them."""
    first = {key(item): item for item in reversed(items)}
    kept = [item for item in items if first[key(item)] is item]
    return kept, len(items) - len(kept)


def read_version(source: pathlib.Path) -> str:
    """Return the package's version as its changelog has it."""
    changelog = source / CHANGELOG
    if not changelog.exists():
        return "unknown"
    with gzip.open(changelog, "rt") as stream:
        return re.search(r"\((.*?)\)", stream.readline())[1]


# Pictures


def composite(file: pathlib.Path) -> Image.Image:
    """Return a file's picture on white, as RGB."""
    with warnings.catch_warnings(), Image.open(file) as image:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # at twice that size Pillow refuses
        image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def make_thumbnail(image: Image.Image) -> np.ndarray:
    """Return uint8 `[16, 16, 3]`: what is not white, stretched to a square, so that margins and shape do not count."""
    frame = image.resize((256, 256), Image.Resampling.BOX)
    ink = frame.point(lambda value: 255 * (value < 240)).convert("L").getbbox()
    return np.asarray(frame.resize((16, 16), Image.Resampling.BOX, box=ink))


def prepare(file: pathlib.Path, copy: pathlib.Path, max_side: int) -> Picture | str:
    """Write a file's picture to `copy` and return its facts, or say what is wrong with it."""
    try:
        image = composite(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{type(error).__name__}: {error}"
    if image.getextrema() == ((255, 255),) * 3:
        return "blank on white"
    pixels = hashlib.md5(image.tobytes() + repr(image.size).encode()).hexdigest()
    picture = Picture(copy, find_series(file.stem), pixels, image.size, make_thumbnail(image))
    if max_side:
        image.thumbnail((max_side, max_side))
    with copy.open("xb") as stream:  # two files of one flat name must not become one
        image.save(stream, "PNG")
    return picture


def find_series(stem: str) -> str:
    """Return a file name without its numbers, author, colours, directions and single letters."""
    words = re.findall("[^\\W\\d_]+", stem.lower())
    authors = (n for n, word in enumerate(words) if n and len(word) > 2 and any(a.startswith(word) for a in AUTHORS))
    words = [word for word in words[: next(authors, None)] if len(word) > 1] or words
    return " ".join([word for word in words if word not in VARIANTS] or words) or stem


def prepare_all(files: list[pathlib.Path], root: pathlib.Path, copies: pathlib.Path) -> tuple[list[Picture], dict]:
    """Return the pictures, written to copies/CLASS/, and the files left out with the reason."""
    targets = []
    for file in files:
        label, *names = file.relative_to(root).parts
        (copies / label).mkdir(parents=True, exist_ok=True)
        targets.append(copies / label / "__".join(names))
    with concurrent.futures.ProcessPoolExecutor() as pool:
        results = list(pool.map(prepare, files, targets, [MAX_SIDE.value] * len(files), chunksize=8))
    skipped = {str(f.relative_to(root)): result for f, result in zip(files, results) if isinstance(result, str)}
    return [result for result in results if isinstance(result, Picture)], skipped


# Groups


def are_near(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return bool `[N, M]`: which thumbnails `[N, 16, 16, 3]` and `[M, 16, 16, 3]` are of nearly the same picture.

    Distances are root mean squares, relative to the fainter one's contrast in colour, and to each one's own in grey:
    the first finds a changed detail, the second a changed colour. float64, so that no rounding decides.
    """

    def centred(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        contrast = np.maximum((values - values.mean(1, keepdims=True)).std((1, 2)), FAINTEST)
        return values.reshape(len(values), -1), contrast

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        squares = (a**2).mean(1)[:, None] + (b**2).mean(1) - 2 * a @ b.T / a.shape[1]
        return np.sqrt(np.maximum(squares, 0))

    def grey(values: np.ndarray) -> np.ndarray:
        values = values.mean(2)
        values = values - values.mean(1, keepdims=True)
        return values / np.maximum(values.std(1, keepdims=True), FAINTEST)

    first, second = (values.reshape(len(values), 256, 3) / 255.0 for values in (first, second))
    (a, strong_a), (b, strong_b) = centred(first), centred(second)
    near = distance(a, b) < NEAR_COLOUR * np.minimum(strong_a[:, None], strong_b)
    return near | (distance(grey(first), grey(second)) < NEAR_GREY)
