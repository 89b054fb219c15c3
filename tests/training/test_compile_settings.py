"""Whatever `compile` of Keras takes trains here as in stock Keras, with the same logs; so does a step in parts."""

import keras
import numpy as np
import pytest

import keras_mixsize as kms

CLASS_WEIGHT = {label: 0.25 + label / 4 for label in range(10)}


class Power(keras.metrics.Metric):
    """A metric with an argument that its configuration lacks, and with a dictionary as result."""

    def __init__(self, power):
        super().__init__(name="power")
        self.power = power
        self.largest = self.add_variable((), keras.initializers.Constant(-1.0), name="largest")
        self.total = self.add_variable((), "zeros", name="total")

    def get_config(self):
        raise NotImplementedError

    def reset_state(self):
        self.largest.assign(-1.0)
        self.total.assign(0.0)

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = keras.ops.power(keras.ops.abs(y_pred), self.power)
        self.largest.assign(keras.ops.maximum(self.largest, keras.ops.max(values)))
        self.total.assign_add(keras.ops.sum(values))

    def result(self):
        return {"largest_power": self.largest, "total_power": self.total}


def mean_of_answers(y_true, y_pred):
    return keras.ops.mean(y_pred, axis=-1)


def network(form):
    """Return a network of one output, of ten classes or a number, or of two in a list or a dictionary."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 1))
    hidden = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, strides=2)(inputs))
    heads = {name: keras.layers.Dense(10, name=name, activation="softmax")(hidden) for name in ("side", "main")}
    return keras.Model(
        inputs,
        {"one": heads["main"], "number": keras.layers.Dense(1)(hidden), "list": list(heads.values()), "dict": heads}[
            form
        ],
    )


def data_of(arrays, labels):
    images, classes = arrays[0][:48], arrays[1][:48]
    batch_map = {
        "halved": lambda images, labels, seed: (images, {"main": labels, "side": labels // 2}),
        "list": lambda images, labels, seed: (images, (labels, labels)),
    }.get(labels)
    given = np.eye(10, dtype="float32")[classes] if labels == "one-hot" else classes
    return kms.MixSizeDataset.from_arrays(images, given, regime=kms.Regime.fixed(8, 16), batch_map=batch_map)


def sparse(**options):
    return keras.losses.SparseCategoricalCrossentropy(**options)


SETTINGS = {
    "metrics of every kind, with class weights": (
        ("one", "one-hot"),
        lambda: {
            "loss": "categorical_crossentropy",
            "metrics": [mean_of_answers, keras.metrics.F1Score(average=None), Power(2.0), "accuracy"],
            "weighted_metrics": ["accuracy", keras.metrics.AUC(5, name="auc")],
        },
        {"class_weight": CLASS_WEIGHT},
    ),
    "a sum, with class weights": (
        ("one", "classes"),
        lambda: {"loss": sparse(reduction="sum"), "metrics": ["accuracy"]},
        {"class_weight": CLASS_WEIGHT},
    ),
    "a mean over class weights": (
        ("one", "classes"),
        lambda: {"loss": sparse(reduction="mean_with_sample_weight"), "weighted_metrics": ["accuracy"]},
        {"class_weight": CLASS_WEIGHT},
    ),
    "outputs by name, of other labels": (
        ("list", "halved"),
        lambda: {
            "loss": {"main": sparse(), "side": sparse(reduction="sum")},
            "loss_weights": {"main": 1.0, "side": 0.3},
            "metrics": {"main": ["accuracy", mean_of_answers], "side": [Power(1.0)]},
        },
        {},
    ),
    "a dictionary of outputs": (
        ("dict", "halved"),
        lambda: {"loss": {"main": sparse(), "side": sparse(reduction="sum")}, "metrics": {"side": ["accuracy"]}},
        {},
    ),
    "a list of losses and metrics": (
        ("list", "list"),
        lambda: {
            "loss": [sparse(), sparse(reduction="mean")],
            "metrics": [["accuracy"], ["accuracy"]],
            "loss_weights": [0.5, 2.0],
        },
        {},
    ),
}


def trained(model, data, settings, options):
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), **settings)
    logs = model.fit(data, steps_per_epoch=3, epochs=2, verbose=0, shuffle=False, **options).history
    return logs, model.get_weights()


@pytest.mark.parametrize("case", SETTINGS.values(), ids=SETTINGS)
def test_one_size_trains_as_in_stock_keras_with_its_logs(case, small_arrays):
    (form, labels), settings, options = case
    data = data_of(small_arrays, labels)
    expected, weights = trained(network(form), data, settings(), options)
    model = kms.MixSizeModel(network(form), smoothing=None)
    logs, _ = trained(model, data, settings(), options)
    for one, other in zip(model.network.get_weights(), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2.4e-7)
    assert expected.keys() == {name for name in logs if not name.endswith("_8")} - {"skipped_steps"}
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-5, err_msg=name)
        if name not in ("main_loss", "side_loss"):
            np.testing.assert_allclose(logs[f"{name}_8"], value, rtol=1e-5, err_msg=name)


NUMBERS = np.linspace(0, 40, 48)
GIVEN = {  # form of the network, labels of 48 classes, sample weights, and the loss
    "weights of the examples": ("one", lambda classes: classes, NUMBERS, sparse()),
    "labels of several outputs": (
        "dict",
        lambda classes: {"main": classes, "side": np.eye(10)[classes // 2]},
        NUMBERS,
        {"main": sparse(), "side": "categorical_crossentropy"},
    ),
    "outputs of a list by name": (
        "list",
        lambda classes: {"main": classes, "side": classes // 2},
        None,
        {"main": sparse(), "side": sparse()},
    ),
    "numbers": ("number", lambda classes: NUMBERS, None, "mse"),
    "whole numbers": ("number", lambda classes: np.arange(48), None, "mae"),
    "vectors": ("one", lambda classes: np.stack([NUMBERS] * 10, axis=1), NUMBERS, "mse"),
}


@pytest.mark.parametrize("case", GIVEN.values(), ids=GIVEN)
def test_labels_and_weights_of_the_source_train_as_arrays_do_in_stock_keras(case, small_arrays):
    form, labels_of, weights, loss = case
    images, labels = small_arrays[0][:48], labels_of(small_arrays[1][:48])
    options = {"optimizer": keras.optimizers.SGD(0.01), "loss": loss}
    stock = network(form)
    stock.compile(**options)
    expected = stock.fit(images / 255, labels, batch_size=48, epochs=2, sample_weight=weights, verbose=0).history
    whole = {"regime": kms.Regime.fixed(32, 48), "augmentation": kms.WholeImage(), "sample_weight": weights}
    model = kms.MixSizeModel(network(form), smoothing=None)
    model.compile(keras.optimizers.SGD(0.01), loss)
    logs = model.fit(kms.MixSizeDataset.from_arrays(images, labels, **whole), epochs=2, verbose=0).history
    for one, other in zip(model.network.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logs["loss"], expected["loss"], rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["a sum, with class weights", "a mean over class weights", "outputs by name, of other labels"],
)
def test_a_step_in_parts_has_the_losses_and_gradients_of_the_whole(name, small_arrays):
    (form, labels), settings, options = SETTINGS[name]
    data = data_of(small_arrays, labels)
    whole, parts = kms.MixSizeModel(network(form)), kms.MixSizeModel(network(form), accumulate=2)
    expected, logs = (trained(model, data, settings(), options)[0] for model in (whole, parts))
    for one, other in zip(parts.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-5, err_msg=name)


def test_labels_of_one_kind_are_those_of_each_output(small_arrays):
    settings = {"loss": {"main": sparse(), "side": sparse()}, "metrics": {"main": ["accuracy"]}}
    logs, _ = trained(kms.MixSizeModel(network("dict")), data_of(small_arrays, "classes"), settings, {})
    assert {"main_loss", "side_loss", "main_accuracy", "main_accuracy_8"} <= logs.keys()


def test_a_step_that_is_not_finite_leaves_the_losses_of_outputs_alone(small_arrays):
    model = kms.MixSizeModel(network("list"))
    model.compile(keras.optimizers.SGD(0.1), [sparse(), sparse()])
    images, labels = small_arrays[0][:16].astype("float32"), small_arrays[1][:16]
    logs = model.train_on_batch(np.full_like(images, np.nan), labels, return_dict=True)
    assert logs == {"loss": 0.0, "main_loss": 0.0, "side_loss": 0.0}
