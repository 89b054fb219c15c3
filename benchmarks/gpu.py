"""Times the step of every bucket on a GPU beside stock Keras at the base size, at the paper's batches, with and without XLA.

    python experiments/benchmark_gpu.py --output=docs/benchmarks/gpu.json
    python experiments/benchmark_gpu.py --cases=resnet44/float32/plain --rounds=5

A case is network, precision and compiler; each has a process of its own, and results of other cases that the file holds
already stay in it. Batches lie on the GPU, so nothing of the input is in the times. Stock Keras is the same network with the same
loss, optimizer and accuracy, called as `fit` calls it; ours adds gradient smoothing, weight decay, metrics of each size and
the check of every step. In each round some steps of stock Keras and of every bucket follow one another, and the GPU is waited
for once at the end of each. Times are divided by the bucket's cost in pixels: a ratio of 1 means that as many pixels take as long.
Memory is what a step takes at its peak above what lay on the GPU before it.
"""

import itertools
import json
import pathlib
import subprocess
import sys
import time

import keras
import numpy as np
import rich.table
import tensorflow as tf
from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import console, replace_file, versions
from keras_mixsize.recipes.table import RECIPES
from keras_mixsize.training.complexity import peak_memory

RECIPE_OF = {"resnet44": "cifar10/resnet44/b+", "resnet50": "imagenet2012/resnet50/b+"}
CASES = flags.DEFINE_list(
    "cases",
    [
        f"{network}/{precision}/{compiler}"
        for network in RECIPE_OF
        for precision in ("float32", "mixed_bfloat16")
        for compiler in ("plain", "xla")
    ],
    "Network, Keras's dtype policy, and `plain` or `xla`.",
)
ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns of each measurement, after one that compiles.", lower_bound=2)
SECONDS = flags.DEFINE_float("seconds", 1.0, "About how long the steps of one turn take.", lower_bound=0.01)
BASE_BATCH = flags.DEFINE_integer("base_batch", None, "Another base batch than the recipe's.", lower_bound=8)
ONE = flags.DEFINE_boolean("one", False, "Measure the one case in this process.")
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_gpu.json", "File for the figures.")


class Step:
    """One step on a batch that lies on the GPU, which is waited for after several of them."""

    def __init__(self, model: keras.Model, bucket: kms.Bucket, classes: int, channels: int):
        self.model, self.bucket = model, bucket
        shape = (bucket.images, bucket.size, bucket.size, channels)
        images = tf.random.stateless_uniform(shape, seed=(bucket.size, 0))
        labels = tf.random.stateless_uniform([bucket.images], (bucket.size, 1), 0, classes, tf.int64)
        self.batches, self.repeats = itertools.repeat((images, labels)), 1

    def first(self) -> tuple[float, int]:
        """Return the seconds of the first step, and the bytes that a second one takes above what is held; choose the repeats."""
        self.model.make_train_function()
        start = time.perf_counter()
        self.run()
        seconds = time.perf_counter() - start
        held = tf.config.experimental.get_memory_info("GPU:0")["current"]
        with peak_memory() as peak:
            self.run()
            taken = peak() - held
        self.repeats = 3
        self.repeats = max(3, round(SECONDS.value / self.run()))
        return seconds, taken

    def run(self) -> float:
        """Return the seconds of a step."""
        start = time.perf_counter()
        for _ in range(self.repeats):
            self.model.train_function(self.batches)
        tf.test.experimental.sync_devices()
        return (time.perf_counter() - start) / self.repeats


def buckets_of(recipe: kms.presets.Recipe) -> tuple[kms.Bucket, list[kms.Bucket]]:
    """Return the base and every bucket of the recipe's B+ and D+ regimes, the base among them."""
    options = {"base_batch": BASE_BATCH.value} if BASE_BATCH.value else {}
    regimes = [kms.Regime.preset(f"{recipe.family}/{mode}", **options) for mode in ("baseline", "b+", "d+")]
    shapes = {(b.size, b.batch, b.duplicates): b for regime in regimes for b in regime.buckets}
    return regimes[0].base, sorted(shapes.values(), key=lambda bucket: (bucket.size, bucket.duplicates))


def build(recipe: kms.presets.Recipe, classes: int) -> keras.Model:
    """Return the recipe's network."""
    options = {"mean": recipe.mean, "std": recipe.std, **recipe.network_options}
    return kms.models.build(recipe.network, classes=classes, **options)


def stock_model(recipe, classes: int, jit_compile: bool) -> keras.Model:
    """Return the network compiled as people do without this library."""
    network = build(recipe, classes)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(
        keras.optimizers.SGD(0.01, momentum=recipe.momentum), loss, metrics=["accuracy"], jit_compile=jit_compile
    )
    return network


def mixed_model(recipe, classes: int, sizes: list[int], jit_compile: bool, **options) -> kms.MixSizeModel:
    """Return the network as the recipe trains it, or with other options, and with every variable made."""
    options = {"smoothing": recipe.smoothing, "l2": recipe.l2, "l2_filter": recipe.l2_filter} | options
    model = kms.MixSizeModel(build(recipe, classes), **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.SGD(0.01, momentum=recipe.momentum), loss, metrics=["accuracy"], jit_compile=jit_compile
    )
    spec = tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([None], tf.int64)
    model.build_steps(sizes, spec)
    return model


def measure(network: str, precision: str, compiler: str) -> dict:
    """Return time, ratio and memory of every bucket of one case."""
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    recipe, jit = RECIPES[RECIPE_OF[network]], compiler == "xla"
    classes = 1000 if recipe.dataset == "imagenet2012" else 10
    base, buckets = buckets_of(recipe)
    mixed = mixed_model(recipe, classes, sorted({bucket.size for bucket in buckets}), jit)
    bare = mixed_model(recipe, classes, [base.size], jit, smoothing=None, l2=0.0)
    steps = {"stock": Step(stock_model(recipe, classes, jit), base, classes, 3), "bare": Step(bare, base, classes, 3)}
    steps |= {bucket: Step(mixed, bucket, classes, 3) for bucket in buckets}
    firsts = {}
    for name, step in steps.items():
        firsts[name] = step.first()
        console.print(f"{network} {precision} {compiler}, {name}: first step {firsts[name][0]:.1f} s")
    times = {name: [] for name in steps}
    for _ in range(ROUNDS.value):
        for name, step in steps.items():
            times[name].append(step.run())
    times = {name: np.array(values) for name, values in times.items()}
    own = next(bucket for bucket in buckets if (bucket.size, bucket.images) == (base.size, base.images))
    rows = [
        {
            "size": bucket.size,
            "batch": bucket.batch,
            "duplicates": bucket.duplicates,
            "cost": round(bucket.cost / base.cost, 4),
            "first_step_seconds": round(firsts[bucket][0], 1),
            "step_ms": quartiles(1000 * times[bucket]),
            "ratio_per_pixel": quartiles(times[bucket] / times["stock"] * base.cost / bucket.cost),
            "ratio_to_own_base_per_pixel": quartiles(times[bucket] / times[own] * base.cost / bucket.cost),
            "step_mib": round(firsts[bucket][1] / 2**20),
        }
        for bucket in buckets
    ]
    return {
        "case": f"{network}/{precision}/{compiler}",
        "rounds": ROUNDS.value,
        "stock_ms": quartiles(1000 * times["stock"]),
        "stock_first_step_seconds": round(firsts["stock"][0], 1),
        "stock_mib": round(firsts["stock"][1] / 2**20),
        "ratio_without_smoothing_and_decay": quartiles(times["bare"] / times["stock"]),
        "traces": mixed.trace_count,
        "finite": all(np.isfinite(weight.numpy()).all() for weight in mixed.trainable_weights),
        "buckets": rows,
    }


def quartiles(values) -> list[float]:
    """Return [first quartile, median, third quartile]."""
    return [round(float(value), 4) for value in np.quantile(values, [0.25, 0.5, 0.75])]


def show(result: dict) -> None:
    """Print one case's table."""
    title = f"{result['case']}: stock step {result['stock_ms'][1]:,.1f} ms, {result['stock_mib']:,} MiB"
    table = rich.table.Table("S", "B", "D", "ms", "ratio per pixel", "quartiles", "MiB", "first, s", title=title)
    for row in result["buckets"]:
        low, median, high = row["ratio_per_pixel"]
        shape = [str(row[name]) for name in ("size", "batch", "duplicates")]
        figures = [f"{row['step_ms'][1]:,.1f}", f"{median:.3f}", f"{low:.3f} to {high:.3f}", f"{row['step_mib']:,}"]
        table.add_row(*shape, *figures, f"{row['first_step_seconds']:.1f}")
    console.print(table)
    console.print(f"without smoothing and decay: {result['ratio_without_smoothing_and_decay'][1]:.3f} of stock")


def measure_apart(case: str, part: pathlib.Path) -> dict:
    """Return what a process of its own measures."""
    options = [f"--rounds={ROUNDS.value}", f"--seconds={SECONDS.value}"]
    if BASE_BATCH.value:
        options.append(f"--base_batch={BASE_BATCH.value}")
    subprocess.run([sys.executable, __file__, f"--cases={case}", f"--output={part}", "--one", *options], check=True)
    return json.loads(part.read_text())


def device() -> str:
    """Return the name of the first GPU."""
    return tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])["device_name"]


def main(_):
    if not tf.config.list_physical_devices("GPU"):
        raise SystemExit("benchmark_gpu.py needs a GPU that TensorFlow sees; benchmark_zoo.py measures on a CPU")
    output = pathlib.Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    if ONE.value:
        replace_file(output, json.dumps(measure(*CASES.value[0].split("/"))))
        return
    results = json.loads(output.read_text())["results"] if output.exists() else []
    for case in CASES.value:
        found = measure_apart(case, output.with_suffix(".part"))
        show(found)
        results = [done for done in results if done["case"] != case] + [found]
        command = " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])
        facts = {"command": command, "gpu": device(), "versions": versions(), "results": results}
        replace_file(output, json.dumps(facts, indent=1))
    output.with_suffix(".part").unlink()
    console.print(f"figures in {output}")


if __name__ == "__main__":
    app.run(main)
