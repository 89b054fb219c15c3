"""Trains under MirroredStrategy on two logical CPUs and prints what it measured as JSON; run by test_replicas.py."""

import contextlib
import json
import os
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

import keras_mixsize as kms  # noqa: E402
from keras_mixsize import replicas  # noqa: E402

REGIME = kms.Regime.parse("16x16x2:0.5,24x12x1:0.25,32x8x1:0.25")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SINGLE = tf.distribute.get_strategy()
STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


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
        model = kms.MixSizeModel.from_model(network(synchronized), l2=1e-3)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), LOSS, ["accuracy"], **compile_options)
    return model


def data(regime=REGIME):
    """Return 300 embedded images under a regime."""
    source = kms.sources.fashion_mnist("train")
    return kms.MixSizeDataset.from_arrays(source.images[:300], source.labels[:300], regime=regime, seed=7)


def weights(model):
    """Return the trainable weights as arrays."""
    return [weight.numpy() for weight in model.trainable_weights]


def difference(first, second):
    """Return the largest difference between two lists of arrays."""
    return float(max(np.abs(a - b).max() for a, b in zip(first, second)))


def bucket_difference(bucket):
    """Return how far three steps of one bucket on two replicas are from the same steps on one device."""
    regime = kms.Regime((kms.Bucket(bucket.size, bucket.batch, bucket.duplicates),))
    two, one = make_model(), make_model(tf.distribute.get_strategy(), synchronized=False)
    for model in (two, one):
        model.fit(data(regime), epochs=1, steps_per_epoch=3, verbose=0)
    norms = [float(model.smoothing_state.norm) for model in (two, one)]
    return difference(weights(two), weights(one)), abs(norms[0] - norms[1]) / norms[1]


def gradient_sums():
    """Return how many collective operations each replica takes part in during one step, branches included."""
    model = make_model(synchronized=False)
    batches = iter(STRATEGY.experimental_distribute_dataset(data().take(1)))
    model.build_steps(REGIME.sizes, data().element_spec)
    batch = next(batches)
    graph = model._traced_step.function_for(batch).get_concrete_function(batch).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return sum(node.op.startswith("Collective") for node in nodes) / STRATEGY.num_replicas_in_sync


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
    kept = kept[: -len(model._skipped.variables)]
    return [copy for copies in replicas.read_copies(STRATEGY, kept) for copy in copies]


def nan_changed(model):
    """Return how far a step changes the model on images of which the second replica's are not numbers."""
    model.build_steps(REGIME.sizes, data().element_spec)
    before = copies(model)
    images, labels = np.zeros((32, 16, 16, 1), "float32"), np.zeros(32, np.int64)
    images[16:] = np.nan
    broken = STRATEGY.experimental_distribute_dataset(tf.data.Dataset.from_tensors((images, labels)))
    model.train_function(iter(broken))
    assert int(model._skipped.in_a_row.numpy()) == 1
    return difference(before, copies(model))


def scaled_model():
    """Return a model whose optimizer scales its loss."""
    with STRATEGY.scope():
        model = kms.MixSizeModel.from_model(network(False))
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, momentum=0.9), initial_scale=8.0)
        model.compile(optimizer, LOSS, ["accuracy"])
    return model


class Stop(keras.callbacks.Callback):
    """Ends a training when a step of the plan is about to run."""

    def on_train_batch_begin(self, batch, logs=None):
        """Raise at the tenth step."""
        if self.model.position == 10:
            raise StopIteration("stopped")


def elastic_difference(first, second):
    """Return how far a run that is resumed under another strategy ends from one under a single device."""
    whole = make_model(SINGLE, synchronized=False)
    whole.fit(data(), epochs=1, verbose=0)
    with tempfile.TemporaryDirectory() as directory:
        resume = kms.callbacks.Resume(directory, every_steps=4)
        start, end = (make_model(strategy, synchronized=strategy is not SINGLE) for strategy in (first, second))
        with contextlib.suppress(StopIteration):
            start.fit(data(), epochs=1, verbose=0, callbacks=[Stop(), resume])
        left = end.fit(data(), epochs=1, verbose=0, callbacks=[resume]).history
    logs = [float(keras.ops.convert_to_numpy(model._loss_tracker.result())) for model in (whole, end)]
    images = [float(keras.ops.convert_to_numpy(model._loss_tracker.count)) for model in (whole, end)]
    assert start.position == 10 and end.position == whole.position and images[0] == images[1] and left["loss"]
    return max(difference(weights(whole), weights(end)), abs(logs[0] - logs[1]))


def main():
    """Measure, then print one line of JSON."""
    model = make_model(synchronized=False)
    train = data()
    before = weights(model)
    model.warm_up(REGIME)
    facts = {"traces_after_warm_up": model.trace_count, "warm_up_changed": difference(before, weights(model))}
    history = model.fit(train, epochs=2, verbose=0).history
    facts |= {"traces": model.trace_count, "buckets": len(REGIME.buckets), "history": sorted(history)}
    steps = range(train.steps_per_epoch, 2 * train.steps_per_epoch)
    facts["planned_images"] = sum(train.plan.at(step).bucket.images for step in steps)
    facts["metric_images"] = float(keras.ops.convert_to_numpy(model._loss_tracker.count))
    differences = {str(bucket.size): bucket_difference(bucket) for bucket in REGIME.buckets}
    facts["weight_difference"] = {size: pair[0] for size, pair in differences.items()}
    facts["norm_difference"] = max(pair[1] for pair in differences.values())
    facts["gradient_sums"] = gradient_sums()
    facts["nan_changed"] = [nan_changed(model), nan_changed(scaled_model())]
    facts["elastic"] = [elastic_difference(*pair) for pair in ((SINGLE, STRATEGY), (STRATEGY, SINGLE))]
    facts["errors"] = {
        "odd_batch": error_of(lambda: model.fit(data(kms.Regime.fixed(16, 15)), verbose=0)),
        "steps_per_execution": error_of(lambda: make_model(steps_per_execution=4)),
        "jit_compile": error_of(lambda: make_model(jit_compile=True)),
        "plain_fit": error_of(plain_fit),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
