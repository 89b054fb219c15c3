"""Runs every network of the paper in every bucket of its recipes, and times each against a plain Keras step at the base size.

    python experiments/benchmark_zoo.py --output=docs/benchmarks/zoo.json
    python experiments/benchmark_zoo.py --networks=resnet44 --precisions=float32 --rounds=5

Networks have their full width and the recipe's own sizes and number of classes; batches too, where memory and patience
allow it (--cifar_batch, --imagenet_batch).
Each network and precision has a process of its own. In it the plain step, stock Keras `compile` and `train_on_batch` at the
fixed base size, alternates with the step of each bucket, smoothing and weight decay included. Times are divided by the bucket's
cost in pixels, so a ratio of 1 means: as many pixels take as long. Memory is the peak of the process during the bucket's
steps. Results of other networks that the file holds already stay in it.
"""

import json
import pathlib
import subprocess
import sys
import time

import keras
import numpy as np
import rich.table
from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import PRECISIONS, console, replace_file, versions
from keras_mixsize.recipes.paper import PAPER
from keras_mixsize.recipes.table import RECIPES
from keras_mixsize.training.complexity import peak_memory

NAMES = list(dict.fromkeys(row.network for row in PAPER))
NETWORKS = flags.DEFINE_list("networks", NAMES, "Networks of the paper.")
CHOSEN = flags.DEFINE_list("precisions", ["float32", "mixed_bfloat16"], f"Of {', '.join(PRECISIONS)}.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Measured steps of each bucket, after one that compiles.", lower_bound=2)
BATCH = flags.DEFINE_integer(
    "imagenet_batch", 16, "Base batch of the ImageNet rows; the recipe's is 256.", lower_bound=8
)
CIFAR_BATCH = flags.DEFINE_integer("cifar_batch", 64, "Base batch of the CIFAR rows, as the recipes.", lower_bound=24)
ONE = flags.DEFINE_boolean("one", False, "Measure the one network and precision in this process.")
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_zoo.json", "File for the figures.")


def buckets_of(recipe: kms.presets.Recipe) -> tuple[kms.Bucket, list[kms.Bucket]]:
    """Return the base and every other bucket of the recipe's B+ and D+ regimes."""
    options = {"base_batch": BATCH.value if recipe.family.startswith("imagenet") else CIFAR_BATCH.value}
    regimes = [kms.Regime.preset(f"{recipe.family}/{mode}", **options) for mode in ("baseline", "b+", "d+")]
    shapes = {(b.size, b.batch, b.duplicates): b for regime in regimes for b in regime.buckets}
    return regimes[0].base, sorted(shapes.values(), key=lambda bucket: (bucket.size, bucket.duplicates))


def build(row: kms.presets.PaperRow, recipe: kms.presets.Recipe) -> keras.Model:
    """Return the recipe's network."""
    options = {"mean": recipe.mean, "std": recipe.std, **recipe.network_options}
    return kms.models.build(row.network, classes=row.classes, **options)


def plain_model(row, recipe) -> keras.Model:
    """Return the network compiled as people do without this library."""
    network = build(row, recipe)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = loss if len(network.outputs) == 1 else [loss, loss]
    network.compile(keras.optimizers.SGD(0.01, momentum=recipe.momentum), losses, jit_compile=False)
    return network


def mixed_model(row, recipe, base: kms.Bucket, sizes: list[int]) -> kms.MixSizeModel:
    """Return the network as the recipe trains it, with every variable made."""
    images, labels = batch_of(base, row.classes)
    regime = kms.Regime.fixed(base.size, base.batch)
    train = kms.MixSizeDataset.from_arrays((255 * images).astype(np.uint8), labels, regime=regime)
    model = kms.recipes.compile_model(build(row, recipe), recipe, train, jit_compile=False)
    model.build_steps(sizes, train.element_spec)
    return model


def batch_of(bucket: kms.Bucket, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images `[B*D, S, S, 3]` float32 in [0, 1] and labels."""
    random = np.random.default_rng(bucket.size)
    images = random.random((bucket.images, bucket.size, bucket.size, 3), dtype=np.float32)
    return images, random.integers(0, classes, bucket.images)


def seconds_of(model: keras.Model, batch: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the time of one step."""
    images, labels = batch
    plain = not isinstance(model, kms.MixSizeModel)
    start = time.perf_counter()
    model.train_on_batch(images, [labels] * len(model.outputs) if plain else labels)
    return time.perf_counter() - start


def measure(network: str, precision: str) -> dict:
    """Return time, ratio and memory of every bucket of one network."""
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    row = next(row for row in PAPER if row.network == network)
    recipe = RECIPES[f"{row.dataset}/{network}/b+"]
    base, buckets = buckets_of(recipe)
    plain, mixed = plain_model(row, recipe), mixed_model(row, recipe, base, sorted({b.size for b in buckets}))
    plain_batch, peaks = batch_of(base, row.classes), {}
    plain_times, times = {bucket: [] for bucket in buckets}, {bucket: [] for bucket in buckets}
    for turn in range(ROUNDS.value + 1):
        for bucket in buckets:
            plain_times[bucket].append(seconds_of(plain, plain_batch))
            with peak_memory() as peak:
                times[bucket].append(seconds_of(mixed, batch_of(bucket, row.classes)))
                peaks[bucket] = peak()
        console.print(f"{network} {precision}: turn {turn} of {ROUNDS.value}")
    times, plain_times = ({key: np.array(value) for key, value in d.items()} for d in (times, plain_times))
    finite = all(np.isfinite(weight.numpy()).all() for weight in mixed.trainable_weights)
    rows = [
        {
            "size": bucket.size,
            "batch": bucket.batch,
            "duplicates": bucket.duplicates,
            "cost": bucket.cost / base.cost,
            "first_step_seconds": round(times[bucket][0], 2),
            "step_ms": quartiles(1000 * times[bucket][1:]),
            "ratio_per_pixel": quartiles((times[bucket] / plain_times[bucket])[1:] * base.cost / bucket.cost),
            "peak_mib": round(peaks[bucket] / 2**20),
        }
        for bucket in buckets
    ]
    plain_ms = quartiles(1000 * np.concatenate([values[1:] for values in plain_times.values()]))
    return {"network": network, "precision": precision, "plain_ms": plain_ms, "finite": finite, "buckets": rows}


def quartiles(values) -> list[float]:
    """Return [first quartile, median, third quartile]."""
    return [round(float(value), 3) for value in np.quantile(values, [0.25, 0.5, 0.75])]


def show(result: dict) -> None:
    """Print one network's table."""
    title = f"{result['network']}, {result['precision']}: plain step {result['plain_ms'][1]:,.0f} ms"
    table = rich.table.Table("S", "B", "D", "ms", "ratio per pixel", "quartiles", "peak MiB", title=title)
    for row in result["buckets"]:
        low, median, high = row["ratio_per_pixel"]
        shape = [str(row[name]) for name in ("size", "batch", "duplicates")]
        figures = [f"{row['step_ms'][1]:,.0f}", f"{median:.2f}", f"{low:.2f} to {high:.2f}", f"{row['peak_mib']:,}"]
        table.add_row(*shape, *figures)
    console.print(table)


def measure_apart(network: str, precision: str, part: pathlib.Path) -> dict:
    """Return what a process of its own measures."""
    arguments = [f"--networks={network}", f"--precisions={precision}", f"--output={part}", "--one"]
    options = [f"--rounds={ROUNDS.value}", f"--imagenet_batch={BATCH.value}", f"--cifar_batch={CIFAR_BATCH.value}"]
    subprocess.run([sys.executable, __file__, *arguments, *options], check=True)
    return json.loads(part.read_text())


def earlier(output: pathlib.Path) -> list[dict]:
    """Return the results that a file holds already, if they have this run's batches."""
    if not output.exists():
        return []
    facts = json.loads(output.read_text())
    same = (facts["imagenet_batch"], facts["cifar_batch"]) == (BATCH.value, CIFAR_BATCH.value)
    return [{"rounds": facts.get("rounds"), **result} for result in facts["results"]] if same else []


def main(_):
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    if ONE.value:
        replace_file(output, json.dumps(measure(NETWORKS.value[0], CHOSEN.value[0])))
        return
    results, part = earlier(output), output.with_suffix(".part")
    for network in NETWORKS.value:
        for precision in CHOSEN.value:
            found = measure_apart(network, precision, part) | {"rounds": ROUNDS.value}
            show(found)
            results = [done for done in results if (done["network"], done["precision"]) != (network, precision)] + [
                found
            ]
            settings = {"imagenet_batch": BATCH.value, "cifar_batch": CIFAR_BATCH.value, "versions": versions()}
            replace_file(output, json.dumps(settings | {"results": results}, indent=1))
    part.unlink()
    console.print(f"figures in {output}")


if __name__ == "__main__":
    app.run(main)
