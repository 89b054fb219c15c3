"""What Keras and TensorFlow do not promise: the only file that touches it, one small function for each use.

Each says which public way was looked for in Keras 3.15.1 and TensorFlow 2.21, and raises a RuntimeError, at its first
use and not at the import, where the thing is missing or behaves otherwise. `tests/test_internals.py` holds the good
case and the guard of each. Knows nothing of the package; used by every room that trains, reads or keeps a Keras model.

    for layer in layers_of(model): ...                  # nested ones too
    aggregate_beforehand(optimizer); apply_aggregated(optimizer, gradients, weights)
    with batch_statistics(layers): model(images)
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

RUN_WITH = "keras 3.15.0 or 3.15.1 and tensorflow 2.21"  # requirements.txt says the same


def _unsupported(what: str, need: str) -> RuntimeError:
    return RuntimeError(
        f"keras {keras.__version__} with tensorflow {tf.__version__} {what}, which keras_mixsize needs to {need}; "
        f"use versions that it was run with: pip install the {RUN_WITH} of its requirements.txt"
    )


def _check_has(owner, name: str, need: str) -> None:
    """Raise a RuntimeError unless a class or object has an attribute of this name."""
    if name not in dir(owner):
        kind = owner if isinstance(owner, type) else type(owner)
        raise _unsupported(f"has no {kind.__name__}.{name}", need)


# Layers


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    """Return all layers of a model, nested ones included, in Keras's order.

    Public: `model.layers`, which has no layers that are parts of a layer other than a model, such as a block of one's
    own.

    Raises:
        RuntimeError: Keras lists them no more, or leaves some out.
    """
    need = "find every layer of a network"
    _check_has(model, "_flatten_layers", need)
    layers = model._flatten_layers(include_self=False)
    known = {id(layer) for layer in layers}
    if any(id(layer) not in known for layer in model.layers):
        raise _unsupported("leaves layers out of Layer._flatten_layers", need)
    return layers


@contextlib.contextmanager
def replaced_calls(layers: Sequence[keras.layers.Layer], replacement: Callable) -> Iterator[None]:
    """Let layers compute by other functions within a `with` block.

    Public: a subclass, which files would then name, and layers that are there already are not of.

    Args:
        layers: built ones.
        replacement: function of a layer and its `call` that returns what is called instead.
    """
    try:
        for layer in layers:
            layer.call = replacement(layer, layer.call)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("call", None)  # the class's own comes back


@contextlib.contextmanager
def batch_statistics(layers: Sequence[keras.layers.BatchNormalization]) -> Iterator[None]:
    """Let BatchNormalization layers normalise with batch statistics, and store them, whatever `training` says.

    Public: `model(images, training=True)`, which turns on dropout and stochastic depth as well. So `call` of each layer
    is replaced, which works as long as Keras looks it up in the layer at each call.

    Raises:
        RuntimeError: at the end of the block, if Keras called none of the layers that way.
    """
    calls, momenta = [], [layer.momentum for layer in layers]

    def replacement(layer, call):
        def call_in_training(inputs, training=None, mask=None):
            calls.append(layer)
            return call(inputs, training=True, mask=mask)

        return call_in_training

    try:
        for layer in layers:
            layer.momentum = 0.0
        with replaced_calls(layers, replacement):
            yield
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
    if layers and not calls:
        raise _unsupported("does not call a layer's own `call`", "calibrate batch norm without dropout")


# What compile makes


class PreparedModel(keras.Model):
    """A Keras model whose every variable is made from a description of its batches, before any batch is read."""

    prepared = False  # whether `prepare` has run since `compile`

    def prepare(self, spec) -> None:
        """Create the variables of network, loss, metrics and optimizer, so that no step has to.

        Public: `test_on_batch` on zeros, which runs the network and under a strategy wants a batch for each replica.

        Args:
            spec: what a batch is, of tf.TensorSpec.

        Raises:
            RuntimeError: Keras has no such way, or leaves something for the first step to make.
        """
        need = "make all variables of a model before its first step"
        for name in ("_symbolic_build", "_maybe_symbolic_build"):  # the second one is overridden below
            _check_has(keras.Model, name, need)
        self._symbolic_build(data_batch=spec)
        if self._compile_metrics is not None and not self._compile_metrics.built:
            raise _unsupported("leaves metrics unbuilt in Model._symbolic_build", need)
        self.prepared = True

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Under a strategy Keras would read a batch of the running iterator and average it over replicas, which needs
        # equal shapes; with everything made there is nothing left to do. No public way: `fit` calls it in any case.
        if not self.prepared:
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)


def compiled_metrics(model: keras.Model) -> keras.metrics.Metric | None:
    """Return the metrics that `compile` was given as one, whose result is a dictionary by name; None if there are none.

    Public: it is one of `model.metrics`, of an unnamed kind.

    Raises:
        RuntimeError: Keras keeps them elsewhere.
    """
    need = "measure metrics for each image size"
    _check_has(model, "_compile_metrics", need)
    found = model._compile_metrics
    if found is not None and not isinstance(found, keras.metrics.Metric):
        raise _unsupported("has no metric in Model._compile_metrics", need)
    return found


def output_names(network: keras.Model) -> list[str] | None:
    """Return the names of a network's outputs, which `compile` takes as keys, or None if they have none.

    Public: a functional model has `output_names`, which no document speaks of; a sequential one has no such names.
    """
    return network.output_names if "output_names" in dir(network) else None


# Sums over replicas


class _Aggregated:
    """Stands in for the optimizer's sum over replicas, and counts how often it is asked for."""

    def __init__(self):
        self.calls = 0

    def __call__(self, grads_and_vars):
        self.calls += 1
        return grads_and_vars


def aggregate_beforehand(optimizer: keras.optimizers.Optimizer) -> None:
    """Tell an optimizer that its gradients will be summed over replicas already; it would sum them once more.

    Public: nothing. `apply` of Keras 3 has no `skip_gradients_aggregation` as that of Keras 2 had; a division by the
    number of replicas would undo the second sum, at the price of a second all-reduce in each step.

    Raises:
        RuntimeError: this Keras sums in another way.
    """
    inner = _inner(optimizer)
    _check_has(inner, "_all_reduce_sum_gradients", "sum gradients over replicas once, not twice")
    inner._all_reduce_sum_gradients = _Aggregated()


def apply_aggregated(optimizer: keras.optimizers.Optimizer, gradients, weights) -> None:
    """Apply gradients that are summed over replicas, if there are any; see `aggregate_beforehand`.

    Args:
        optimizer: of Keras.
        gradients: a tensor or None for each weight.
        weights: trainable variables.

    Raises:
        RuntimeError: the optimizer did not ask for the sum that was replaced, so that it may have summed itself.
    """
    stand_in = vars(_inner(optimizer)).get("_all_reduce_sum_gradients")
    before = stand_in.calls if stand_in is not None else 0
    optimizer.apply(gradients, weights)
    if stand_in is not None and stand_in.calls == before:
        need = "sum gradients over replicas once, not twice"
        raise _unsupported("does not use Optimizer._all_reduce_sum_gradients in apply", need)


def _inner(optimizer):
    return optimizer.inner_optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else optimizer


def call_on_replicas(strategy: tf.distribute.Strategy, function, args: tuple) -> None:
    """Call a function once per replica where all replicas meet, inside `merge_call` and perhaps inside a branch.

    Public: `strategy.run`, which adds nothing but a conversion by AutoGraph, and must not be nested in itself on TPUs.

    Raises:
        RuntimeError: TensorFlow has no such way.
    """
    need = "take a step on all replicas or on none"
    _check_has(strategy.extended, "call_for_each_replica", need)
    strategy.extended.call_for_each_replica(function, args=args)


def set_heartbeat(cluster: tf.train.ClusterSpec, seconds: float) -> None:
    """Let workers give each other up after so many seconds without a sign; to be called before their strategy is made.

    Public: nothing. MultiWorkerMirroredStrategy sets up the service that listens for signs, unless that is done.

    Args:
        cluster: of all workers.
        seconds: above 0.

    Raises:
        RuntimeError: TensorFlow has no such service.
    """
    need = "let a worker pause"
    try:
        from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
        from tensorflow.python.eager import context
    except ImportError as error:
        raise _unsupported("has no coordination service", need) from error
    service = context.context()
    _check_has(service, "configure_coordination_service", need)
    jobs = [job for job in ("chief", "worker") if job in cluster.jobs]
    service.configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{jobs[0]}/replica:0/task:0",
        heartbeat_timeout_in_ms=round(1000 * seconds),
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name=job, num_tasks=cluster.num_tasks(job)) for job in jobs
        ],
    )


# Data


class WrappedDataset(tf.data.Dataset):
    """A tf.data.Dataset that is another one, for subclasses that add to it.

    Public: `tf.data.experimental.to_variant` gives what the constructor takes. There is no public way to be a dataset
    for Keras, which asks for the class, without the two abstract methods below, of which `_inputs` is private.

    Args:
        dataset: the one that is wrapped.
    """

    def __new__(cls, *args, **kwargs):
        missing = sorted(cls.__abstractmethods__)
        if missing or "_inputs" not in dir(tf.data.Dataset):
            raise _unsupported(
                f"has other abstract methods of tf.data.Dataset (not defined: {missing})", "be a tf.data.Dataset"
            )
        return super().__new__(cls)

    def __init__(self, dataset: tf.data.Dataset):
        self._dataset = dataset
        super().__init__(tf.data.experimental.to_variant(dataset))

    @property
    def element_spec(self):
        """What an element is, of tf.TensorSpec."""
        return self._dataset.element_spec

    def _inputs(self):
        return [self._dataset]


def keras_asks_without_steps() -> bool:
    """Return whether Keras asks a dataset for its length because `fit` or `evaluate` was given no number of steps.

    To be called by `cardinality` of the dataset. Public: nothing. Keras asks for the length in any case, takes an
    infinite one for one that it does not know, and trains on a single endless epoch; a finite one makes it start over
    each epoch.

    Raises:
        RuntimeError: Keras asks, but not as it did.
    """
    frame = inspect.currentframe().f_back.f_back  # who called `cardinality`
    if frame is None or not frame.f_globals.get("__name__", "").startswith("keras."):
        return False
    need = "refuse an endless epoch"
    try:
        from keras.src.trainers.epoch_iterator import EpochIterator
    except ImportError as error:
        raise _unsupported("has no keras.src.trainers.epoch_iterator.EpochIterator", need) from error
    while frame is not None:
        asker = frame.f_locals.get("self")
        if isinstance(asker, EpochIterator):
            _check_has(asker, "steps_per_epoch", need)
            return asker.steps_per_epoch is None
        frame = frame.f_back
    raise _unsupported("asks for a dataset's length in another way", need)


# State on disk


def checkpoint_values(prefix: str, count: int) -> list[np.ndarray]:
    """Return the values that `tf.train.Checkpoint(values=[...]).write(prefix)` has written, in their order.

    Public: `Checkpoint.read`, into variables whose shapes and dtypes must be known before, and
    `tf.train.load_checkpoint`, which finds a value by the key that TensorFlow gave it: that form of key is the only
    thing not promised.

    Args:
        prefix: path of the files without their endings.
        count: how many values there are.

    Raises:
        RuntimeError: the keys are of another form.
    """
    reader = tf.train.load_checkpoint(prefix)
    keys = [f"values/{index}/.ATTRIBUTES/VARIABLE_VALUE" for index in range(count)]
    missing = [key for key in keys if not reader.has_tensor(key)]
    if missing:
        raise _unsupported(f"has no tensor {missing[0]} in the checkpoint {prefix}", "read a checkpoint of Resume")
    return [reader.get_tensor(key) for key in keys]


_REMEMBERED = {  # what Keras's callbacks know of the epochs before, as far as JSON holds it
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best", "_batches_seen_since_last_saving"),
}


def remembers(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback is one of Keras's that remember earlier epochs."""
    return bool(_fields(callback))


def memory_of(callback: keras.callbacks.Callback) -> dict[str, int | float | None]:
    """Return what one of Keras's callbacks remembers of earlier epochs, by attribute; nothing for other callbacks.

    Public: nothing, callbacks have no `get_config`; most attributes have public names that no document speaks of.

    Args:
        callback: of a training that has begun.

    Raises:
        RuntimeError: the callback has no such attribute.
    """
    for name in _fields(callback):
        _check_has(callback, name, "go on with what a callback remembers")
    return {name: vars(callback)[name] for name in _fields(callback)}


def remind(callback: keras.callbacks.Callback, memory: dict[str, int | float | None]) -> None:
    """Give a callback back what `memory_of` returned of another one of its class."""
    vars(callback).update(memory)


def _fields(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    return next((names for kind, names in _REMEMBERED.items() if isinstance(callback, kind)), ())
