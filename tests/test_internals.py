"""What Keras and TensorFlow do not promise is as it was, or a clear error says what is missing.

A newer Keras that changes one of these things fails here, by the name of the use.
"""

import ast
import contextlib
import importlib.util
import json
import pathlib
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize import internals

REMEDY = re.escape(f"keras {keras.__version__}") + ".*use versions that it was run with.*requirements.txt"


def refused(what):
    """Expect the error of a guard, which names the version, what is missing and the remedy."""
    return pytest.raises(RuntimeError, match=f"(?s)(?=.*{re.escape(what)}){REMEDY}")


def without(monkeypatch, owner, name):
    """Let a class lack what it has, as a newer version might; it must have it."""
    (found,) = [kind for kind in owner.__mro__ if name in vars(kind)][:1]
    monkeypatch.delattr(found, name)


# Layers


class Block(keras.layers.Layer):
    """A layer of layers, which `model.layers` does not look into."""

    def __init__(self):
        super().__init__()
        self.norm, self.dropout = keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)

    def call(self, inputs, training=None):
        return self.dropout(self.norm(inputs, training=training), training=training)


def network_of_blocks():
    inner = keras.Sequential([keras.layers.Conv2D(4, 3), Block()])
    inputs = keras.Input((None, None, 1))
    x = keras.layers.GlobalAveragePooling2D()(Block()(inner(inputs)))
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def test_nested_layers_are_found_wherever_they_are():
    network = network_of_blocks()
    found = internals.layers_of(network)
    assert sum(isinstance(layer, keras.layers.BatchNormalization) for layer in found) == 2
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
    assert network not in found and len({id(layer) for layer in found}) == len(found)


def test_a_keras_that_lists_no_nested_layers_is_refused(monkeypatch):
    network = tiny_network()
    without(monkeypatch, keras.layers.Layer, "_flatten_layers")
    with refused("has no Functional._flatten_layers"):
        internals.layers_of(network)


def test_a_keras_that_leaves_layers_out_is_refused(monkeypatch):
    network = tiny_network()
    monkeypatch.setattr(keras.layers.Layer, "_flatten_layers", lambda self, **options: [])
    monkeypatch.setattr(type(network), "layers", [1])
    with refused("leaves layers out"):
        internals.layers_of(network)


def test_batch_norm_alone_behaves_as_in_training():
    images = np.random.default_rng(0).normal(2, 3, (64, 6, 6, 1)).astype("float32")
    block = Block()
    model = keras.Sequential([keras.Input((6, 6, 1)), block])
    with internals.batch_statistics([block.norm]):
        answer = model(images, training=False)
    # normalised, and nothing dropped; the statistics are the batch's
    np.testing.assert_allclose(answer, (images - images.mean()) / np.sqrt(images.var() + 1e-3), atol=1e-4)
    np.testing.assert_allclose(block.norm.moving_mean, images.mean(), rtol=1e-4)
    np.testing.assert_allclose(block.norm.moving_variance, images.var(), rtol=1e-3)
    assert block.norm.momentum == 0.99 and "call" not in vars(block.norm)
    np.testing.assert_allclose(model(images, training=False), answer, atol=1e-3)


def test_a_keras_that_does_not_ask_a_layer_for_its_call_is_refused(monkeypatch):
    norm = keras.layers.BatchNormalization()
    monkeypatch.setattr(norm, "__call__", lambda inputs: inputs)
    with refused("does not call a layer's own `call`"), internals.batch_statistics([norm]):
        pass
    assert norm.momentum == 0.99 and "call" not in vars(norm)


# What compile makes

SPEC = tf.TensorSpec([None, None, None, 1]), tf.TensorSpec([None], tf.int64)


def test_preparing_makes_every_variable_without_a_batch(monkeypatch):
    model = compiled(tiny_network())
    model.prepare(SPEC)
    before = [variable.path for variable in (*model.variables, *model.optimizer.variables, *model.metrics_variables)]
    model.train_on_batch(np.zeros((4, 8, 8, 1), "float32"), np.zeros(4))
    after = [variable.path for variable in (*model.variables, *model.optimizer.variables, *model.metrics_variables)]
    assert before == after and any("accuracy" in path for path in before)
    assert internals.compiled_metrics(model).result().keys() == {"accuracy"}


@pytest.mark.parametrize("name", ["_symbolic_build", "_maybe_symbolic_build"])
def test_a_keras_that_builds_otherwise_is_refused(monkeypatch, name):
    model = compiled(tiny_network())
    without(monkeypatch, keras.Model, name)
    with refused(f"has no Model.{name}"):
        model.prepare(SPEC)


def test_a_keras_that_leaves_metrics_for_the_first_step_is_refused(monkeypatch):
    model = compiled(tiny_network())
    monkeypatch.setattr(keras.Model, "_symbolic_build", lambda self, data_batch: None)
    with refused("leaves metrics unbuilt"):
        model.prepare(SPEC)


def test_fit_under_a_strategy_reads_no_batch_ahead(monkeypatch, small_arrays):
    asked = []
    ahead = keras.Model._maybe_symbolic_build
    monkeypatch.setattr(keras.Model, "_maybe_symbolic_build", lambda self, **options: asked.append(ahead))
    data = kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(8, 16))
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = compiled(tiny_network())
    model.fit(data, steps_per_epoch=1, verbose=0)
    assert model.prepared and not asked
    compiled_anew = compiled(tiny_network())
    compiled_anew._maybe_symbolic_build(data_batch=SPEC)
    assert asked  # of a model that is not prepared


def test_a_keras_that_keeps_the_compiled_metrics_elsewhere_is_refused(monkeypatch):
    model = compiled(tiny_network())
    model.prepare(SPEC)
    monkeypatch.delattr(model, "_compile_metrics")
    with refused("has no MixSizeModel._compile_metrics"):
        internals.compiled_metrics(model)


def test_a_model_without_metrics_has_none():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert internals.compiled_metrics(model) is None


def test_a_metric_that_is_none_is_refused(monkeypatch):
    model = compiled(tiny_network())
    monkeypatch.setattr(model, "_compile_metrics", ["accuracy"])
    with refused("has no metric in Model._compile_metrics"):
        internals.compiled_metrics(model)


def test_a_functional_network_has_named_outputs_and_a_sequential_one_none():
    network = tiny_network()
    assert internals.output_names(network) == [network.layers[-1].name]
    assert internals.output_names(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])) is None


# Sums over replicas


def weight_after(optimizer, strategy, aggregated):
    """Return a weight of 0 after a step of gradients 1 on each replica, from an optimizer whose rate is 1."""
    with strategy.scope():
        weight = keras.Variable(np.float32(0), name="weight")
        optimizer.build([weight])
    if aggregated:
        internals.aggregate_beforehand(optimizer)

    @tf.function
    def step():
        strategy.run(lambda: internals.apply_aggregated(optimizer, [tf.ones([])], [weight]))

    step()
    return float(weight.numpy())


OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(1.0),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=1.0),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_gradients_that_are_summed_already_are_not_summed_once_more(two_devices, make):
    strategy = tf.distribute.MirroredStrategy(two_devices)
    with strategy.scope():
        summing, not_summing = make(), make()
    assert weight_after(summing, strategy, aggregated=False) == -2.0  # Keras sums by itself
    assert weight_after(not_summing, strategy, aggregated=True) == -1.0


def test_an_optimizer_without_the_sum_that_is_replaced_is_refused(monkeypatch):
    without(monkeypatch, keras.optimizers.Optimizer, "_all_reduce_sum_gradients")
    with refused("has no SGD._all_reduce_sum_gradients"):
        internals.aggregate_beforehand(keras.optimizers.SGD())


def test_an_optimizer_that_does_not_ask_for_the_sum_is_refused(monkeypatch):
    def sums_itself(self, grads, trainable_variables, learning_rate):
        pass

    monkeypatch.setattr(keras.optimizers.Optimizer, "_backend_update_step", sums_itself)
    optimizer, weight = keras.optimizers.SGD(), keras.Variable(np.float32(0))
    optimizer.build([weight])
    internals.aggregate_beforehand(optimizer)
    with refused("does not use Optimizer._all_reduce_sum_gradients"):
        internals.apply_aggregated(optimizer, [tf.ones([])], [weight])


def test_replicas_can_be_called_where_they_meet(two_devices):
    strategy = tf.distribute.MirroredStrategy(two_devices)
    with strategy.scope():
        weight = tf.Variable(
            0.0, synchronization=tf.VariableSynchronization.ON_READ, aggregation=tf.VariableAggregation.SUM
        )

    def meet(strategy, amount):
        internals.call_on_replicas(strategy, lambda amount: weight.assign_add(amount), (amount,))

    @tf.function
    def step():
        strategy.run(lambda: tf.distribute.get_replica_context().merge_call(meet, args=(tf.constant(1.5),)))

    step()
    assert float(weight.read_value()) == 3.0


def test_a_tensorflow_that_cannot_call_replicas_is_refused():
    class Strategy:
        extended = object()

    with refused("has no object.call_for_each_replica"):
        internals.call_on_replicas(Strategy(), print, ())


@pytest.fixture
def service(monkeypatch):
    """What TensorFlow sets up its service by; this process has none before and after."""
    from tensorflow.python.eager import context

    monkeypatch.setattr(context.context(), "_coordination_service_config", None)
    return context.context()


@pytest.mark.parametrize("first", ["chief", "worker"])
@pytest.mark.filterwarnings("ignore")
def test_workers_listen_for_so_long(service, first):
    cluster = tf.train.ClusterSpec({first: ["a:1"], "worker": ["b:1"] if first == "chief" else ["a:1", "b:1"]})
    internals.set_heartbeat(cluster, 12.5)
    found = service.coordination_service
    assert found.heartbeat_timeout_in_ms == 12_500 and found.service_leader == f"/job:{first}/replica:0/task:0"
    assert sum(job.num_tasks for job in found.coordinated_job_list) == 2


def test_a_tensorflow_without_its_service_is_refused(service, monkeypatch):
    without(monkeypatch, type(service), "configure_coordination_service")
    with refused("has no Context.configure_coordination_service"):
        internals.set_heartbeat(tf.train.ClusterSpec({"worker": ["a:1", "b:1"]}), 30)


# Data


def test_a_wrapped_dataset_is_the_dataset():
    inner = tf.data.Dataset.range(5).map(lambda number: (number, {"twice": 2 * number}))
    outer = internals.WrappedDataset(inner)
    assert isinstance(outer, tf.data.Dataset) and outer.element_spec == inner.element_spec
    assert outer.cardinality() == 5 and [int(number) for number, _ in outer.skip(3)] == [3, 4]


def test_a_tensorflow_whose_datasets_have_other_abstract_methods_is_refused(monkeypatch):
    class Newer(internals.WrappedDataset):
        pass

    monkeypatch.setattr(Newer, "__abstractmethods__", frozenset({"_children"}))
    with refused("not defined: ['_children']"):
        Newer(tf.data.Dataset.range(2))
    monkeypatch.setattr(tf.data.Dataset, "__abstractmethods__", frozenset())
    without(monkeypatch, tf.data.Dataset, "_inputs")
    with refused("has other abstract methods of tf.data.Dataset"):
        internals.WrappedDataset(tf.data.Dataset.range(2))


class Asked(internals.WrappedDataset):
    """An endless dataset that notes what it learns when it is asked for its length."""

    def cardinality(self):
        self.notes.append(internals.keras_asks_without_steps())
        return super().cardinality()


@pytest.fixture
def asked():
    """An endless dataset that has been asked nothing yet."""
    dataset = Asked(tf.data.Dataset.from_tensors((tf.ones([2, 3]), tf.ones([2, 1]))).repeat())
    dataset.notes = []
    return dataset


def linear(strategy=None):
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    return model


class StopError(Exception):
    """What ends a loop that would not end."""


class Stop(keras.callbacks.Callback):
    """Ends a loop at its first step, and asks for the length of the data from within it."""

    def __init__(self, data):
        super().__init__()
        self.data = data

    def on_train_batch_begin(self, batch, logs=None):
        self.data.cardinality()
        raise StopError

    on_test_batch_begin = on_train_batch_begin


@pytest.mark.parametrize("strategy", [None, "mirrored"])
def test_keras_is_caught_when_it_was_given_no_number_of_steps(asked, strategy):
    model = linear(tf.distribute.MirroredStrategy(["CPU:0"]) if strategy else None)
    asked.cardinality()
    assert asked.notes.pop() is False
    model.fit(asked, steps_per_epoch=2, verbose=0, shuffle=False)
    model.evaluate(asked, steps=1, verbose=0)
    assert asked.notes and not any(asked.notes)
    for loop in (model.fit, model.evaluate):
        asked.notes.clear()
        with pytest.raises(StopError):
            loop(asked, verbose=0, callbacks=[Stop(asked)], **({"shuffle": False} if loop == model.fit else {}))
        assert asked.notes[0] is True and asked.notes[-1] is False  # the last one was no question of Keras's


def test_a_keras_that_asks_otherwise_is_refused(asked, monkeypatch):
    trainers = "keras.src.trainers.epoch_iterator"
    ask = {"__name__": "keras.src.trainers.newer", "asked": asked}
    exec("def ask(): return asked.cardinality()", ask)
    with refused("asks for a dataset's length in another way"):
        ask["ask"]()
    monkeypatch.delattr(sys.modules[trainers], "EpochIterator")
    with refused(f"has no {trainers}.EpochIterator"):
        ask["ask"]()


# State on disk


def test_values_are_read_back_by_their_keys_in_order(tmp_path):
    values = [np.float32(index) for index in range(12)]
    tf.train.Checkpoint(values=[tf.Variable(value) for value in values]).write(str(tmp_path / "state"))
    assert internals.checkpoint_values(str(tmp_path / "state"), 12) == values


def test_a_tensorflow_that_names_values_otherwise_is_refused(tmp_path):
    tf.train.Checkpoint(items=[tf.Variable(1.0)]).write(str(tmp_path / "state"))
    with refused("has no tensor values/0"):
        internals.checkpoint_values(str(tmp_path / "state"), 1)


def callbacks():
    return {
        keras.callbacks.EarlyStopping("loss"): "best_epoch",
        keras.callbacks.ReduceLROnPlateau("loss"): "cooldown_counter",
        keras.callbacks.ModelCheckpoint("best.keras", "loss", save_best_only=True): "best",
    }


@pytest.mark.parametrize("index", range(3))
def test_callbacks_remember_where_they_did(index):
    callback, last = [*callbacks().items()][index]
    model = linear()
    callback.set_model(model)
    callback.on_train_begin()
    memory = internals.memory_of(callback)
    assert last in memory and internals.remembers(callback)
    json.dumps(memory)
    other = [*callbacks()][index]
    internals.remind(other, memory | {last: 7})
    assert vars(other)[last] == 7
    assert not internals.remembers(keras.callbacks.CSVLogger("log.csv"))
    delattr(callback, last)
    with refused(f"has no {type(callback).__name__}.{last}"):
        internals.memory_of(callback)


# All of it

INTERNALS = pathlib.Path(internals.__file__)
OTHERS = [path for path in INTERNALS.parent.rglob("*.py") if path != INTERNALS]
NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make"}  # which Python documents


def private_names(path, context):
    """Return the private attributes that a file reads (ast.Load) or sets (ast.Store), and the functions it defines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, context):
            name = node.attr
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and context is ast.Store:
            name = node.name
        else:
            continue
        if re.fullmatch(r"_[a-z]\w*", name):
            yield name


def test_no_other_file_touches_what_is_not_promised():
    own = {name for path in OTHERS for name in private_names(path, ast.Store)} | NAMED_TUPLES
    found = {path.name: {*private_names(path, ast.Load)} - own for path in OTHERS}
    assert {name: names for name, names in found.items() if names} == {}
    assert {"_flatten_layers", "_symbolic_build"} <= {*private_names(INTERNALS, ast.Load)} - own  # as it would be found


def test_no_other_file_imports_a_private_module():
    secret = re.compile(r"keras\.src|tensorflow\.python|tf\.__internal__|VARIABLE_VALUE|currentframe")
    assert [path.name for path in OTHERS if secret.search(path.read_text())] == []
    assert secret.search(INTERNALS.read_text())


def test_a_missing_name_costs_its_use_and_not_the_import(monkeypatch):
    without(monkeypatch, keras.layers.Layer, "_flatten_layers")
    without(monkeypatch, keras.Model, "_symbolic_build")
    without(monkeypatch, keras.Model, "_maybe_symbolic_build")
    without(monkeypatch, keras.optimizers.Optimizer, "_all_reduce_sum_gradients")
    without(monkeypatch, tf.data.Dataset, "_inputs")
    monkeypatch.delattr("keras.src.trainers.epoch_iterator.EpochIterator")
    spec = importlib.util.spec_from_file_location("internals_of_a_newer_keras", internals.__file__)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
