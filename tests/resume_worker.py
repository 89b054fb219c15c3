"""Trains with Resume and says what came out; test_resume.py and test_reliability.py kill it and start it again.

python resume_worker.py '{"directory": "run", "log": "log.jsonl", "kill": {"where": "step", "at": 17}}'

With TF_CONFIG it is one of several workers; `"worker": 1` in `kill` says which of them is killed. `slow` is a number of
seconds that the disk takes.
"""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf

REGIME = "16x16x2:0.5,24x12x1:0.25,32x8x1:0.25"
OPTIONS = {
    "epochs": 2,
    "every_steps": 3,
    "every_minutes": None,
    "keep": 3,
    "replicas": 1,
    "seed": 7,
    "regime": REGIME,
    "kill": None,
    "slow": 0.0,
}


def run_worker(directory, kill=None, **options):
    """Run this file in a process of its own; return its exit status and the JSON it printed, if it lived to."""
    options |= {"directory": str(directory / "run"), "log": str(directory / "log.jsonl"), "kill": kill}
    command = [sys.executable, "-W", "ignore", __file__, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    if done.returncode not in (0, -signal.SIGKILL, 128 + signal.SIGTERM, os.EX_IOERR):
        raise RuntimeError(done.stderr[-3000:])
    return done.returncode, json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def run_workers(count, directory, kill=None, launcher_flags=(), **options):
    """Do what `run_worker` does with so many workers of one machine; the JSON is a list, of each worker."""
    options |= {"directory": str(directory / "run"), "log": str(directory / "log.jsonl"), "kill": kill}
    command = [sys.executable, "-m", "keras_mixsize", "launch", f"--workers={count}", *launcher_flags, "--"]
    command += [sys.executable, "-W", "ignore", __file__, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    if done.returncode not in (0, 128 + signal.SIGKILL, 128 + signal.SIGTERM):
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
    last = {line[1]: line[4:] for line in done.stdout.splitlines() if line[:1] == "["}
    return done.returncode, [json.loads(last[str(i)]) for i in range(count)] if done.returncode == 0 else None


def logs_of(directory):
    """Return the logs of each epoch; one that was logged twice must be the same."""
    found = {}
    for line in (directory / "log.jsonl").read_text().splitlines():
        epoch, logs = json.loads(line)
        if found.setdefault(epoch, logs) != logs:
            raise ValueError(f"epoch {epoch} was logged as {found[epoch]} and as {logs}")
    return found


def network():
    """Return a small network with batch norm and with dropout in a layer of layers."""
    layers = keras.layers
    inner = keras.Sequential([layers.Dropout(0.2), layers.Conv2D(16, 3, padding="same"), layers.SpatialDropout2D(0.1)])
    inputs = keras.Input((None, None, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = inner(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def make_model(strategy):
    """Return the compiled model, whose learning rate changes in every step."""
    import keras_mixsize as kms

    keras.utils.set_random_seed(5)
    with strategy.scope():
        model = kms.MixSizeModel.from_model(network(), l2=1e-3)
        rate = keras.optimizers.schedules.CosineDecay(0.1, 60)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss, ["accuracy"])
    return model


def make_data(seed, regime=REGIME, epochs=None):
    """Return 200 embedded images under the regime or schedule that a text says."""
    import keras_mixsize as kms

    source = kms.sources.fashion_mnist("train")
    options = {"regime": kms.Schedule.parse(regime), "epochs": epochs, "seed": seed}
    return kms.MixSizeDataset.from_arrays(source.images[:200], source.labels[:200], **options)


def die(number=signal.SIGKILL):
    """Send this process a signal."""
    os.kill(os.getpid(), number)


def die_in(module, name, call):
    """Die instead of returning from the given call, counted from 1, of a module's function."""
    function, calls = getattr(module, name), []

    def wrapped(*args, **kwargs):
        calls.append(None)
        result = function(*args, **kwargs)
        if len(calls) == call:
            die()
        return result

    setattr(module, name, wrapped)


def slow_down(module, name, seconds):
    """Let a module's function take some seconds more."""
    function = getattr(module, name)

    def wrapped(*args, **kwargs):
        time.sleep(seconds)
        return function(*args, **kwargs)

    setattr(module, name, wrapped)


class Killer(keras.callbacks.Callback):
    """Ends the process when a step of the plan is about to run: at once, or some milliseconds later."""

    def __init__(self, where, at, delay=0.0):
        super().__init__()
        self.where, self.at, self.delay = where, at, delay

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.position != self.at:
            return
        if self.where == "moment":
            threading.Timer(self.delay, die).start()
        else:
            die(signal.SIGTERM if self.where == "sigterm" else signal.SIGKILL)


def plan_death(kill, worker=0):
    """Arrange for the death that is wished for, and return the callbacks that it takes."""
    from keras_mixsize.resuming import checkpoints
    from keras_mixsize.resuming import resume as callbacks

    kill = dict(kill or {})
    once = kill.pop("once", None)
    if not kill or kill.pop("worker", 0) != worker or (once and os.path.exists(once)):
        return []
    if once:
        pathlib.Path(once).touch()
    if kill["where"] == "assign":
        die_in(callbacks, "assign_copies", kill["at"])
    elif kill["where"] == "read":
        die_in(checkpoints, "_sum_of", kill["at"])
    elif kill["where"] == "write":
        die_in(checkpoints, "_flush", kill["at"])
    else:
        return [Killer(**kill)]
    return []


def sums(model):
    """Return a hash of each kind of state."""
    optimizer = {variable.path for variable in model.optimizer.variables}
    trained = {variable.path for variable in model.trainable_variables}
    found = {
        "weights": hashlib.sha256(),
        "optimizer": hashlib.sha256(),
        "seeds": hashlib.sha256(),
        "rest": hashlib.sha256(),
    }
    for variable in model.state_variables:
        path = variable.path
        kind = "weights" if path in trained else "optimizer" if path in optimizer else "rest"
        found["seeds" if "seed_generator" in path else kind].update(variable.numpy().tobytes())
    return {kind: value.hexdigest() for kind, value in found.items()}


def main():
    """Train as the options say, then print one line of JSON."""
    options = OPTIONS | json.loads(sys.argv[1])
    cpus = [tf.config.LogicalDeviceConfiguration()] * options["replicas"]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)
    tf.config.experimental.enable_op_determinism()
    import keras_mixsize as kms
    from keras_mixsize.resuming import checkpoints

    together = "TF_CONFIG" in os.environ
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if together else tf.distribute.get_strategy()
    worker = strategy.cluster_resolver.task_id if together else 0
    if options["replicas"] > 1:
        strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(options["replicas"])])
    model, train = make_model(strategy), make_data(*(options[name] for name in ("seed", "regime", "epochs")))
    names = ("every_steps", "every_minutes", "keep")
    resume = kms.callbacks.Resume(options["directory"], **{name: options[name] for name in names})
    with open(options["log"] + (f".{worker}" if worker else ""), "a") as log:

        def note(epoch, logs):
            print(json.dumps([epoch, logs]), file=log, flush=True)

        said = keras.callbacks.LambdaCallback(on_epoch_end=note)
        callbacks = [*plan_death(options["kill"], worker), said, resume]
        slow_down(checkpoints, "write", options["slow"])
        try:
            model.fit(train, epochs=options["epochs"], verbose=0, callbacks=callbacks)
        finally:
            pathlib.Path(f"{options['log']}.seen.{worker}").write_text(str(resume.last_checkpoint))
    print(
        json.dumps(
            {
                "position": model.position,
                "sums": sums(model),
                "weights": float(tf.linalg.global_norm(model.trainable_variables)),
            }
        )
    )


if __name__ == "__main__":
    main()
