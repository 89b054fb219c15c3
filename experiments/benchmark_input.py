"""Measures the input pipeline on real photographs beside what people use otherwise, alternating, in one run.

    python experiments/benchmark_input.py --output=docs/benchmarks/input.json
    python experiments/benchmark_input.py --rounds=3 --images=64        # a quick look
    python experiments/benchmark_input.py --torch_python=OTHER_VENV/bin/python        # PyTorch side by side

Photographs come from three Debian packages, fetched with apt-get into a temporary folder, cut and written as JPEG files of
500 x 375 and 2000 x 1500. Every ratio is of figures taken in turns. Processor time is given beside wall time: on a shared
machine it is what can be compared. Each turn ends with a pause, so that what a pipeline prefetches is counted as its own.
"""

import glob
import importlib.util
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import psutil
import rich.table
import tensorflow as tf
from absl import app, flags
from PIL import Image

import keras_mixsize as kms
from one_run import console, replace_file, versions

PACKAGES = ("mate-backgrounds", "plasma-workspace-wallpapers", "lomiri-wallpapers-16.04")
FORMATS = {"500x375": (500, 375), "2000x1500": (2000, 1500)}
PLAIN = "plain tf.data"

ROUNDS = flags.DEFINE_integer("rounds", 11, "Turns of each measurement.", lower_bound=2)
IMAGES = flags.DEFINE_integer(
    "images", 256, "Photographs of 500 x 375; an eighth as many of 2000 x 1500.", lower_bound=16
)
SIZES = flags.DEFINE_multi_integer("size", [96, 128, 224], "Target sizes, in pixels.")
QUALITY = flags.DEFINE_integer("quality", 75, "JPEG quality; 75 is the usual default of encoders.")
MEMORY_IMAGES = flags.DEFINE_integer("memory_images", 20_000, "Images over which memory is watched.")
PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs to use instead of the packages.")
TORCH = flags.DEFINE_string("torch_python", None, "Python of an environment with torch and torchvision.")
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_input.json", "File for the figures.")


# Photographs


def fetch_photographs(folder: pathlib.Path) -> list[str]:
    """Return the paths of the packages' JPEG files, largest of each kind."""
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True, capture_output=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    files = [file for file in folder.rglob("*.jpg") if file.is_file()]
    largest = {}
    for file in sorted(files, key=lambda file: file.stat().st_size):
        key = file.parent if "contents" in file.parts else file  # a wallpaper comes at many resolutions
        largest[key] = file
    return sorted(map(str, largest.values()))


def cut_photographs(files: list[str], side: tuple[int, int], count: int) -> list[bytes]:
    """Return JPEG files of one size: each photograph is shrunk to hold two tiles by two, or one where it is too small."""
    width, height = side
    made = []
    for file in files:
        image = Image.open(file).convert("RGB")
        tiles = 2 if image.width >= 2 * width and image.height >= 2 * height else 1
        if image.width < width or image.height < height:
            continue
        share = max(tiles * width / image.width, tiles * height / image.height)
        image = image.resize((round(image.width * share) + 1, round(image.height * share) + 1), Image.LANCZOS)
        for number in range(tiles**2):
            left, top = number % tiles * width, number // tiles * height
            made.append(as_jpeg(image.crop((left, top, left + width, top + height))))
        if len(made) >= count:
            break
    return made[:count]


def as_jpeg(image: Image.Image) -> bytes:
    """Return the image as a JPEG file."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY.value)
    return stream.getvalue()


# Pipelines


def plain_pipeline(files: list[bytes], size: int, *, cores: int) -> tf.data.Dataset:
    """Return what people write by hand: decode, random crop, resize, flip, batch; one size."""
    stored = tf.constant(files)

    def load(number):
        seed = tf.stack([number, number])
        image = tf.io.decode_jpeg(stored[number % len(files)], channels=3)
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(image), tf.zeros([0, 0, 4]), seed, area_range=(0.08, 1.0), use_image_if_no_bounding_boxes=True
        )
        image = tf.image.resize(tf.slice(image, begin, extent), [size, size]) / 255.0
        return tf.image.stateless_random_flip_left_right(image, seed)

    return tf.data.Dataset.range(2**40).map(load, cores).batch(32, drop_remainder=True)


def our_pipeline(files, size, *, cores: int, duplicates: int = 1, regime=None, **transform) -> tf.data.Dataset:
    """Return the library's pipeline, at one size unless a regime is given."""
    source = kms.sources.BytesSource(files, np.zeros(len(files), np.int64), ("photograph",))
    regime = regime or kms.Regime([kms.Bucket(size, max(32 // duplicates, 1), duplicates)])
    data = kms.MixSizeDataset.from_source(source, regime=regime, parallel_calls=cores, **transform)
    return data.map(lambda images, labels: images)


class Turn:
    """One pipeline, measured in turns.

    Args:
        dataset: of batches.
        images: that a turn makes, at least.
    """

    def __init__(self, dataset: tf.data.Dataset, images: int):
        self.iterator, self.images = iter(dataset), images
        next(self.iterator)

    def __call__(self) -> tuple[float, float]:
        """Return processor and wall seconds per image."""
        made, wall, processor = 0, time.perf_counter(), time.process_time()
        while made < self.images:
            made += int(next(self.iterator).shape[0])
        wall = time.perf_counter() - wall
        time.sleep(0.2)  # what is prefetched meanwhile is counted here
        return (time.process_time() - processor) / made, wall / made


def in_turns(turns: dict, rounds: int) -> dict:
    """Return name -> array `[rounds, 2]` of processor and wall seconds per image."""
    for turn in turns.values():
        turn()
    taken = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            taken[name].append(turn())
    return {name: np.array(values) for name, values in taken.items()}


def timed_loop(function, files: list[bytes]):
    """Return a turn of a Python loop over the files."""

    def turn():
        wall, processor = time.perf_counter(), time.process_time()
        for number, data in enumerate(files):
            function(data, number)
        return (time.process_time() - processor) / len(files), (time.perf_counter() - wall) / len(files)

    return turn


def random_window(number: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Return a random resized crop (left, top, right, bottom), drawn as torchvision does."""
    draws = np.random.default_rng(number)
    area, ratio = draws.uniform(0.08, 1) * width * height, np.exp(draws.uniform(np.log(3 / 4), np.log(4 / 3)))
    w, h = (
        min(round(side), limit) for side, limit in zip((np.sqrt(area * ratio), np.sqrt(area / ratio)), (width, height))
    )
    left, top = draws.integers(0, width - w + 1), draws.integers(0, height - h + 1)
    return left, top, left + w, top + h


def with_pillow(size: int):
    """Return what a PyTorch DataLoader worker does with an image."""

    def load(data, number):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image = image.crop(random_window(number, *image.size)).resize((size, size), Image.BILINEAR)
        image = image.transpose(Image.FLIP_LEFT_RIGHT) if number % 2 else image
        return np.asarray(image, np.float32).transpose(2, 0, 1) / 255

    return load


# Rows


def ratios(taken: dict, base: str, factor: float = 1.0) -> dict:
    """Return name -> how many times as fast as `base` it is: quartiles by processor and by wall time."""
    return {
        name: {
            kind: quartiles(factor * taken[base][:, column] / values[:, column])
            for column, kind in enumerate(("processor", "wall"))
        }
        for name, values in taken.items()
        if name != base
    }


def quartiles(values) -> list[float]:
    """Return [first quartile, median, third quartile]."""
    return [round(float(value), 4) for value in statistics.quantiles(values, n=4, method="inclusive")]


def rates(taken: dict) -> dict:
    """Return name -> images per second and core, quartiles."""
    return {name: quartiles(1 / values[:, 0]) for name, values in taken.items()}


def measure_size(files: list[bytes], size: int) -> dict:
    """Return the rows of one target size."""
    count = len(files)
    turns = {
        PLAIN: Turn(plain_pipeline(files, size, cores=1), count),
        "keras_mixsize": Turn(our_pipeline(files, size, cores=1), count),
        "without antialias": Turn(our_pipeline(files, size, cores=1, antialias=False), count),
        "exact": Turn(our_pipeline(files, size, cores=1, decode="exact"), count),
        "D = 4": Turn(our_pipeline(files, size, cores=1, duplicates=4), 2 * count),
        "D = 4 without antialias": Turn(our_pipeline(files, size, cores=1, duplicates=4, antialias=False), 2 * count),
        "Pillow in a loop": timed_loop(with_pillow(size), files),
    }
    if importlib.util.find_spec("simplejpeg"):
        import simplejpeg

        turns["simplejpeg, decoding only"] = timed_loop(
            lambda data, number: simplejpeg.decode_jpeg(data, fastdct=True, fastupsample=True), files
        )
    taken = in_turns(turns, ROUNDS.value)
    ours = taken["keras_mixsize"][:, 0]
    facts = {
        "images_per_second_and_core": rates(taken),
        "ratio_to_plain": ratios(taken, PLAIN),
        "duplicates_ratio": quartiles(ours / taken["D = 4"][:, 0]),
        "duplicates_ratio_without_antialias": quartiles(
            taken["without antialias"][:, 0] / taken["D = 4 without antialias"][:, 0]
        ),
        "ratio_to_pillow": quartiles(taken["Pillow in a loop"][:, 0] / ours),
    }
    if "simplejpeg, decoding only" in taken:
        facts["share_of_decode_limit"] = quartiles(taken["simplejpeg, decoding only"][:, 0] / ours)
    return facts


def measure_regime(files: list[bytes]) -> dict:
    """Return the ImageNet regime of mean size 144 against a fixed 144, and one core against two."""
    regime = kms.Regime(
        [
            kms.Bucket(256, 32, 1, 0.1),
            kms.Bucket(224, 32, 1, 0.1),
            kms.Bucket(128, 32, 1, 0.6),
            kms.Bucket(96, 32, 1, 0.2),
        ]
    )
    turns = {
        PLAIN: Turn(plain_pipeline(files, 144, cores=1), 10 * 32),
        "S(144)": Turn(our_pipeline(files, None, cores=1, regime=regime), 10 * 32),
        "S(144), two cores": Turn(our_pipeline(files, None, cores=2, regime=regime), 10 * 32),
    }
    taken = in_turns(turns, ROUNDS.value)
    cores = taken["S(144)"][:, 1] / taken["S(144), two cores"][:, 1]
    return {"ratio_to_plain": ratios(taken, PLAIN), "one_to_two_cores_wall": quartiles(cores)}


def measure_quality(files: list[bytes], size: int) -> dict:
    """Return the mean |difference| (0..255) from full decoding by Pillow's method and antialiased resizing."""
    from keras_mixsize.images import RandomResizedCrop, Transform, render_encoded

    ways = {
        "fast": Transform(RandomResizedCrop()),
        "fast without antialias": Transform(RandomResizedCrop(), antialias=False),
        "exact": Transform(RandomResizedCrop(), decode="exact"),
    }
    seeds = tf.range(4, dtype=tf.uint32) * 7919
    sums = {name: [] for name in (*ways, "plain bilinear")}
    for data in files[:32]:
        image = tf.io.decode_jpeg(data, 3)
        accurate = tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE")
        sides = [tf.fill([4], float(side)) for side in image.shape[:2]]
        windows = [field.numpy() for field in RandomResizedCrop().windows(*sides, seeds)]
        rendered = {
            name: 255 * render_encoded(tf.constant(data), seeds, size, way, 3).numpy() for name, way in ways.items()
        }
        for copy, (top, left, height, width, mirrored) in enumerate(zip(*windows)):
            box = (slice(int(top), int(top + height)), slice(int(left), int(left + width)))
            turn = (lambda pixels: pixels[:, ::-1]) if mirrored else (lambda pixels: pixels)
            reference = turn(tf.image.resize(accurate[box], [size, size], antialias=True).numpy())
            plain = turn(tf.image.resize(image[box], [size, size]).numpy())
            sums["plain bilinear"].append(np.abs(plain - reference).mean())
            for name, pixels in rendered.items():
                sums[name].append(np.abs(pixels[copy] - reference).mean())
    return {name: round(float(np.mean(values)), 3) for name, values in sums.items()}


def measure_memory(files: list[bytes]) -> dict:
    """Return the memory of the process, in MB, at tenths of many images."""
    iterator, process = iter(our_pipeline(files, 128, cores=2)), psutil.Process()
    tenths, made = [], 0
    for tenth in range(1, 11):
        while made < MEMORY_IMAGES.value * tenth / 10:
            made += int(next(iterator).shape[0])
        tenths.append(round(process.memory_info().rss / 1e6))
    return {"images": made, "rss_mb_by_tenth": tenths, "peak_mb": max(tenths)}


TORCH_LOOP = """
import glob, sys, time, torch, torchvision.transforms as T
from torchvision.datasets.folder import default_loader
files, size = sorted(glob.glob(sys.argv[1] + "/*.jpg")), int(sys.argv[2])
class Photographs(torch.utils.data.Dataset):
    change = T.Compose([T.RandomResizedCrop(size), T.RandomHorizontalFlip(), T.ToTensor()])
    def __len__(self): return 8 * len(files)
    def __getitem__(self, n): return self.change(default_loader(files[n % len(files)]))
torch.set_num_threads(1)
loader = torch.utils.data.DataLoader(Photographs(), 32, num_workers=2)
iterator = iter(loader)
for _ in range(4): next(iterator)
start, made = time.perf_counter(), 0
for batch in iterator: made += len(batch)
print(made / (time.perf_counter() - start))
"""


def measure_torch(files: list[bytes], size: int) -> dict:
    """Return the rate of a PyTorch DataLoader with two workers beside ours with two threads, in turns."""
    if TORCH.value is None:
        return {"not compared": "--torch_python was not given"}
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(files):
            (pathlib.Path(folder) / f"{number:05}.jpg").write_bytes(data)
        turn = Turn(our_pipeline(files, size, cores=2), 4 * len(files))
        found = []
        for _ in range(max(2, ROUNDS.value // 2)):
            done = subprocess.run([TORCH.value, "-c", TORCH_LOOP, folder, str(size)], capture_output=True, text=True)
            if done.returncode:
                return {"not compared": done.stderr.strip().splitlines()[-1]}
            found.append((float(done.stdout), 1 / turn()[1]))
    theirs, ours = np.array(found).T
    return {"torch_images_per_second": quartiles(theirs), "ours": quartiles(ours), "ratio": quartiles(ours / theirs)}


def show(name: str, facts: dict) -> None:
    """Print one size's rows."""
    table = rich.table.Table("", "images/s and core", "to plain (processor)", "to plain (wall)", title=name)
    for row, rate in facts["images_per_second_and_core"].items():
        ratio = facts["ratio_to_plain"].get(row)
        cells = (
            [f"{ratio[kind][1]:.2f} ({ratio[kind][0]:.2f} to {ratio[kind][2]:.2f})" for kind in ratio]
            if ratio
            else ["1", "1"]
        )
        table.add_row(row, f"{rate[1]:,.0f}", *cells)
    console.print(table)
    console.print({key: value for key, value in facts.items() if key != "ratio_to_plain" and isinstance(value, list)})


def main(_):
    facts = {"rounds": ROUNDS.value, "quality": QUALITY.value, "versions": versions(), "load_before": os.getloadavg()}
    facts["not_compared"] = {"grain": "its Python loaders run the Pillow loop above"}
    with tempfile.TemporaryDirectory() as folder:
        found = glob.glob(f"{PHOTOS.value}/**/*.jpg", recursive=True) if PHOTOS.value else None
        photographs = sorted(found) if found else fetch_photographs(pathlib.Path(folder))
        for name, side in FORMATS.items():
            count = IMAGES.value if side[0] == 500 else max(16, IMAGES.value // 8)
            files = cut_photographs(photographs, side, count)
            rows = {
                "files": len(files),
                "mean_kilobytes": round(float(np.mean([len(data) for data in files])) / 1e3, 1),
            }
            console.print(f"{name}: {rows}")
            for size in SIZES.value:
                rows[str(size)] = measure_size(files, size) | {"difference": measure_quality(files, size)}
                show(f"{name} to {size} px", rows[str(size)])
                console.print(rows[str(size)]["difference"])
            rows["S(144)"] = measure_regime(files)
            console.print(rows["S(144)"])
            if side[0] == 500:
                rows["memory"], rows["torch"] = measure_memory(files), measure_torch(files, 128)
                console.print(rows["memory"], rows["torch"])
            facts[name] = rows
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    replace_file(output, json.dumps(facts | {"load_after": os.getloadavg()}, indent=1))
    console.print(f"figures in {output}")


if __name__ == "__main__":
    sys.exit(app.run(main))
