"""Times the step of every bucket on a GPU beside stock Keras at the base size, with and without XLA.

    python benchmarks/gpu.py --output=docs/benchmarks/gpu.json                    # at the paper's batches
    python benchmarks/gpu.py --cases=resnet44/float32/plain --rounds=5

A case is network, precision and compiler; each has a process of its own, and results of other cases that the file holds
already stay in it. Batches lie on the GPU, so nothing of the input is in the times. Stock Keras is the same network
with the same loss, optimizer and accuracy, called as `fit` calls it; ours adds gradient smoothing, weight decay,
metrics of each size and the check of every step. In each round some steps of stock Keras and of every bucket follow one
another, and the GPU is waited for once at the end of each. Times are divided by the bucket's cost in pixels: a ratio of
1 means that as many pixels take as long. Memory is what a step takes at its peak above what lay on the GPU before it.

Where there is no GPU, --on_cpu tries the script: it measures this machine's CPU, and the memory of the whole process.
"""

import itertools
from typing import NamedTuple

import keras
import measuring
import numpy as np
import tensorflow as tf
from absl import app, flags
from measuring import Spread, alternate, console, ratios, seconds_of
from step_contenders import buckets_of, compiled, finite, recipe_network, shape_of

import keras_mixsize as kms
from keras_mixsize.recipes.table import RECIPES
from keras_mixsize.training.complexity import peak_memory

RECIPE_OF = {"resnet44": "cifar10/resnet44/b+", "resnet50": "imagenet2012/resnet50/b+"}
ALL = itertools.product(RECIPE_OF, ("float32", "mixed_bfloat16"), ("plain", "xla"))
CASES = flags.DEFINE_list("cases", ["/".join(case) for case in ALL], "Network, Keras's dtype policy, `plain` or `xla`.")
ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns of each measurement, after one that compiles.", lower_bound=2)
SECONDS = flags.DEFINE_float("seconds", 1.0, "About how long the steps of one turn take.", lower_bound=0.01)
BASE_BATCH = flags.DEFINE_integer("base_batch", None, "Another base batch than the recipe's.", lower_bound=8)
ON_CPU = flags.DEFINE_boolean("on_cpu", False, "Measure the CPU, where there is no GPU.")
ONE = flags.DEFINE_boolean("one", False, "Measure the one case in this process.")
OUTPUT = flags.DEFINE_string("output", "runs/benchmark_gpu.json", "File for the figures.")
STOCK, BARE, FUSED = "stock", "without smoothing and decay", "the same with fused batch norm"


class First(NamedTuple):
    """Seconds of a contender's first step, which compiles, and the bytes that the next takes above what was held."""

    seconds: float
    taken: int


class Step:
    """One step on a batch that lies on the GPU, which is waited for after several of them."""

    def __init__(self, model: keras.Model, bucket: kms.Bucket, classes: int):
        self.model = model
        images = tf.random.stateless_uniform([bucket.images, bucket.size, bucket.size, 3], seed=(bucket.size, 0))
        labels = tf.random.stateless_uniform([bucket.images], (bucket.size, 1), 0, classes, tf.int64)
        self.batches, self.repeats = itertools.repeat((images, labels)), 1

    def first(self) -> First:
        """Return what the first steps took; choose how many there are in a turn."""
        self.model.make_train_function()
        seconds = seconds_of(self.run)
        held = held_bytes()
        with peak_memory() as peak:
            self.run()
            taken = peak() - held
        self.repeats = 3
        self.repeats = max(3, round(SECONDS.value / self.run()))
        return First(seconds, taken)

    def run(self) -> float:
        """Return the seconds of a step."""
        return seconds_of(self._run) / self.repeats

    def _run(self):
        for _ in range(self.repeats):
            self.model.train_function(self.batches)
        tf.test.experimental.sync_devices()


def held_bytes() -> int:
    """Return what lies on the GPU; 0 if there is none."""
    return tf.config.experimental.get_memory_info("GPU:0")["current"] if tf.config.list_physical_devices("GPU") else 0


def mixed_model(recipe, classes: int, sizes: list[int], jit_compile: bool, **options) -> kms.MixSizeModel:
    """Return the network as the recipe trains it, or with other options, and with every variable made."""
    options = {"smoothing": recipe.smoothing, "l2": recipe.l2, "l2_filter": recipe.l2_filter} | options
    model = kms.MixSizeModel(recipe_network(recipe, classes), **options)
    compiled(model, rate=0.01, momentum=recipe.momentum, jit_compile=jit_compile)
    spec = tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([None], tf.int64)
    model.build_steps(sizes, spec)
    return model


def contenders_of(recipe, base: kms.Bucket, buckets: list[kms.Bucket], jit: bool) -> dict[str | kms.Bucket, Step]:
    """Return the steps of stock Keras, of ours without smoothing and decay (and fused), and of ours in every bucket."""
    classes = 1000 if recipe.dataset == "imagenet2012" else 10
    stock = compiled(recipe_network(recipe, classes), rate=0.01, momentum=recipe.momentum, jit_compile=jit)
    mixed = mixed_model(recipe, classes, sorted({bucket.size for bucket in buckets}), jit)
    bare = mixed_model(recipe, classes, [base.size], jit, smoothing=None, l2=0.0)
    steps = {STOCK: Step(stock, base, classes), BARE: Step(bare, base, classes)}
    if not jit:  # XLA fuses by itself
        fused = mixed_model(recipe, classes, [base.size], jit, smoothing=None, l2=0.0, fused_batch_norm=True)
        steps[FUSED] = Step(fused, base, classes)
    return steps | {bucket: Step(mixed, bucket, classes) for bucket in buckets}


def measure(network: str, precision: str, compiler: str) -> dict:
    """Return time, ratio and memory of every bucket of one case."""
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    recipe = RECIPES[RECIPE_OF[network]]
    base, buckets = buckets_of(recipe, BASE_BATCH.value)
    steps, firsts = contenders_of(recipe, base, buckets, compiler == "xla"), {}
    for name, step in steps.items():
        firsts[name] = step.first()
        console.print(f"{network} {precision} {compiler}, {name}: first step {firsts[name].seconds:.1f} s")
    times = alternate({name: step.run for name, step in steps.items()}, ROUNDS.value)
    mixed = steps[base_of(base, buckets)].model
    return {
        "case": f"{network}/{precision}/{compiler}",
        "rounds": ROUNDS.value,
        "stock_ms": Spread.quartiles(1000 * np.array(times[STOCK])),
        "stock_first_step_seconds": round(firsts[STOCK].seconds, 1),
        "stock_mib": round(firsts[STOCK].taken / 2**20),
        "ratio_without_smoothing_and_decay": ratios(times[BARE], times[STOCK]),
        "ratio_of_fused_batch_norm": ratios(times[FUSED], times[BARE]) if FUSED in times else None,
        "traces": mixed.trace_count,
        "finite": finite(mixed),
        "buckets": [figures_of(bucket, base_of(base, buckets), firsts[bucket], times) for bucket in buckets],
    }


def base_of(base: kms.Bucket, buckets: list[kms.Bucket]) -> kms.Bucket:
    """Return the bucket that has the base's size and images."""
    return next(bucket for bucket in buckets if (bucket.size, bucket.images) == (base.size, base.images))


def figures_of(bucket: kms.Bucket, base: kms.Bucket, first: First, times: dict) -> dict:
    """Return the row of a bucket."""
    per_pixel = np.array(times[bucket]) * base.cost / bucket.cost
    return shape_of(bucket) | {
        "cost": round(bucket.cost / base.cost, 4),
        "first_step_seconds": round(first.seconds, 1),
        "step_ms": Spread.quartiles(1000 * np.array(times[bucket])),
        "ratio_per_pixel": ratios(per_pixel, times[STOCK]),
        "ratio_to_own_base_per_pixel": ratios(per_pixel, times[base]),
        "step_mib": round(first.taken / 2**20),
    }


def show(result: dict) -> None:
    """Print one case's table."""
    header, rows = ["S", "B", "D", "ms", "ratio per pixel", "MiB", "first, s"], []
    for row in result["buckets"]:
        shape = [str(row[name]) for name in ("size", "batch", "duplicates")]
        figures = [f"{row['step_ms'][1]:,.1f}", Spread(*row["ratio_per_pixel"]).text(), f"{row['step_mib']:,}"]
        rows.append([*shape, *figures, f"{row['first_step_seconds']:.1f}"])
    title = f"{result['case']}: stock step {result['stock_ms'][1]:,.1f} ms, {result['stock_mib']:,} MiB"
    measuring.show_table(title, header, rows)
    console.print(f"{BARE}: {result['ratio_without_smoothing_and_decay'][1]:.3f} of stock")
    if result["ratio_of_fused_batch_norm"] is not None:
        console.print(f"{FUSED}: {result['ratio_of_fused_batch_norm'][1]:.3f} of that")


def device() -> str | None:
    """Return the name of the first GPU, None if there is none."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0])["device_name"] if found else None


def main(_):
    if device() is None and not ON_CPU.value:
        raise app.UsageError(
            "gpu.py needs a GPU that TensorFlow sees; zoo.py measures on a CPU, --on_cpu tries this script"
        )
    if ONE.value:
        measuring.write_part(OUTPUT.value, measure(*CASES.value[0].split("/")))
        return
    options = [
        f"--{flag.name}={flag.value}" for flag in (ROUNDS, SECONDS, BASE_BATCH, ON_CPU) if flag.value is not None
    ]
    results = measuring.read_results(OUTPUT.value).get("results", [])
    for case in CASES.value:
        found = measuring.measure_apart(f"--cases={case}", "--one", *options)
        show(found)
        results = [done for done in results if done["case"] != case] + [found]
        measuring.write_results(OUTPUT.value, {"gpu": device(), "results": results})


if __name__ == "__main__":
    app.run(main)
