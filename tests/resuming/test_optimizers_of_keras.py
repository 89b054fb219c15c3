"""Every optimizer of Keras, and every option of them, with Resume: going on is bitwise as if nothing had happened.

An optimizer or an option that Keras adds fails the first tests until it has a row here. In a fast test only the
optimizer goes on, by the variables that Resume saves; in a slow one whole runs do.
"""

import inspect

import keras
import numpy as np
import pytest
from resumed_runs import EACH, EPOCHS, STOPS, assert_same_run, small_data, small_model, train_in_parts

KINDS = keras.optimizers


def several():
    """Return an optimizer of two others."""
    return KINDS.MultiOptimizer(KINDS.OptimizerMap(KINDS.SGD(0.05, momentum=0.9), {".*kernel": KINDS.Adam(0.01)}))


OPTIMIZERS = {
    "SGD": lambda **options: KINDS.SGD(0.1, **options),
    "Adadelta": lambda **options: KINDS.Adadelta(1.0, **options),
    "Adafactor": lambda **options: KINDS.Adafactor(0.1, **options),
    "Adagrad": lambda **options: KINDS.Adagrad(0.1, **options),
    "Adam": lambda **options: KINDS.Adam(0.01, **options),
    "AdamW": lambda **options: KINDS.AdamW(0.01, **options),
    "Adamax": lambda **options: KINDS.Adamax(0.01, **options),
    "Ftrl": lambda **options: KINDS.Ftrl(0.1, **options),
    "Lamb": lambda **options: KINDS.Lamb(0.01, **options),
    "Lion": lambda **options: KINDS.Lion(0.01, **options),
    "LossScaleOptimizer": lambda: KINDS.LossScaleOptimizer(KINDS.SGD(0.1), initial_scale=4.0, dynamic_growth_steps=2),
    "MultiOptimizer": several,
    "Muon": lambda **options: KINDS.Muon(0.01, **options),
    "Nadam": lambda **options: KINDS.Nadam(0.01, **options),
    "RMSprop": lambda **options: KINDS.RMSprop(0.01, **options),
    "ScheduleFreeAdamW": lambda **options: KINDS.ScheduleFreeAdamW(0.01, **options),
}
NO_OPTIMIZERS = {"Optimizer", "OptimizerMap"}
SHARED = {
    "weight_decay": {"weight_decay": 0.01},
    "clipnorm": {"clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.01},
    "global_clipnorm": {"global_clipnorm": 0.5},
    "use_ema": {"use_ema": True, "ema_momentum": 0.5},
    "ema_overwrite_frequency": {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3},
    "loss_scale_factor": {"loss_scale_factor": 8.0},
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 3},
    "learning_rate": {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 6)},
}
OWN = {
    ("SGD", "momentum"): {"momentum": 0.9},
    ("SGD", "nesterov"): {"momentum": 0.9, "nesterov": True},
    ("Adam", "amsgrad"): {"amsgrad": True},
    ("AdamW", "amsgrad"): {"amsgrad": True},
    ("RMSprop", "centered"): {"centered": True},
    ("RMSprop", "momentum"): {"momentum": 0.9},
    ("Adafactor", "beta_2_decay"): {"beta_2_decay": -0.5, "relative_step": False},
    ("Ftrl", "beta"): {"beta": 0.5, "l2_shrinkage_regularization_strength": 0.1},
    ("Muon", "nesterov"): {"nesterov": False},
    ("ScheduleFreeAdamW", "warmup_steps"): {"warmup_steps": 4},
}
WITHOUT_STATE = {("Adafactor", "relative_step"), ("Muon", "exclude_embeddings")}  # which others have rows with
ROWS = {
    **{name: (name, {}) for name in OPTIMIZERS},
    **{f"SGD, {name}": ("SGD", options) for name, options in SHARED.items()},
    **{f"{name}, {option}": (name, options) for (name, option), options in OWN.items()},
}


def make(row):
    name, options = ROWS[row]
    kind = OPTIMIZERS[name]
    return KINDS.SGD(momentum=0.9, **options) if "learning_rate" in options else kind(**options)


def switches(name):
    """Return the options of an optimizer that are on or off."""
    options = inspect.signature(getattr(KINDS, name).__init__).parameters.values()
    return {(name, option.name) for option in options if isinstance(option.default, bool)}


def test_every_optimizer_and_option_of_keras_has_a_row():
    found = {name for name in dir(KINDS) if inspect.isclass(getattr(KINDS, name))}
    assert found == OPTIMIZERS.keys() | NO_OPTIMIZERS
    shared = inspect.signature(KINDS.Adagrad.__init__).parameters.keys() - {"self", "name", "kwargs"}
    assert shared - {"initial_accumulator_value", "epsilon", "ema_momentum"} == SHARED.keys()
    own = {switch for name in OPTIMIZERS for switch in switches(name) if switch[1] not in SHARED}
    assert own <= OWN.keys() | WITHOUT_STATE


@pytest.mark.parametrize("row", ROWS)
def test_an_optimizers_variables_are_all_that_it_remembers(row):
    random = np.random.default_rng(0)
    steps = [[random.normal(size=shape).astype("float32") for shape in ((3, 4), (4,))] for _ in range(7)]

    def fresh():
        weights = [keras.Variable(np.full(shape, 0.5, "float32"), name="kernel") for shape in ((3, 4), (4,))]
        optimizer = make(row)
        optimizer.build(weights)
        return optimizer, [*weights, *optimizer.variables], weights

    def train(optimizer, weights, gradients):
        for step in gradients:
            optimizer.apply(step, weights)

    whole, expected, weights = fresh()
    train(whole, weights, steps[:4])  # within an accumulation of three, and after one overwriting by averages
    second, variables, others = fresh()
    for variable, value in zip(variables, expected, strict=True):
        variable.assign(value)
    train(whole, weights, steps[4:])
    train(second, others, steps[4:])
    for one, other in zip(variables, expected, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)


def assert_as_whole(directory, small_arrays, row, parts):
    data = small_data(small_arrays)
    runs = [("whole", []), ("parts", parts)]
    trained = [
        train_in_parts(directory / name, data, lambda: small_model(make(row)), [*done, (EPOCHS, None)])
        for name, done in runs
    ]
    assert_same_run(*trained)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_a_run_of_parts_is_the_run_at_once(tmp_path, small_arrays, row):
    assert_as_whole(tmp_path, small_arrays, row, STOPS)


@pytest.mark.slow
@pytest.mark.parametrize("part", EACH, ids="{0[0]} epochs, stopped at {0[1]}".format)
@pytest.mark.parametrize("row", ["SGD, ema_overwrite_frequency", "SGD, gradient_accumulation_steps", "Nadam"])
def test_a_run_goes_on_from_any_step(tmp_path, small_arrays, row, part):
    assert_as_whole(tmp_path, small_arrays, row, [part])
