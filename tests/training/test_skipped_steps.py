"""A step that is not finite changes nothing, is counted, and stops a training that only skips."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.training.skipped_steps import SkippedLogs, SkippedSteps, mark_of


def batch_of(train, factor=1.0):
    images, labels = next(iter(train))
    return images * np.float32(factor), labels


def state_of(model):
    """Return all variables but those that a skipped step may change."""
    changing = (
        "position",
        "seed_generator_state",
        "skipped_in_epoch",
        "skipped_in_a_row",
        "dynamic_scale",
        "step_counter",
    )
    return {v.path: v.numpy() for v in model.state_variables if v.path.rsplit("/", 1)[-1] not in changing}


def counts(model):
    return tuple(int(variable.numpy()) for variable in model._step.skipped.variables)


def step(model, batch):
    """Take one step as fit does; train_on_batch would reset the metrics."""
    return model.train_function(iter([batch]))


def make_model(train, policy="float32", jit_compile=False, smoothing=0.9):
    keras.config.set_dtype_policy(policy)
    try:
        model = compiled(tiny_network(dropout=0.2), l2=0.1, smoothing=smoothing)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(
            optimizer,
            loss,
            ["accuracy", keras.metrics.SparseCategoricalCrossentropy(from_logits=True)],
            jit_compile=jit_compile,
        )
    finally:
        keras.config.set_dtype_policy("float32")
    model.build_steps(train.plan.regime.sizes, train.element_spec)
    return model


@pytest.mark.parametrize("options", [{}, {"smoothing": None}, {"jit_compile": True}, {"policy": "mixed_float16"}])
def test_a_non_finite_step_changes_neither_weights_nor_statistics_nor_metrics(train, options):
    model = make_model(train, **options)
    step(model, batch_of(train))
    before, seeds = state_of(model), [variable.numpy() for variable in model.variables if "seed" in variable.path]
    assert any("moving_variance" in path for path in before)
    logs = step(model, batch_of(train, np.nan))
    after = state_of(model)
    for path, value in before.items():
        np.testing.assert_array_equal(value, after[path], err_msg=path)
    assert np.isfinite(logs["loss"]) and model.position == 2 and counts(model) == (1, 1)
    assert [variable.numpy()[1] for variable in model.variables if "seed" in variable.path] == [s[1] + 1 for s in seeds]
    step(model, batch_of(train))
    assert counts(model) == (1, 0) and model.position == 3


def test_statistics_that_overflow_skip_the_step_though_its_gradients_are_finite(train):
    model = make_model(train)
    step(model, batch_of(train))
    before = state_of(model)
    step(model, batch_of(train, 1e30))
    after = state_of(model)
    assert counts(model)[0] == 1 and all((before[path] == after[path]).all() for path in before)


def test_marks_are_nan_where_a_number_is_not_finite():
    fine = [tf.constant([1.0, 2.0]), tf.constant([3])]
    assert float(mark_of(fine)) == float(mark_of([])) == 0
    assert all(np.isnan(mark_of([*fine, tf.constant(bad)])) for bad in (np.nan, np.inf, -np.inf))


def test_steps_are_counted_in_all_and_in_a_row():
    skipped, seen = SkippedSteps(), []
    for finite in (True, False, False, True, False):
        skipped.count(tf.constant(finite))
        seen.append(tuple(int(variable.numpy()) for variable in skipped.variables))
    assert seen == [(0, 0), (1, 1), (2, 2), (2, 0), (3, 1)]


class Spoil(keras.callbacks.Callback):
    """Makes the labels' loss not a number while it is switched on, by a weight that the loss is multiplied with."""

    def __init__(self, factor, steps):
        super().__init__()
        self.factor, self.steps = factor, steps

    def on_train_batch_begin(self, batch, logs=None):
        self.factor.assign(np.nan if self.model.position in self.steps else 1.0)


@pytest.fixture
def spoiled(small_arrays):
    """A function that fits one bucket while some steps are spoilt: 19 steps an epoch."""
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(8, 16))

    def fit(steps, *callbacks, epochs=1, **options):
        factor = tf.Variable(1.0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model = kms.MixSizeModel.from_model(tiny_network(), **options)
        model.compile("sgd", lambda labels, logits: loss(labels, logits) * factor, ["accuracy"])
        callbacks = [Spoil(factor, steps), *callbacks]
        return model.fit(train, epochs=epochs, verbose=0, callbacks=callbacks)

    return fit


def test_each_epoch_logs_how_many_steps_it_skipped(spoiled, tmp_path):
    log = tmp_path / "log.csv"
    history = spoiled({3, 4, 20}, keras.callbacks.CSVLogger(log), epochs=3).history
    assert history["skipped_steps"] == [2, 1, 0] and np.isfinite(history["loss"]).all()
    assert "skipped_steps" in log.read_text().splitlines()[0]


def test_training_stops_after_too_many_skipped_steps_in_a_row(spoiled):
    with pytest.raises(
        FloatingPointError, match="max_skipped is 3, but the last [345] steps .* no checkpoint was kept"
    ):
        spoiled(range(5, 19), max_skipped=3)
    assert spoiled(range(5, 19, 2), max_skipped=3).history["skipped_steps"] == [7]
    assert spoiled(range(1, 19), max_skipped=None).history["skipped_steps"] == [18]


def test_the_count_is_read_in_time_whatever_the_steps_per_execution():
    skipped = SkippedSteps()
    logs = SkippedLogs(skipped, limit=20)
    logs.on_epoch_begin(0)
    with pytest.raises(FloatingPointError, match="the last 39 steps"):  # seen at 0, at 21 and then at 42
        for batch in range(0, 60, 3):
            skipped.in_a_row.assign(max(0, batch - 3))
            logs.on_train_batch_begin(batch)


def test_the_last_checkpoint_is_named(spoiled, tmp_path):
    resume = kms.callbacks.Resume(tmp_path, every_steps=4)
    with pytest.raises(FloatingPointError, match="the last good checkpoint is .*step-00000000[01][0-9]"):
        spoiled(range(6, 19), resume, max_skipped=3)
