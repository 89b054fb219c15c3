"""Runs every network of the paper in every bucket of its recipes, and times each against a plain Keras step.

    python benchmarks/zoo.py --output=docs/benchmarks/zoo.json
    python benchmarks/zoo.py --networks=resnet44 --precisions=float32 --rounds=5

Networks have their full width and the recipe's own sizes and number of classes; batches too, where memory and patience
allow it (--cifar_batch, --imagenet_batch). Each network and precision has a process of its own. In it the plain step,
stock Keras `compile` and `train_on_batch` at the fixed base size, alternates with the step of each bucket, smoothing
and weight decay included. Times are divided by the bucket's cost in pixels, so a ratio of 1 means: as many pixels take
as long. Memory is the peak of the process during the bucket's steps. Results of other networks that the file holds
already stay in it.
"""

import functools
import itertools
from collections.abc import Callable

import keras
import measuring
import numpy as np
from absl import app, flags
from measuring import Spread, alternate, console, ratios, seconds_of
from step_contenders import buckets_of, compiled, finite, recipe_network, shape_of

import keras_mixsize as kms
from keras_mixsize.cli.config import PRECISIONS
from keras_mixsize.recipes.paper import PAPER
from keras_mixsize.recipes.table import RECIPES
from keras_mixsize.training.complexity import peak_memory

NAMES = list(dict.fromkeys(row.network for row in PAPER))
NETWORKS = flags.DEFINE_list("networks", NAMES, "Networks of the paper.")
CHOSEN = flags.DEFINE_list("precisions", ["float32", "mixed_bfloat16"], f"Of {', '.join(PRECISIONS)}.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Measured steps of each bucket, after one that compiles.", lower_bound=2)
BATCH = flags.DEFINE_integer("imagenet_batch", 16, "Of the ImageNet rows' base; the recipe's is 256.", lower_bound=8)
CIFAR_BATCH = flags.DEFINE_integer("cifar_batch", 64, "Of the CIFAR rows' base, as the recipes.", lower_bound=24)
ONE = flags.DEFINE_boolean("one", False, "Measure the one network and precision in this process.")
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_zoo.json", "File for the figures.")


def plain_model(row: kms.presets.PaperRow, recipe: kms.presets.Recipe) -> keras.Model:
    """Return the network compiled as people do without this library."""
    network = recipe_network(recipe, row.classes)
    options = {"heads": len(network.outputs), "metrics": None, "jit_compile": False}
    return compiled(network, rate=0.01, momentum=recipe.momentum, **options)


def mixed_model(row, recipe, base: kms.Bucket, sizes: list[int]) -> kms.MixSizeModel:
    """Return the network as the recipe trains it, with every variable made."""
    images, labels = batch_of(base, row.classes)
    regime = kms.Regime.fixed(base.size, base.batch)
    train = kms.MixSizeDataset.from_arrays((255 * images).astype(np.uint8), labels, regime=regime)
    model = kms.recipes.compile_model(recipe_network(recipe, row.classes), recipe, train, jit_compile=False)
    model.build_steps(sizes, train.element_spec)
    return model


def batch_of(bucket: kms.Bucket, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images `[B*D, S, S, 3]` float32 in [0, 1] and labels."""
    random = np.random.default_rng(bucket.size)
    images = random.random((bucket.images, bucket.size, bucket.size, 3), dtype=np.float32)
    return images, random.integers(0, classes, bucket.images)


def plain_seconds(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the time of a step of stock Keras, which wants labels for each head."""
    return seconds_of(model.train_on_batch, images, [labels] * len(model.outputs))


def seconds_and_peak(model: kms.MixSizeModel, bucket: kms.Bucket, classes: int) -> tuple[float, float]:
    """Return the time of a step of ours, and the peak of this process's memory in bytes meanwhile."""
    with peak_memory() as peak:
        return seconds_of(model.train_on_batch, *batch_of(bucket, classes)), peak()


def measure(network: str, precision: str) -> dict:
    """Return time, ratio and memory of every bucket of one network."""
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    row = next(row for row in PAPER if row.network == network)
    recipe = RECIPES[f"{row.dataset}/{network}/b+"]
    base, buckets = buckets_of(recipe, BATCH.value if recipe.family.startswith("imagenet") else CIFAR_BATCH.value)
    plain, mixed = plain_model(row, recipe), mixed_model(row, recipe, base, sorted({b.size for b in buckets}))
    step = functools.partial(plain_seconds, plain, *batch_of(base, row.classes))
    turns = in_turns(
        step, {bucket: functools.partial(seconds_and_peak, mixed, bucket, row.classes) for bucket in buckets}
    )
    plain_times = [seconds for found in turns.values() for seconds, _ in found[1:]]
    return {
        "network": network,
        "precision": precision,
        "plain_ms": Spread.quartiles(1000 * np.array(plain_times)),
        "finite": finite(mixed),
        "buckets": [figures_of(bucket, base, turns[bucket]) for bucket in buckets],
    }


def in_turns(plain: Callable[[], float], steps: dict[kms.Bucket, Callable]) -> dict[kms.Bucket, list[tuple]]:
    """Return for each bucket's steps the seconds of the plain step before, and what the step measured."""
    pairs = {bucket: lambda step=step: (plain(), step()) for bucket, step in steps.items()}
    return alternate(pairs, ROUNDS.value + 1, watch=lambda number, _: console.print(f"turn {number} of {ROUNDS.value}"))


def figures_of(bucket: kms.Bucket, base: kms.Bucket, turns: list[tuple]) -> dict:
    """Return the row of a bucket."""
    plain, steps = zip(*turns)
    seconds, peaks = map(np.array, zip(*steps))
    return shape_of(bucket) | {
        "cost": bucket.cost / base.cost,
        "first_step_seconds": round(seconds[0], 2),
        "step_ms": Spread.quartiles(1000 * seconds[1:]),
        "ratio_per_pixel": ratios(seconds[1:] * base.cost / bucket.cost, plain[1:]),
        "peak_mib": round(peaks[-1] / 2**20),
    }


def show(result: dict) -> None:
    """Print one network's table."""
    header, rows = ["S", "B", "D", "ms", "ratio per pixel", "peak MiB"], []
    for row in result["buckets"]:
        shape = [str(row[name]) for name in ("size", "batch", "duplicates")]
        ratio = Spread(*row["ratio_per_pixel"]).text(2)
        rows.append([*shape, f"{row['step_ms'][1]:,.0f}", ratio, f"{row['peak_mib']:,}"])
    plain = Spread(*result["plain_ms"]).text(0)
    measuring.show_table(f"{result['network']}, {result['precision']}: plain step {plain} ms", header, rows)


def earlier(settings: dict) -> list[dict]:
    """Return the results that the file holds already, if they have this run's batches."""
    facts = measuring.read_results(OUTPUT.value)
    return facts.get("results", []) if settings.items() <= facts.items() else []


def main(_):
    if ONE.value:
        measuring.write_part(OUTPUT.value, measure(NETWORKS.value[0], CHOSEN.value[0]))
        return
    settings = {"imagenet_batch": BATCH.value, "cifar_batch": CIFAR_BATCH.value}
    options = [f"--{name}={value}" for name, value in (settings | {"rounds": ROUNDS.value}).items()]
    results = earlier(settings)
    for network, precision in itertools.product(NETWORKS.value, CHOSEN.value):
        case = [f"--networks={network}", f"--precisions={precision}", "--one"]
        found = measuring.measure_apart(*case, *options) | {"rounds": ROUNDS.value}
        show(found)
        results = [done for done in results if (done["network"], done["precision"]) != (network, precision)] + [found]
        measuring.write_results(OUTPUT.value, settings | {"results": results})


if __name__ == "__main__":
    app.run(main)
