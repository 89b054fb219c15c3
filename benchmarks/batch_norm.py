"""Times training steps with the fused batch norm and with Keras's, per network and precision, in turns.

    python benchmarks/batch_norm.py --output=docs/benchmarks/batch_norm.json
    python benchmarks/batch_norm.py --cases=resnet44/float32/24/16 --rounds=9

A case is network, Keras's dtype policy, size in pixels and images in a step; each has a process of its own, and results
of other cases that the file holds already stay in it.
"""

import keras
import measuring
import tensorflow as tf
from absl import app, flags
from measuring import Spread, alternate, ratios
from step_contenders import compiled, milliseconds

import keras_mixsize as kms

SHAPES = ("resnet44/{}/24/16", "efficientnet_b0/{}/64/4", "wrn28_10/{}/16/2")
ALL = [shape.format(policy) for policy in ("float32", "mixed_bfloat16") for shape in SHAPES]
CASES = flags.DEFINE_list("cases", ALL, "Network, dtype policy, size in pixels, images in a step.")
STEPS = flags.DEFINE_integer("steps", 3, "Steps of a turn.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns of each measurement.", lower_bound=3)
ONE = flags.DEFINE_boolean("one", False, "Measure the one case in this process.")
OUTPUT = flags.DEFINE_string("output", "runs/batch_norm.json", "File for the figures.")


def contender(network: str, size: int, batch: int, fused: bool):
    """Return the function that takes a turn of steps and returns what one took."""
    keras.utils.set_random_seed(0)
    network = kms.models.build(network, classes=10, channels=3)
    model = compiled(kms.MixSizeModel.from_model(network, fused_batch_norm=fused), rate=1e-4)
    images = tf.random.stateless_uniform([batch, size, size, 3], (1, 0))
    batches = iter(tf.data.Dataset.from_tensors((images, tf.range(batch, dtype=tf.int64) % 10)).repeat())
    model.make_train_function()
    return lambda: milliseconds(model, batches, STEPS.value)


def measure(case: str) -> dict:
    """Return the figures of a case."""
    network, policy, size, batch = case.split("/")
    keras.config.set_dtype_policy(policy)
    steps = {name: contender(network, int(size), int(batch), name == "fused") for name in ("keras", "fused")}
    turns = alternate(steps, ROUNDS.value, warm_up=2, seed=0)
    found = {"case": case, "rounds": ROUNDS.value, "steps": STEPS.value}
    for clock in ("wall", "cpu"):
        taken = {name: [getattr(turn, clock) for turn in values] for name, values in turns.items()}
        found[f"{clock}_ms"] = {name: Spread.quartiles(values) for name, values in taken.items()}
        found[f"{clock}_ratio"] = ratios(taken["fused"], taken["keras"])
    return found


def main(_):
    if ONE.value:
        measuring.write_part(OUTPUT.value, measure(CASES.value[0]))
        return
    results = measuring.read_results(OUTPUT.value).get("results", [])
    for case in CASES.value:
        found = measuring.measure_apart(
            f"--cases={case}", "--one", f"--steps={STEPS.value}", f"--rounds={ROUNDS.value}"
        )
        measuring.console.print(f"{case}: fused to Keras's, CPU {Spread(*found['cpu_ratio'])}, ", end="")
        measuring.console.print(f"wall {Spread(*found['wall_ratio'])}")
        results = [done for done in results if done["case"] != case] + [found]
        measuring.write_results(OUTPUT.value, {"results": results})


if __name__ == "__main__":
    app.run(main)
