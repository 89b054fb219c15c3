"""Makes class folders for `folder` from the pictures of Debian's openclipart-png (public domain).

    apt-get download openclipart-png && dpkg-deb -x openclipart-png_*.deb DIR
    python experiments/data/make_clipart.py --source=DIR --target=FOLDER --max_side=128

Writes FOLDER/train/CLASS/*.png and FOLDER/test/CLASS/*.png (RGB on white), and FOLDER/manifest.json. The package has
series: one drawing in ten colours, 1,375 stars. A group is what shares a series' name or looks nearly alike. It goes to
train or test as a whole, by a hash of its name, so the split is the same for everybody and at every --max_side. The
largest pictures (169 million pixels) take 2.2 GB of memory per core.
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
# A test image and its nearest training image, just below: one drawing with a detail or the colour changed. Just above:
# two road signs, two flags. From 0.7 on chains of discs (buttons, smileys, globes) tie several classes into one group.
NEAR_COLOUR, NEAR_GREY = 0.65, 0.3
FAINTEST = 0.02  # contrast in [0, 1]; fainter thumbnails count as this strong, so that noise is no picture
# Names end in their author, cut off: glace_01_bw_jean-victor__01 and glace_01_jean-victor_bal_01 are one series.
AUTHORS = (
    "architetto", "benji", "costea", "dan", "enrique", "francesco", "frouke", "fudriot", "ganson", "gerald",
    "jarno", "jean", "joel", "jon", "jonathan", "juliane", "kurt", "linda", "lumen", "marcelo", "mateya",
    "michael", "mimooh", "nicolas", "nicu", "peterm", "rollandin", "sergio", "tanguy", "yves", "zazou",
)  # fmt: skip
VARIANTS = (
    "big", "black", "blue", "brown", "bw", "bottom", "copy", "cyan", "down", "gray", "green", "grey", "large",
    "left", "lower", "md", "medium", "mount", "new", "orange", "pink", "purple", "red", "right", "seagreen",
    "small", "top", "unmount", "up", "upper", "violet", "white", "yellow",
)  # fmt: skip
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
    files = sorted(file for file in root.glob("*/**/*.png") if file.is_file() and not file.is_symlink())
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
    ignored = {"action": "ignore", "category": Image.DecompressionBombWarning}  # Pillow refuses twice that size
    with warnings.catch_warnings(**ignored), Image.open(file) as opened:
        image = opened.convert("RGBA")
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
    if len(skipped) == len(files):
        raise app.UsageError(
            f"--source: none of {len(files)} files is a picture, the first: {results[0]}; unpack again"
        )
    return [result for result in results if isinstance(result, Picture)], skipped


# Groups


def are_near(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return bool `[N, M]`: which thumbnails `[N, 16, 16, 3]` and `[M, 16, 16, 3]` show nearly the same picture.

    The distance in colour, relative to the fainter picture's contrast, finds a changed detail; the one in grey, of zero
    mean and unit contrast, finds a changed colour. float64, so that no rounding decides.
    """
    (colour_a, contrast_a, grey_a), (colour_b, contrast_b, grey_b) = describe(first), describe(second)
    near = distances(colour_a, colour_b) < NEAR_COLOUR * np.minimum(contrast_a[:, None], contrast_b)
    return near | (distances(grey_a, grey_b) < NEAR_GREY)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return `[N, M]`, the root mean squared differences between the rows `[N, K]` and `[M, K]`."""
    squares = (first**2).mean(1)[:, None] + (second**2).mean(1) - 2 * first @ second.T / first.shape[1]
    return np.sqrt(np.maximum(squares, 0))


def describe(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return colours `[N, 768]` in [0, 1], their contrast `[N]`, and greys `[N, 256]` of zero mean, unit contrast."""
    colour = thumbnails.reshape(-1, 256, 3) / 255.0
    grey = colour @ [0.299, 0.587, 0.114]
    grey = (grey - grey.mean(1, keepdims=True)) / np.maximum(grey.std(1, keepdims=True), FAINTEST)
    return colour.reshape(-1, 768), np.maximum(colour.std(1).mean(1), FAINTEST), grey


def near_pairs(first: list[Picture], second: list[Picture]):
    """Yield the pairs of indices (n, m) of near pictures; in blocks, because all distances do not fit in memory."""
    thumbnails = np.stack([picture.thumbnail for picture in second])
    for start in range(0, len(first), 512):
        block = np.stack([picture.thumbnail for picture in first[start : start + 512]])
        yield from (np.argwhere(are_near(block, thumbnails)) + [start, 0]).tolist()


def group(pictures: list[Picture]) -> list[list[Picture]]:
    """Return the pictures in groups, linked by the series' name within a class or by nearness; by union-find."""
    parents = list(range(len(pictures)))

    def root(n: int) -> int:
        while parents[n] != n:
            parents[n] = n = parents[parents[n]]
        return n

    series = {}
    links = [(n, series.setdefault((picture.label, picture.series), n)) for n, picture in enumerate(pictures)]
    for pair in (*links, *near_pairs(pictures, pictures)):
        low, high = sorted(map(root, pair))
        parents[high] = low
    groups = collections.defaultdict(list)
    for n, picture in enumerate(pictures):
        groups[root(n)].append(picture)
    return list(groups.values())


# Split


def find_quota(sizes: np.ndarray, share: float) -> float:
    """Return how many images of a class to test on, from the sizes of its groups.

    The share, but at most half of the images in groups that test may take: train needs the like of them. Test may take
    groups of up to a quarter of the quota, so that it stays diverse; a lower quota lowers that bound, hence the loop.
    """
    quota = share * sizes.sum()
    while quota > (half := sizes[sizes <= max(1, quota / 4)].sum() / 2):
        quota = half
    return quota


def choose_test(names: list[str], sizes: dict[str, np.ndarray], share: float) -> np.ndarray:
    """Return bool `[groups]`: those for test, taken in the order of their names' hash while their classes have room.

    Args:
        names: one per group.
        sizes: by class, int `[groups]`, how many of its images are in each group.
        share: of each class for test.
    """
    chosen = np.zeros(len(names), bool)
    counts = np.stack(list(sizes.values()))
    quotas = np.array([find_quota(row, share) for row in counts])
    for n in sorted(range(len(names)), key=lambda n: hashlib.sha256(names[n].encode()).digest()):
        small = counts[:, n] <= np.maximum(1, quotas / 4)
        fits = counts[:, n] + counts[:, chosen].sum(1) <= quotas.round()
        chosen[n] = np.all(small & fits | (counts[:, n] == 0))
    return chosen


def split(pictures: list[Picture], share: float) -> tuple[dict[str, list[Picture]], dict]:
    """Return the pictures of train and test, and by class: images in train, test and the largest group, and groups."""
    groups = group(pictures)
    names = ["/".join(members[0].file.parts[-2:]) for members in groups]
    parts = [collections.Counter(picture.label for picture in members) for members in groups]
    sizes = {label: np.array([part[label] for part in parts]) for label in sorted(set().union(*parts))}
    chosen = choose_test(names, sizes, share)
    splits = {"train": [], "test": []}
    for members, test in zip(groups, chosen):
        splits["test" if test else "train"] += members
    facts = ("train", "test", "groups", "largest_group")
    rows = {label: (n[~chosen].sum(), n[chosen].sum(), (n > 0).sum(), n.max()) for label, n in sizes.items()}
    return splits, {label: dict(zip(facts, map(int, row))) for label, row in rows.items()}


# Report


def show(manifest: dict) -> None:
    """Print the manifest's figures."""
    rows = manifest["classes"]
    table = rich.table.Table("class", "train", "test", "groups", "largest group", title="images")
    for label, row in rows.items():
        table.add_row(label, *map(str, row.values()))
    table.add_row("all", *(str(sum(row[part] for row in rows.values())) for part in ("train", "test")))
    console.print(table)
    for file, reason in manifest["skipped"].items():
        console.print(f"skipped {file}: {reason}", markup=False)
    for name in ("dropped", "native_pixels", "test_images_near_train"):
        console.print(f"{name.replace('_', ' ')}: {manifest[name]}")


def check_flags(source: pathlib.Path, target: pathlib.Path) -> None:
    """Raise a UsageError that names the first flag that cannot be."""
    root = source / PICTURES
    if not root.is_dir() or not any(entry.is_dir() for entry in root.iterdir()):
        remedy = "extract the package with dpkg-deb -x and name that folder"
        raise app.UsageError(f"--source={source}: no class folders in {root}; {remedy}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise app.UsageError(f"--target={target} exists and is not an empty folder; name a new one or remove it")
    if not 0 < TEST_SHARE.value < 1:
        raise app.UsageError(f"--test_share must lie between 0 and 1, got {TEST_SHARE.value}; use 0.2 for a fifth")
    if MAX_SIDE.value < 0:
        raise app.UsageError(f"--max_side must not be negative, got {MAX_SIDE.value}; use 0 for the native size")


def make(root: pathlib.Path, folder: pathlib.Path) -> dict:
    """Write train/ and test/ into a folder and return their figures."""
    files, same_files = find_files(root, MIN_IMAGES.value)
    console.print(f"{len(files)} different files")
    pictures, skipped = prepare_all(files, root, folder / "all")
    pictures, same_pixels = drop_repeats(pictures, lambda picture: picture.pixels)
    splits, classes = split(pictures, TEST_SHARE.value)
    for name, members in splits.items():
        for picture in members:
            (folder / name / picture.label).mkdir(parents=True, exist_ok=True)
            picture.file.rename(folder / name / picture.label / picture.file.name)
    shutil.rmtree(folder / "all")
    sides = np.percentile([picture.size for picture in pictures], [1, 50, 99], axis=0).round().astype(int)
    return {
        "classes": classes,
        "dropped": {"same_file": same_files, "same_pixels": same_pixels, "skipped": len(skipped)},
        "skipped": skipped,
        "native_pixels": {"percentiles": [1, 50, 99], **dict(zip(("width", "height"), sides.T.tolist()))},
        "test_images_near_train": len({n for n, _ in near_pairs(splits["test"], splits["train"])}),
    }


def main(_):
    source, target = pathlib.Path(SOURCE.value), pathlib.Path(TARGET.value)
    check_flags(source, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        folder = pathlib.Path(scratch) / "done"
        folder.mkdir()
        manifest = {
            "package": {"name": "openclipart-png", "version": read_version(source)},
            "command": shlex.join(["python", "experiments/data/make_clipart.py", *sys.argv[1:]]),
            "thresholds": {"colour": NEAR_COLOUR, "grey": NEAR_GREY},
            **make(source / PICTURES, folder),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        folder.rename(target)
    show(manifest)
    console.print(f"images in {target}")


if __name__ == "__main__":
    app.run(main)
