"""Lists what a training step spends its time on, by kind of operation, with Keras's batch norm and with the fused one.

    python benchmarks/step_operations.py --output=docs/benchmarks/step_operations.json

TensorFlow's profiler notes when each operation of a step ran; times of all threads are added up, so they are shares of
work and not of waiting. `operations` are how many ran in a step, which is what a GPU has to be told of.
"""

import collections
import pathlib
import tempfile

import measuring
import tensorflow as tf
from absl import app, flags
from step_contenders import compiled, milliseconds

import keras_mixsize as kms

SHAPES = ["resnet44/24/16", "efficientnet_b0/64/4", "wrn28_10/16/2"]
CASES = flags.DEFINE_list("cases", SHAPES, "Network, size in pixels, images in a step.")
STEPS = flags.DEFINE_integer("steps", 3, "Steps that are looked at.", lower_bound=1)
ONE = flags.DEFINE_boolean("one", False, "Measure the one case in this process.")
FUSED = flags.DEFINE_boolean("fused", False, "With the fused batch norm; set by the script itself.")
OUTPUT = flags.DEFINE_string("output", "runs/step_operations.json", "File for the figures.")
PRODUCTS = ("Conv", "MatMul", "Einsum")  # what a step is for


def measure(case: str) -> dict:
    """Return a step's number of operations, and each kind's share of their time."""
    network, size, batch = case.split("/")
    network = kms.models.build(network, classes=10, channels=3)
    model = compiled(kms.MixSizeModel.from_model(network, l2=1e-4, fused_batch_norm=FUSED.value), rate=1e-4)
    images = tf.random.stateless_uniform([int(batch), int(size), int(size), 3], (1, 0))
    batches = iter(tf.data.Dataset.from_tensors((images, tf.range(int(batch), dtype=tf.int64) % 10)).repeat())
    model.make_train_function()
    milliseconds(model, batches, 2)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        milliseconds(model, batches, STEPS.value)
        tf.profiler.experimental.stop()
        counts, times = operations_in(next(pathlib.Path(folder).rglob("*.xplane.pb")))
    total = sum(times.values())
    shares = {kind: round(time / total, 4) for kind, time in times.most_common()}
    products = sum(share for kind, share in shares.items() if any(name in kind for name in PRODUCTS))
    return {
        "case": case,
        "fused_batch_norm": FUSED.value,
        "operations": round(sum(counts.values()) / STEPS.value),
        "share_of_products": round(products, 3),
        "shares": {kind: share for kind, share in shares.items() if share >= 0.005},
    }


def operations_in(file: pathlib.Path) -> tuple[collections.Counter, collections.Counter]:
    """Return how often each kind of operation ran and its picoseconds, of a file of the profiler's."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    counts, times = collections.Counter(), collections.Counter()
    for plane in xplane_pb2.XSpace.FromString(file.read_bytes()).planes:
        for line in plane.lines:
            for event in line.events:
                kind = plane.event_metadata[event.metadata_id].display_name  # of operations only
                if kind:
                    kind = kind.removeprefix("_MklNative").removeprefix("_Mkl")
                    counts[kind] += 1
                    times[kind] += event.duration_ps
    return counts, times


def main(_):
    if ONE.value:
        measuring.write_part(OUTPUT.value, measure(CASES.value[0]))
        return
    results = measuring.read_results(OUTPUT.value).get("results", [])
    for case in CASES.value:
        for fused in (False, True):
            found = measuring.measure_apart(f"--cases={case}", "--one", f"--fused={fused}", f"--steps={STEPS.value}")
            kinds = [f"{kind} {100 * share:.1f} %" for kind, share in found["shares"].items()]
            text = f"{found['operations']} operations a step, {100 * found['share_of_products']:.0f} % products"
            measuring.console.print(f"{case}, fused {fused}: {text}; {', '.join(kinds[:14])}")
            kept = [done for done in results if (done["case"], done["fused_batch_norm"]) != (case, fused)]
            results = [*kept, found]
            measuring.write_results(OUTPUT.value, {"results": results})


if __name__ == "__main__":
    app.run(main)
