"""Times the first step of every bucket in processes of their own: plain, compiled by XLA, and with XLA's programs kept.

    python benchmarks/first_steps.py --output=docs/benchmarks/first_steps.json

In each round a process without XLA, one that compiles into an empty cache and one that finds it filled follow one
another. A first step is tracing, which Python does, and the rest: optimising or compiling the graph, and a step.
"""

import pathlib
import tempfile
import time

import measuring
from absl import app, flags
from measuring import Spread, ratios

from keras_mixsize import xla_cache

MODEL = flags.DEFINE_string("model", "resnet8", "Network, for images of one channel and ten classes.")
REGIME = flags.DEFINE_string("regime", "small/d+", "Preset whose buckets are stepped through.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Processes of each kind.", lower_bound=1)
ONE = flags.DEFINE_enum("one", None, ["plain", "xla"], "Measure one process; set by the script itself.")
CACHE = flags.DEFINE_string("cache", None, "Folder of XLA's programs; set by the script itself.")
OUTPUT = flags.DEFINE_string("output", "runs/first_steps.json", "File for the figures.")
PARTS = ("tracing", "rest", "all")


def measure_process() -> dict[str, float | list]:
    """Return the seconds of the first steps of all buckets of this process, and the losses that they gave."""
    folder = xla_cache.use(CACHE.value) if CACHE.value else None
    import keras  # not before the cache is set
    import tensorflow as tf
    from step_contenders import mixed

    import keras_mixsize as kms

    regime = kms.Regime.preset(REGIME.value)
    keras.utils.set_random_seed(0)
    model = mixed(MODEL.value)
    model.compile(model.optimizer, model.loss, ["accuracy"], jit_compile=ONE.value == "xla")
    model.build_steps(regime.sizes, (tf.TensorSpec([None, None, None, 1]), tf.TensorSpec([None], tf.int64)))
    found = {"tracing": 0.0, "rest": 0.0, "losses": []}
    for bucket in sorted(set(regime.buckets), key=lambda bucket: -bucket.cost):
        images = tf.random.stateless_uniform([bucket.images, bucket.size, bucket.size, 1], (bucket.size, 0))
        batch = images, tf.range(bucket.images, dtype=tf.int64) % 10
        start = time.perf_counter()
        model._traced_step.function_for(batch).get_concrete_function(batch)
        traced = time.perf_counter()
        logs = model.one_step(iter([batch]))
        found["losses"].append(float(logs["loss"]))
        found["tracing"] += traced - start
        found["rest"] += time.perf_counter() - traced
    if folder is not None:
        found["programs"] = xla_cache.seal(folder)
    return found | {"all": found["tracing"] + found["rest"]}


def measure_round(number: int) -> dict[str, dict]:
    """Return what the processes of a round measured."""
    options = [f"--model={MODEL.value}", f"--regime={REGIME.value}"]
    with tempfile.TemporaryDirectory() as folder:
        kept = [*options, "--one=xla", f"--cache={pathlib.Path(folder, 'programs')}"]
        turn = {
            "plain": measuring.measure_apart(*options, "--one=plain"),
            "cold": measuring.measure_apart(*kept),
            "cached": measuring.measure_apart(*kept),
        }
    if turn["cold"]["losses"] != turn["cached"]["losses"]:
        raise SystemExit(f"a cached program gave other losses: {turn['cold']['losses']}, {turn['cached']['losses']}")
    measuring.say_turn(number, {name: found["all"] for name, found in turn.items()})
    return turn


def main(_):
    if ONE.value:
        measuring.write_part(OUTPUT.value, measure_process())
        return
    turns = [measure_round(number) for number in range(ROUNDS.value)]
    seconds = {
        name: {part: [turn[name][part] for turn in turns] for part in PARTS} for name in ("plain", "cold", "cached")
    }
    facts = {
        "model": MODEL.value,
        "regime": REGIME.value,
        "rounds": ROUNDS.value,
        "seconds": {name: {part: Spread.extremes(s) for part, s in parts.items()} for name, parts in seconds.items()},
        "tracing_share": {name: ratios(parts["tracing"], parts["all"]) for name, parts in seconds.items()},
        "ratio_cached_to_cold": ratios(seconds["cached"]["all"], seconds["cold"]["all"]),
    }
    for name, parts in facts["seconds"].items():
        measuring.show_spreads(f"{name}: seconds", parts, digits=1)
    measuring.show_spreads("share of tracing", facts["tracing_share"])
    measuring.show_spreads("first steps of all buckets", {"cached to cold": facts["ratio_cached_to_cold"]})
    measuring.write_results(OUTPUT.value, facts)


if __name__ == "__main__":
    app.run(main)
