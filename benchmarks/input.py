"""Measures the input pipeline on real photographs beside what people use otherwise, alternating, in one run.

    python experiments/benchmark_input.py --output=docs/benchmarks/input.json \\
        --torch_python=VENV/bin/python --grain_python=OTHER_VENV/bin/python
    python experiments/benchmark_input.py --rounds=3 --images=64 --memory_images=2000              # a quick look

Photographs come from three Debian packages, fetched with apt-get into a temporary folder, cut and written as JPEG files of
500 x 375 and 2000 x 1500. Each table is measured in a process of its own that may use one core only; figures are processor
time, which a shared machine disturbs least. Only the comparisons of one with two cores and with other loaders are of wall
time, between processes that take turns. VENV needs torch, numpy and pillow, OTHER_VENV grain and pillow (`pip install`); both
loaders run torchvision's usual training transforms, written out with Pillow as torchvision itself does them. What
is not given is listed under `not_compared` in the output. `--part` measures some parts anew and keeps the others in the output.
"""

import concurrent.futures
import contextlib
import glob
import json
import multiprocessing
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

import input_contenders as contenders
import numpy as np
import tensorflow as tf
from absl import app, flags
from input_contenders import FINISHED, FOUR, FOUR_QUICK, LIMIT, OURS, PILLOW, PLAIN, QUICK
from PIL import Image

from keras_mixsize.cli.run import console, replace_file, versions
from keras_mixsize.images.augmentations import RandomResizedCrop
from keras_mixsize.images.decoding import render_encoded
from keras_mixsize.images.rendering import to_float
from keras_mixsize.images.transform import Transform

PACKAGES = ("mate-backgrounds", "plasma-workspace-wallpapers", "lomiri-wallpapers-16.04")
SMALL, LARGE = (500, 375), (2000, 1500)  # width, height in pixels

ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each measurement.", lower_bound=2)
IMAGES = flags.DEFINE_integer(
    "images", 256, "Photographs of 500 x 375; an eighth as many of 2000 x 1500, but 32.", lower_bound=32
)
SIZES = flags.DEFINE_multi_integer("size", [96, 128, 224], "Target sizes of the small photographs, in pixels.")
LARGE_SIZES = flags.DEFINE_multi_integer("large_size", [128, 224], "Target sizes of the large ones.")
QUALITY = flags.DEFINE_integer("quality", 90, "JPEG quality of the files.")
MEMORY_IMAGES = flags.DEFINE_integer("memory_images", 20_000, "Images over which memory is watched.")
PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs to use instead of the packages.")
TORCH = flags.DEFINE_string("torch_python", None, "Python of an environment with torch and pillow.")
GRAIN = flags.DEFINE_string("grain_python", None, "Python of an environment with grain and pillow.")
PARTS = flags.DEFINE_multi_enum("part", None, ["tables", "regime", "stages", "memory", "loaders"], "All unless given.")
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


def cut_photographs(photographs: list[str], side: tuple[int, int], count: int, folder: pathlib.Path) -> list[str]:
    """Write JPEG files of one size; each photograph is shrunk to hold two tiles by two, or one where it is too small."""
    (width, height), tiles = side, []
    for photograph in photographs:
        image = Image.open(photograph).convert("RGB")
        if image.width < width or image.height < height:
            continue
        along = 2 if image.width >= 2 * width and image.height >= 2 * height else 1
        share = max(along * width / image.width, along * height / image.height)
        image = image.resize((round(image.width * share) + 1, round(image.height * share) + 1), Image.LANCZOS)
        corners = [(x * width, y * height) for x in range(along) for y in range(along)]
        tiles += [image.crop((left, top, left + width, top + height)) for left, top in corners]
        if len(tiles) >= count:
            break
    folder.mkdir()
    files = [str(folder / f"{number:05}.jpg") for number in range(min(count, len(tiles)))]
    for file, tile in zip(files, tiles):
        tile.save(file, quality=QUALITY.value)
    return files


# Processes


def process_on(cores: int) -> concurrent.futures.Executor:
    """Return a fresh process that may use some cores only; TensorFlow makes no more threads than that."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(1, context, os.sched_setaffinity, (0, chosen))


def measured(function, *arguments, cores: int = 1, **options):
    """Return what a function of `input_contenders` measures in a fresh process."""
    with process_on(cores) as process:
        return process.submit(function, *arguments, **options).result()


@contextlib.contextmanager
def racing(name: str, files: list[str], size: int, *, cores: int):
    """Yield a function that measures a contender's rate, in a process that stands still from one call to the next.

    Otherwise it would make images ahead while it waits, the more the longer.
    """
    with process_on(cores) as process:
        process.submit(contenders.start, name, files, size, cores).result()
        pid = process.submit(os.getpid).result()

        def measure() -> float:
            os.kill(pid, signal.SIGCONT)
            found = process.submit(contenders.rate, 2.0).result()
            os.kill(pid, signal.SIGSTOP)
            return found

        os.kill(pid, signal.SIGSTOP)
        try:
            yield measure
        finally:
            os.kill(pid, signal.SIGCONT)


# Rows


def quartiles(values) -> list[float]:
    """Return [first quartile, median, third quartile]."""
    return [round(float(value), 3) for value in statistics.quantiles(values, n=4, method="inclusive")]


def ratio(slow: list[float], fast: list[float]) -> list[float]:
    """Return quartiles of the rounds' ratios."""
    return quartiles(np.divide(slow, fast))


def measure_size(files: list[str], size: int) -> dict:
    """Return the rows of one target size."""
    names, images = [PLAIN, OURS, QUICK, FINISHED, FOUR, FOUR_QUICK, PILLOW, LIMIT], min(len(files), 128)
    taken = measured(contenders.in_turns, names, files, size, rounds=ROUNDS.value, images=images)
    return {
        "microseconds": {name: quartiles(values) for name, values in taken.items()},
        "ratio_to_plain": {name: ratio(taken[PLAIN], taken[name]) for name in (OURS, QUICK, FINISHED)},
        "ratio_of_duplicates": {
            FOUR: ratio(taken[OURS], taken[FOUR]),
            FOUR_QUICK: ratio(taken[QUICK], taken[FOUR_QUICK]),
        },
        "ratio_to_pillow": {name: ratio(taken[PILLOW], taken[name]) for name in (OURS, PLAIN)},
        "share_of_decoding_limit": ratio(taken[LIMIT], taken[OURS]),
        "difference": measure_quality(files, size),
    }


def measure_cores(files: list[str]) -> dict:
    """Return the rates of processes on one and on two cores, in turns, in images per second."""
    if len(os.sched_getaffinity(0)) < 2:
        return {"not compared": "this machine offers one core"}
    rates = {}
    for name in (PLAIN, OURS):
        with racing(name, files, 128, cores=1) as one, racing(name, files, 128, cores=2) as two:
            rates[name] = [(one(), two()) for _ in range(ROUNDS.value)]
    return {
        name: {"one": quartiles(one), "two": quartiles(two), "ratio": ratio(two, one)}
        for name, (one, two) in ((name, np.transpose(pairs)) for name, pairs in rates.items())
    }


def measure_stages(files: list[str], size: int) -> dict:
    """Return the median microseconds per image that each stage of our pipeline adds, and what is left to the training step."""
    taken = measured(contenders.stages, files, size, rounds=ROUNDS.value)
    whole = measured(contenders.in_turns, [QUICK], files, size, rounds=ROUNDS.value, images=len(files))[QUICK]
    up_to = [*(statistics.median(values) for values in taken.values()), statistics.median(whole)]
    added = dict(zip((*taken, "tf.data, draws, batching"), np.diff(up_to, prepend=0)))
    left = statistics.median(measured(contenders.in_step, size, rounds=ROUNDS.value))
    return {name: round(part) for name, part in (added | {"in the step, on this CPU: flip and scale": left}).items()}


def measure_quality(files: list[str], size: int) -> dict:
    """Return the mean |difference| of bytes from full decoding by Pillow's method and antialiased resizing."""
    ways = {
        OURS: (Transform(RandomResizedCrop()), 1),
        QUICK: (Transform(RandomResizedCrop(), antialias=False), 1),
        FOUR: (Transform(RandomResizedCrop()), 4),
        FOUR_QUICK: (Transform(RandomResizedCrop(), antialias=False), 4),
        "keras_mixsize, decode='exact'": (Transform(RandomResizedCrop(), decode="exact"), 1),
    }
    sums = {name: [] for name in (*ways, "plain bilinear")}
    for number, data in enumerate(map(tf.io.read_file, files[:32])):
        image, accurate = tf.io.decode_jpeg(data, 3), tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE")
        sides = [tf.fill([4], float(side)) for side in image.shape[:2]]
        seeds = tf.cast(tf.range(4) * 7919 + number, tf.uint32)
        top, left, height, width, mirrored = (field.numpy()[0] for field in RandomResizedCrop().windows(*sides, seeds))
        box, step = (slice(int(top), int(top + height)), slice(int(left), int(left + width))), -1 if mirrored else 1
        reference = tf.image.resize(accurate[box], [size, size], antialias=True).numpy()[:, ::step]
        made = {"plain bilinear": tf.image.resize(image[box], [size, size]).numpy()[:, ::step]} | {
            name: 255 * to_float(render_encoded(data, seeds[:copies], size, way, 3)).numpy()[0]
            for name, (way, copies) in ways.items()
        }
        for name, pixels in made.items():
            sums[name].append(np.abs(pixels.round() - reference.round()).mean())
    return {name: round(float(np.mean(values)), 3) for name, values in sums.items()}


# Other loaders, each in its own environment: a program that prints "ready", then its rate for every line it reads


ENDING = """
iterator = iter(loader)
for _ in range(4): next(iterator)
print("ready", flush=True)
for line in sys.stdin:
    begun = time.perf_counter()
    while time.perf_counter() - begun < 0.3: next(iterator)
    begun, made = time.perf_counter(), 0
    while time.perf_counter() - begun < float(line): made += len(next(iterator))
    found = made / (time.perf_counter() - begun)
    time.sleep(1)  # until its buffers are full
    print(found, flush=True)
"""

TRANSFORMS = """
import glob, math, sys, time, numpy as np
from PIL import Image
files, size = sorted(glob.glob(sys.argv[1] + "/*.jpg")), int(sys.argv[2])
def load(file, draws):
    image = Image.open(file).convert("RGB")
    area, ratio = draws.uniform(0.08, 1) * image.width * image.height, math.exp(draws.uniform(math.log(3/4), math.log(4/3)))
    w, h = min(round((area * ratio) ** 0.5), image.width), min(round((area / ratio) ** 0.5), image.height)
    x, y = draws.integers(0, image.width - w + 1), draws.integers(0, image.height - h + 1)
    image = image.crop((x, y, x + w, y + h)).resize((size, size), Image.BILINEAR)
    image = image.transpose(Image.FLIP_LEFT_RIGHT) if draws.random() < 0.5 else image
    return np.asarray(image, np.float32) / 255
"""

TORCH_LOADER = """
import torch
class Photographs(torch.utils.data.Dataset):
    def __len__(self): return 10**7
    def __getitem__(self, n):
        image = load(files[n % len(files)], np.random.default_rng(n))
        return torch.from_numpy(image.transpose(2, 0, 1).copy())
torch.set_num_threads(1)
loader = torch.utils.data.DataLoader(Photographs(), 32, num_workers=1)
"""

GRAIN_LOADER = """
import grain
data = grain.MapDataset.source(files).seed(0).shuffle().repeat().random_map(load).batch(32)
loader = data.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2))
"""


def measure_loader(python: str | None, program: str, folder: str, files: list[str], size: int) -> dict:
    """Return the rates of another loader and ours, each on one core, in turns, in images per second."""
    if python is None:
        return {"not compared": "no Python of an environment with it was given"}
    pin = {"preexec_fn": lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([python, "-c", TRANSFORMS + program + ENDING, folder, str(size)], **pipes, **pin) as other:
        try:
            if other.stdout.readline() != "ready\n":
                return {"not compared": other.communicate()[1].strip().splitlines()[-1]}
            with racing(OURS, files, size, cores=1) as ours:
                pairs = []
                for _ in range(ROUNDS.value):
                    print(2.0, file=other.stdin, flush=True)
                    pairs.append([float(other.stdout.readline()), ours()])
        finally:
            other.kill()
    theirs, ours = np.transpose(pairs)
    return {"theirs": quartiles(theirs), "ours": quartiles(ours), "ratio": ratio(ours, theirs)}


# All of it


def measure_tables(small: list[str], large: list[str]) -> dict:
    """Return the rows of every target size."""
    asked = [(SMALL, small, size) for size in SIZES.value] + [(LARGE, large, size) for size in LARGE_SIZES.value]
    return {f"{side[0]} x {side[1]} to {size} px": measure_size(files, size) for side, files, size in asked}


def measure_regime(small: list[str], large: list[str]) -> dict:
    """Return the regime S(144) against plain tf.data's fixed 144, and one core against two."""
    facts = {}
    for side, files in ((SMALL, small), (LARGE, large)):
        taken = measured(contenders.in_turns, [PLAIN, OURS], files, 144, rounds=ROUNDS.value, images=contenders.EPOCH)
        facts[f"{side[0]} x {side[1]}"] = ratio(taken[PLAIN], taken[OURS])
    return {"ratio_to_plain": facts, "two_cores": measure_cores(small)}


def measure_loaders(small: list[str], _) -> dict:
    """Return the comparisons with loaders of other frameworks."""
    folder = str(pathlib.Path(small[0]).parent)
    programs = {"PyTorch": (TORCH.value, TORCH_LOADER), "grain": (GRAIN.value, GRAIN_LOADER)}
    return {name: measure_loader(*program, folder, small, 128) for name, program in programs.items()}


def measure_memory(small: list[str], _) -> dict:
    """Return the memory of a process on two cores."""
    return measured(contenders.memory, small, MEMORY_IMAGES.value, cores=2)


MEASURES = {
    "tables": measure_tables,
    "regime": measure_regime,
    "stages": lambda small, _: measure_stages(small, 128),
    "memory": measure_memory,
    "loaders": measure_loaders,
}


def main(_):
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    facts = json.loads(output.read_text()) if PARTS.value and output.exists() else {}
    facts |= {"quality": QUALITY.value, "versions": versions()}
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        found = glob.glob(f"{PHOTOS.value}/**/*.jpg", recursive=True) if PHOTOS.value else fetch_photographs(folder)
        cuts = [(SMALL, IMAGES.value), (LARGE, max(contenders.BATCH, IMAGES.value // 8))]
        files = [cut_photographs(sorted(found), side, count, folder / str(side[0])) for side, count in cuts]
        kilobytes = [round(float(np.mean([os.path.getsize(file) for file in some])) / 1e3, 1) for some in files]
        facts |= {"photographs": [len(some) for some in files], "mean_kilobytes": kilobytes}
        for part in PARTS.value or MEASURES:
            facts[part] = MEASURES[part](*files) | {"load": os.getloadavg()[0], "rounds": ROUNDS.value}
            console.print(part, facts[part])
            replace_file(output, json.dumps(facts, indent=1))
    console.print(f"figures in {output}")


if __name__ == "__main__":
    sys.exit(app.run(main))
