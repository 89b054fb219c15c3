"""Trains under MirroredStrategy on logical CPUs and prints what it measured as JSON; run by test_replicas.py.

python mirrored_worker.py 2        # the number of devices
"""

import contextlib
import functools
import json
import os
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

REPLICAS = int(sys.argv[1])
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * REPLICAS
)

import keras_mixsize as kms  # noqa: E402
from keras_mixsize.distribution import replicas  # noqa: E402

REGIME = kms.Regime.parse("16x16x2:0.5,24x12x1:0.5")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SINGLE = tf.distribute.get_strategy()
STRATEGY = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(REPLICAS)])
RATE, MOMENTUM, L2 = 0.1, 0.9, 1e-3
STEPS = 12  # of an epoch; both buckets are among them


def network(synchronized):
    """Return a small network; with synchronised batch norm it does not matter how a batch is split."""
    layers = keras.layers
    keras.utils.set_random_seed(5)
    inputs = keras.Input((None, None, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(synchronized=synchronized)(x))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def make_model(strategy=STRATEGY, synchronized=True, **compile_options):
    """Return a compiled model made in the strategy's scope."""
    with strategy.scope():
        model = kms.MixSizeModel.from_model(network(synchronized), l2=L2)
        model.compile(keras.optimizers.SGD(RATE, momentum=MOMENTUM), LOSS, ["accuracy"], **compile_options)
    return model


@functools.cache
def data(regime=REGIME):
    """Return 300 embedded images under a regime; the same dataset again, whose input is traced already."""
    source = kms.sources.fashion_mnist("train")
    return kms.MixSizeDataset.from_arrays(source.images[:300], source.labels[:300], regime=regime, seed=7)


def files(**options):
    """Return the same images as PNG files, whose batches the step finishes; a map has them finished by the input."""
    images, labels = (data().source.images, data().source.labels)
    source = kms.sources.BytesSource([tf.io.encode_png(image).numpy() for image in images], labels, channels=1)
    return kms.MixSizeDataset.from_source(source, regime=REGIME, seed=7, **options)


def arrays(variables):
    """Return the values of variables."""
    return [variable.numpy() for variable in variables]


def difference(first, second):
    """Return the largest difference between two lists of arrays."""
    return float(max(np.abs(a - b).max() for a, b in zip(first, second, strict=True)))


def relative_difference(first, second):
    """Return how long the difference of two lists of arrays is, beside the second's length."""
    apart, whole = (
        sum(float(np.sum(np.square(a, dtype=np.float64))) for a in arrays)
        for arrays in ([a - b for a, b in zip(first, second, strict=True)], second)
    )
    return (apart / whole) ** 0.5


class Notes(keras.callbacks.Callback):
    """Notes what each step left: weights, the gradients that the optimizer got, each replica's statistics."""

    def on_train_begin(self, logs=None):
        self.steps = []
        self._optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        self._velocities = arrays(self._optimizer.momentums)

    def on_train_batch_end(self, batch, logs=None):
        before, self._velocities = self._velocities, arrays(self._optimizer.momentums)
        gradients = [(MOMENTUM * old - new) / RATE for old, new in zip(before, self._velocities)]
        locally = self.model.distribute_strategy.experimental_local_results
        copies = [arrays(locally(variable.value)) for variable in self.model.network.non_trainable_variables]
        self.steps.append((arrays(self.model.trainable_variables), gradients, [*zip(*copies)]))


def emulate(parts, train=None):
    """Train for `STEPS` as `make_model` does, in plain TensorFlow on one device, each part of a batch with its own
    batch norm.

    Returns:
        What `Notes` notes, with a copy of the statistics for each part.
    """
    model = network(False)
    weights, moving = model.trainable_variables, model.non_trainable_variables
    copies, velocities, running, noted = [arrays(moving)] * parts, [np.zeros_like(w) for w in arrays(weights)], None, []
    for images, labels in (train or data()).take(STEPS):
        total, rows = None, len(labels) // parts
        for part in range(parts):
            for variable, value in zip(moving, copies[part]):
                variable.assign(value)
            own = slice(part * rows, (part + 1) * rows)
            with tf.GradientTape() as tape:
                logits = model(images[own], training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[own], logits)
                loss = tf.reduce_sum(losses) / len(labels)
            gradients = [gradient.numpy() for gradient in tape.gradient(loss, weights)]
            total = gradients if total is None else [a + b for a, b in zip(total, gradients)]
            copies = [*copies[:part], arrays(moving), *copies[part + 1 :]]
        norm = float(np.sqrt(sum(np.sum(np.square(g)) for g in total)))
        running = norm if running is None else 0.9 * running + 0.1 * norm
        decay = [L2 * w if w.ndim > 1 else 0.0 for w in arrays(weights)]
        taken = [g * running / (norm + 1e-6) + d for g, d in zip(total, decay)]
        velocities = [MOMENTUM * velocity - RATE * g for velocity, g in zip(velocities, taken)]
        for weight, velocity in zip(weights, velocities):
            weight.assign_add(velocity)
        noted.append((arrays(weights), taken, [tuple(copy) for copy in copies]))
    return noted


def compare(noted, expected):
    """Return how far the steps of each bucket are from what is expected."""
    found = {str(bucket.size): {"weights": 0.0, "gradients": 0.0, "statistics": 0.0} for bucket in REGIME.buckets}
    plan = data().plan
    for step, (here, there) in enumerate(zip(noted, expected, strict=True)):
        facts = found[str(plan.at(step).bucket.size)]
        copies = zip(here[2], there[2] * (len(here[2]) // len(there[2])), strict=True)
        differences = {
            "weights": difference(here[0], there[0]),
            "gradients": relative_difference(here[1], there[1]),
            "statistics": max(difference(*pair) for pair in copies),
        }
        for name, value in differences.items():
            facts[name] = max(facts[name], value)
    return found


def noted_run(model, train=None):
    """Train for an epoch and return what each step left."""
    notes = Notes()
    model.fit(train or data(), epochs=1, steps_per_epoch=STEPS, verbose=0, callbacks=[notes])
    return notes.steps


def collectives(model):
    """Return how many collective operations a replica takes part in during a step of each bucket, branches included."""
    counts = {}
    for bucket in REGIME.buckets:
        images, labels = np.zeros((bucket.images, bucket.size, bucket.size, 1), "float32"), np.zeros(bucket.images, int)
        batch = tf.data.Dataset.from_tensors((images, labels))
        batch = next(iter(STRATEGY.experimental_distribute_dataset(batch)))
        graph = model._traced_step.function_for(batch).get_concrete_function(batch).graph.as_graph_def()
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        counts[str(bucket.size)] = sum(node.op.startswith("Collective") for node in nodes) / REPLICAS
    return counts


def mixed_difference(policy):
    """Return how far the first gradients in 16 bits on all replicas are from those on one device."""
    keras.config.set_dtype_policy(policy)
    regime, gradients = kms.Regime.fixed(16, 16, duplicates=2), []
    for strategy in (STRATEGY, SINGLE):
        model, notes = make_model(strategy, synchronized=strategy is STRATEGY), Notes()
        model.fit(data(regime), epochs=1, steps_per_epoch=1, verbose=0, callbacks=[notes])
        scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scales == (policy == "mixed_float16") and int(model._step.skipped.in_epoch.numpy()) == 0
        gradients.append(notes.steps[0][1])
    keras.config.set_dtype_policy("float32")
    return relative_difference(*gradients)


def error_of(call):
    """Return the message of the ValueError that a call raises."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return "no error"


def plain_fit():
    """Fit a plain Keras model without saying how long an epoch is."""
    with STRATEGY.scope():
        model = network(False)
        model.compile("sgd", LOSS)
    model.fit(data(), verbose=0, shuffle=False)


def copies(model):
    """Return every replica's copy of every weight and metric that a skipped step must leave alone."""
    kept = [
        variable for variable in model.state_variables if not variable.path.endswith(("position", "scale", "counter"))
    ]
    kept = kept[: -len(model._step.skipped.variables)]
    return [copy for copies in replicas.read_copies(STRATEGY, kept) for copy in copies]


def nan_changed(model):
    """Return how far a step changes the model on images of which the second replica's are not numbers."""
    model.build_steps(REGIME.sizes, data().element_spec)
    before = copies(model)
    images, labels = np.zeros((32, 16, 16, 1), "float32"), np.zeros(32, np.int64)
    images[16:] = np.nan
    broken = STRATEGY.experimental_distribute_dataset(tf.data.Dataset.from_tensors((images, labels)))
    model.train_function(iter(broken))
    assert int(model._step.skipped.in_a_row.numpy()) == 1
    return difference(before, copies(model))


def scaled_model():
    """Return a model whose optimizer scales its loss."""
    with STRATEGY.scope():
        model = kms.MixSizeModel.from_model(network(False))
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, momentum=0.9), initial_scale=8.0)
        model.compile(optimizer, LOSS, ["accuracy"])
    return model


class Stop(keras.callbacks.Callback):
    """Ends a training when a step of the plan is about to run.

    Args:
        position: of that step.
    """

    def __init__(self, position):
        super().__init__()
        self._position = position

    def on_train_batch_begin(self, batch, logs=None):
        """Raise at the step."""
        if self.model.position == self._position:
            raise StopIteration("stopped")


def elastic_difference(whole, models):
    """Return how far a run ends that goes on from model to model, under other strategies, from one without a stop."""
    options = {"epochs": 1, "steps_per_epoch": STEPS, "verbose": 0}
    with tempfile.TemporaryDirectory() as directory:
        resume = kms.callbacks.Resume(directory, every_steps=3)
        for model, position in zip(models, (5, 10, None), strict=True):
            with contextlib.suppress(StopIteration):
                left = model.fit(data(), **options, callbacks=[Stop(position), resume]).history
            assert position in (None, model.position)
    end = models[-1]
    logs = [float(keras.ops.convert_to_numpy(model.metrics[0].result())) for model in (whole, end)]
    images = [float(keras.ops.convert_to_numpy(model.metrics[0].count)) for model in (whole, end)]
    assert end.position == whole.position and images[0] == images[1] and left["loss"]
    return max(difference(*(arrays(model.trainable_variables) for model in (whole, end))), abs(logs[0] - logs[1]))


def xla_facts():
    """Return how far steps whose forward and backward XLA compiled are from those that it did not."""
    plain, compiled = make_model(synchronized=False), make_model(synchronized=False, jit_compile=True)
    steps = compare(*(noted_run(model) for model in (compiled, plain)))
    traces = compiled.trace_count
    return {"steps": steps, "traces": traces, "collectives": collectives(compiled), "nan": nan_changed(compiled)}


def main():
    """Measure, then print one line of JSON."""
    if sys.argv[2:] == ["xla"]:
        print(json.dumps(xla_facts()))
        return
    separate, synchronised, single = make_model(synchronized=False), make_model(), make_model(SINGLE, False)
    separate.warm_up(REGIME)
    facts = {"traces_after_warm_up": separate.trace_count}
    expected, train = noted_run(single), data()
    facts["synchronised"] = compare(noted_run(synchronised), expected)
    facts["separate"] = compare(noted_run(separate), emulate(REPLICAS))
    before = copies(separate)
    separate.warm_up(REGIME)
    facts["warm_up_changed"] = difference(before, copies(separate))
    finished = files(image_map=lambda image, seed: image)
    facts["files"] = compare(noted_run(make_model(synchronized=False), files()), emulate(REPLICAS, finished))
    facts["emulation_of_one"] = compare(emulate(1), expected)
    norms = [float(model.smoothing_state.norm) for model in (synchronised, single)]
    facts["norm_difference"] = abs(norms[0] - norms[1]) / norms[1]
    history = separate.fit(train, epochs=1, steps_per_epoch=STEPS, verbose=0).history
    facts |= {"traces": separate.trace_count, "buckets": len(REGIME.buckets), "history": sorted(history)}
    steps = range(STEPS, 2 * STEPS)
    facts["planned_images"] = sum(train.plan.at(step).bucket.images for step in steps)
    facts["metric_images"] = float(keras.ops.convert_to_numpy(separate.metrics[0].count))
    facts["collectives"] = {"separate": collectives(separate), "synchronised": collectives(synchronised)}
    facts["mixed"] = {policy: mixed_difference(policy) for policy in ("mixed_bfloat16", "mixed_float16")}
    facts["nan_changed"] = [nan_changed(separate), nan_changed(scaled_model())]
    facts["elastic"] = elastic_difference(single, (make_model(SINGLE, False), make_model(), make_model(SINGLE, False)))
    facts["errors"] = {
        "odd_batch": error_of(lambda: separate.fit(data(kms.Regime.fixed(16, 15)), verbose=0)),
        "steps_per_execution": error_of(lambda: make_model(steps_per_execution=4)),
        "jit_compile": error_of(lambda: make_model(jit_compile=True)),
        "plain_fit": error_of(plain_fit),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
