"""Measures the input pipeline on real photographs beside what people use otherwise, alternating, in one run.

    python benchmarks/input.py --output=docs/benchmarks/input.json \\
        --torch_python=VENV/bin/python --grain_python=OTHER_VENV/bin/python
    python benchmarks/input.py --rounds=3 --images=64 --memory_images=2000              # a quick look

Photographs come from three Debian packages, fetched with apt-get into a temporary folder, cut and written as JPEG files
of 500 x 375 and 2000 x 1500. Each table is measured in a process of its own that may use one core only; figures are
processor time, which a shared machine disturbs least. Only the comparisons of one with two cores and with other loaders
are of wall time, between processes that take turns. This environment needs simplejpeg (`pip install simplejpeg`), VENV
torch, numpy and pillow, OTHER_VENV grain and pillow. What is not given is listed under `not_compared` in the output.
`--part` measures some parts anew and keeps the others in the output.
"""

import glob
import importlib.util
import os
import pathlib
import statistics
import sys
import tempfile

import input_contenders as contenders
import input_stages
import numpy as np
import tensorflow as tf
from absl import app, flags
from input_contenders import FINISHED, FOUR, FOUR_QUICK, LIMIT, OURS, PILLOW, PLAIN, QUICK
from input_processes import measured, racing
from measuring import Spread, alternate, console, ratios, read_results, write_results
from other_loaders import measure_loader
from photographs import cut_photographs, fetch_photographs

from keras_mixsize.images.augmentations import RandomResizedCrop
from keras_mixsize.images.decoding import render_encoded
from keras_mixsize.images.rendering import to_float
from keras_mixsize.images.transform import Transform

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


# Tables, and how far pixels are off


def measure_tables(small: list[str], large: list[str]) -> dict:
    """Return the rows of every target size."""
    asked = [(SMALL, small, size) for size in SIZES.value] + [(LARGE, large, size) for size in LARGE_SIZES.value]
    return {f"{side[0]} x {side[1]} to {size} px": measure_size(files, size) for side, files, size in asked}


def measure_size(files: list[str], size: int) -> dict:
    """Return the rows of one target size."""
    names, images = [PLAIN, OURS, QUICK, FINISHED, FOUR, FOUR_QUICK, PILLOW, LIMIT], min(len(files), 128)
    taken = measured(contenders.in_turns, names, files, size, rounds=ROUNDS.value, images=images)
    duplicates = {FOUR: ratios(taken[OURS], taken[FOUR]), FOUR_QUICK: ratios(taken[QUICK], taken[FOUR_QUICK])}
    return {
        "microseconds": {name: Spread.quartiles(values) for name, values in taken.items()},
        "ratio_to_plain": {name: ratios(taken[PLAIN], taken[name]) for name in (OURS, QUICK, FINISHED)},
        "ratio_of_duplicates": duplicates,
        "ratio_to_pillow": {name: ratios(taken[PILLOW], taken[name]) for name in (OURS, PLAIN)},
        "share_of_decoding_limit": ratios(taken[LIMIT], taken[OURS]),
        "difference": measure_quality(files, size),
    }


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


# The regime, cores, stages, memory and other loaders


def measure_regime(small: list[str], large: list[str]) -> dict:
    """Return the regime S(144) against plain tf.data's fixed 144, and one core against two."""
    facts = {}
    for side, files in ((SMALL, small), (LARGE, large)):
        taken = measured(contenders.in_turns, [PLAIN, OURS], files, 144, rounds=ROUNDS.value, images=contenders.EPOCH)
        facts[f"{side[0]} x {side[1]}"] = ratios(taken[PLAIN], taken[OURS])
    return {"ratio_to_plain": facts, "two_cores": measure_cores(small)}


def measure_cores(files: list[str]) -> dict:
    """Return the rates of processes on one and on two cores, in turns, in images per second."""
    if len(os.sched_getaffinity(0)) < 2:
        return {"not compared": "this machine offers one core"}
    found = {}
    for name in (PLAIN, OURS):
        with racing(name, files, 128, cores=1) as one, racing(name, files, 128, cores=2) as two:
            rates = alternate({"one": one, "two": two}, ROUNDS.value)
        found[name] = {cores: Spread.quartiles(values) for cores, values in rates.items()}
        found[name]["ratio"] = ratios(rates["two"], rates["one"])
    return found


def measure_stages(small: list[str], _) -> dict:
    """Return the median microseconds per image that each stage of our pipeline adds, and what is left to the step."""
    size, options = 128, {"rounds": ROUNDS.value}
    taken = measured(input_stages.stages, small, size, **options)
    whole = measured(contenders.in_turns, [QUICK], small, size, images=len(small), **options)[QUICK]
    up_to = [*(statistics.median(values) for values in taken.values()), statistics.median(whole)]
    added = dict(zip((*taken, "tf.data, draws, batching"), np.diff(up_to, prepend=0)))
    left = statistics.median(measured(input_stages.in_step, size, **options))
    return {name: round(part) for name, part in (added | {"in the step, on this CPU: flip and scale": left}).items()}


def measure_memory(small: list[str], _) -> dict:
    """Return the memory of a process on two cores."""
    return measured(contenders.memory, small, MEMORY_IMAGES.value, cores=2)


def measure_loaders(small: list[str], _) -> dict:
    """Return the comparisons with loaders of other frameworks."""
    pythons = {"PyTorch": ("torch", TORCH.value), "grain": ("grain", GRAIN.value)}
    return {name: measure_loader(*python, small, size=128, rounds=ROUNDS.value) for name, python in pythons.items()}


MEASURES = {
    "tables": measure_tables,
    "regime": measure_regime,
    "stages": measure_stages,
    "memory": measure_memory,
    "loaders": measure_loaders,
}


def make_photographs(folder: pathlib.Path) -> list[list[str]]:
    """Return the small and the large photographs, cut into a folder."""
    found = glob.glob(f"{PHOTOS.value}/**/*.jpg", recursive=True) if PHOTOS.value else fetch_photographs(folder)
    cuts = [(SMALL, IMAGES.value), (LARGE, max(contenders.BATCH, IMAGES.value // 8))]
    options = {"quality": QUALITY.value}
    return [cut_photographs(sorted(found), side, count, folder / str(side[0]), **options) for side, count in cuts]


def main(_):
    if importlib.util.find_spec("simplejpeg") is None:
        raise app.UsageError("the limit of decoding is measured with the package simplejpeg: pip install simplejpeg")
    facts = read_results(OUTPUT.value) if PARTS.value else {}
    with tempfile.TemporaryDirectory() as made:
        files = make_photographs(pathlib.Path(made))
        kilobytes = [round(float(np.mean([os.path.getsize(file) for file in some])) / 1e3, 1) for some in files]
        facts |= {"quality": QUALITY.value, "photographs": [*map(len, files)], "mean_kilobytes": kilobytes}
        for part in PARTS.value or MEASURES:
            facts[part] = MEASURES[part](*files) | {"load": os.getloadavg()[0], "rounds": ROUNDS.value}
            console.print(part, facts[part])
            write_results(OUTPUT.value, facts)


if __name__ == "__main__":
    sys.exit(app.run(main))
