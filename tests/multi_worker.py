"""One worker of a MultiWorkerMirroredStrategy, or a process alone; prints what it saw as JSON. Run by test_workers.py.

mixsize launch --workers=2 -- python multi_worker.py '{"devices": 1}'
"""

import hashlib
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

OPTIONS = json.loads(sys.argv[1])
tf.get_logger().setLevel("ERROR")
keras.config.set_floatx("float64")  # what differs by more than rounding is then no rounding of sums in another order
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * OPTIONS.get("devices", 1)
)
TOGETHER = "TF_CONFIG" in os.environ
STRATEGY = tf.distribute.MultiWorkerMirroredStrategy() if TOGETHER else tf.distribute.get_strategy()

import keras_mixsize as kms  # noqa: E402
from keras_mixsize.distribution.workers import Agreement, Workers  # noqa: E402

REGIME = kms.Regime.parse("16x24x2:0.5,24x12x1:0.25,32x12x1:0.25")
WORKERS = Workers(STRATEGY)


class Noting(kms.sources.ArraySource):
    """An array source that writes down which examples are read."""

    read = None

    def load(self, indices, *args):
        def note(indices):
            self.read.append(indices.copy())
            return indices

        noted = tf.numpy_function(note, [indices], indices.dtype)
        return super().load(tf.ensure_shape(noted, indices.shape), *args)


def make_data(regime=REGIME, seed=7):
    """Return 240 embedded images under a regime."""
    source = kms.sources.fashion_mnist("train")
    noting = Noting(source.images[:240], source.labels[:240])
    noting.read = []
    return kms.MixSizeDataset.from_source(noting, regime=regime, seed=seed, parallel_calls=1)


def make_model():
    """Return a small compiled model; its batch norm does not mind how a batch is split."""
    layers = keras.layers
    keras.utils.set_random_seed(5)
    with STRATEGY.scope():
        inputs = keras.Input((None, None, 1))
        x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
        x = layers.ReLU()(layers.BatchNormalization(synchronized=TOGETHER)(x))
        network = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
        model = kms.MixSizeModel.from_model(network, l2=1e-3)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"])
    return model


def error_of(call):
    """Return the kind and the message of the error that a call raises."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def meetings():
    """Return what the workers tell each other."""

    def fail():
        raise FileNotFoundError("no disk")

    long = np.arange(5_000 * (WORKERS.index + 1))
    agreement = Agreement(WORKERS)
    return {
        "gathered": [value[0] for value in WORKERS.gather((WORKERS.index, long))],
        "lengths": [len(value) for value in WORKERS.gather(long)],
        "shared": WORKERS.share(lambda: [WORKERS.index, "state"]),
        "failed": error_of(lambda: WORKERS.share(fail)),
        "agreed": agreement.any(0, WORKERS.index == 1, False),
        "asked_again_at_once": agreement.any(1, False, True),
    }


def validating():
    """Return a callback that validates at a size."""
    source = kms.sources.fashion_mnist("test")
    return kms.callbacks.ValidateSizes((source.images[:12], source.labels[:12]), [16])


def refusals(model):
    """Return the messages of what cannot be trained together."""
    return {
        "seed": error_of(lambda: model.fit(make_data(seed=WORKERS.index), verbose=0)),
        "regime": error_of(lambda: model.fit(make_data(kms.Regime.fixed(16, 12 * (WORKERS.index + 1))), verbose=0)),
        "epochs": error_of(lambda: model.fit(make_data(), epochs=2 + WORKERS.index, verbose=0)),
        "odd": error_of(lambda: model.fit(make_data(kms.Regime.fixed(16, 25)), verbose=0)),
        "sharded": error_of(lambda: model.fit(make_data().shard(2, 0), verbose=0)),
        "validate": error_of(lambda: model.fit(make_data(), verbose=0, callbacks=[validating()])),
        "endless": error_of(lambda: model.fit(make_data(), validation_data=make_data().at_size(16), verbose=0)),
    }


def trained_on_files(**options):
    """Return weights after some steps on PNG files; the step finishes their images, or with a map the input."""
    images = kms.sources.fashion_mnist("train")
    files = [tf.io.encode_png(image).numpy() for image in images.images[:72]]
    source, model = kms.sources.BytesSource(files, images.labels[:72], channels=1), make_model()
    train = kms.MixSizeDataset.from_source(source, regime=REGIME, **options)
    model.fit(train, epochs=1, verbose=0)
    return [weight.numpy().tolist() for weight in model.trainable_weights]


class Stop(keras.callbacks.Callback):
    """Ends the process when a step of the plan is about to run."""

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.position == OPTIONS["stop"]:
            raise SystemExit(0)


def go_on():
    """Train with Resume, perhaps only to a step, then print one line of JSON."""
    model = make_model()
    resume = kms.callbacks.Resume(OPTIONS["resume"], every_steps=4)
    stop = [Stop()] if "stop" in OPTIONS else []
    start = WORKERS.share(lambda: resume.last_checkpoint and resume.last_checkpoint.name)
    end = {"history": model.fit(make_data(), epochs=3, verbose=0, callbacks=[*stop, resume]).history}
    print(
        json.dumps(end | {"start": start, "weights": [weight.numpy().tolist() for weight in model.trainable_weights]})
    )


def main():
    """Train, then print one line of JSON."""
    if "resume" in OPTIONS:
        return go_on()
    model, train = make_model(), make_data()
    facts = {"worker": WORKERS.index, "workers": WORKERS.count}
    if TOGETHER:
        facts |= {"meetings": meetings(), "refusals": refusals(model)}
        model.warm_up(train)
    source = kms.sources.fashion_mnist("test")
    images, labels = source.images[:77].astype("float32") / 255, source.labels[:77]
    finite = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    history = model.fit(train, epochs=2, verbose=0, validation_data=finite).history
    read = np.concatenate(train.source.read)
    more = model.fit(
        train, epochs=3, initial_epoch=2, verbose=0, validation_data=train.at_size(28, 24), validation_steps=2
    )
    steps = range(2 * train.steps_per_epoch)
    facts |= {
        "history": history,
        "resumed_history": more.history,
        "evaluated": model.evaluate(train.at_size(32, 24), steps=3, verbose=0),
        "images": float(keras.ops.convert_to_numpy(model.metrics[0].count)),
        "read": read.tolist(),
        "planned": np.concatenate([train.plan.at(step).indices for step in steps]).tolist(),
        "batches": [train.plan.at(step).bucket.batch for step in steps],
        "traces": model.trace_count,
        "on_files": trained_on_files(),
        "on_finished_files": trained_on_files(image_map=lambda image, seed: image),
        "norm": float(model.smoothing_state.norm),
        "weights": [weight.numpy().tolist() for weight in model.trainable_weights],
        "sum": hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in model.weights)).hexdigest(),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
