"""Resume: what was stopped goes on as if it had not been, and what cannot go on is refused by name."""

import contextlib
import signal

import keras
import numpy as np
import pytest
from networks import compiled, tiny_network
from resume_worker import logs_of, run_worker

import keras_mixsize as kms
from keras_mixsize.resuming import checkpoints
from keras_mixsize.resuming import resume as callbacks


class StopError(Exception):
    """What ends a training in these tests."""


class At(keras.callbacks.Callback):
    """Calls a function when a step is about to run, and counts the steps."""

    def __init__(self, position=None, call=None):
        super().__init__()
        self.position, self.call, self.steps = position, call, 0

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.position == self.position:
            self.call()
        self.steps += 1


def stop():
    raise StopError


@pytest.fixture(scope="session")
def quick(one_bucket):
    """The dataset of one small bucket: 19 steps an epoch."""
    return one_bucket


def untrained():
    """Return the same untrained model each time, as a new process would."""
    keras.utils.set_random_seed(1)
    return compiled(tiny_network(dropout=0.3))


@pytest.fixture(scope="module")
def fresh(quick):
    """A function that does so and traces a model once: it brings that of a name back to where it began."""
    models = {}

    def fresh(name="one", make=untrained):
        if name not in models:
            model = make()
            model.build_steps([8], quick.for_step().element_spec)
            models[name] = model, [(variable, variable.numpy()) for variable in model.state_variables]
        model, values = models[name]
        for variable, value in values:
            variable.assign(value)
        return model

    return fresh


def fit(model, data, directory, *others, epochs=2, steps=None, stopped=None, **options):
    """Fit with Resume; a training that is stopped at a step returns None."""
    resume = callbacks.Resume(directory, **{"every_steps": 4} | options)
    others = [*others, At(stopped, stop)]
    with contextlib.suppress(StopError):
        return model.fit(data, epochs=epochs, steps_per_epoch=steps, verbose=0, callbacks=[resume, *others])


def assert_same_state(one, other):
    for first, second in zip(one.state_variables, other.state_variables, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), atol=1e-6, err_msg=first.path)


# Going on


@pytest.mark.slow  # as the next one, of a single regime
def test_a_run_killed_within_a_step_gives_bitwise_the_same_state_and_logs(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for directory in (whole, killed):
        directory.mkdir()
    _, expected = run_worker(whole)
    assert run_worker(killed, {"where": "moment", "at": 22, "delay": 0.003})[0] == -signal.SIGKILL
    assert checkpoints.paths(killed / "run")
    _, actual = run_worker(killed)
    assert actual == expected and logs_of(killed) == logs_of(whole)


def test_a_run_killed_within_a_step_of_the_second_stage_of_a_schedule_gives_bitwise_the_same_state_and_logs(tmp_path):
    options = {"regime": "0.6*16x16x2:0.5,24x12x1:0.5; 0.4*24x8x1:1", "epochs": 2}  # of 17 steps, the second from 20 on
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for directory in (whole, killed):
        directory.mkdir()
    _, expected = run_worker(whole, **options)
    assert run_worker(killed, {"where": "moment", "at": 27, "delay": 0.003}, **options)[0] == -signal.SIGKILL
    assert 20 < checkpoints.newest(killed / "run").step < 34
    _, actual = run_worker(killed, **options)
    assert actual == expected and logs_of(killed) == logs_of(whole)


@pytest.fixture(scope="module")
def whole(quick, fresh):
    """A model trained for two epochs at once, and its history."""
    model = fresh("whole")
    return model, model.fit(quick, epochs=2, verbose=0).history


@pytest.mark.parametrize("stopped", [3, 20, 37])
def test_a_stopped_run_goes_on_within_its_epoch(quick, tmp_path, whole, stopped, fresh):
    assert fit(fresh(), quick, tmp_path, stopped=stopped) is None
    second, count = fresh(), At()
    history = fit(second, quick, tmp_path, count).history
    assert_same_state(whole[0], second)
    saved = (stopped - 1) // 4 * 4
    assert second.position == 38 and count.steps == 38 - saved
    for name, values in history.items():
        np.testing.assert_allclose(values, whole[1][name][-len(values) :], atol=1e-6)


@pytest.mark.slow  # real processes that are killed have mixed sizes, too
def test_mixed_sizes_go_on_with_their_metrics(train, tmp_path):
    whole, first, second = untrained(), untrained(), untrained()
    expected = whole.fit(train, epochs=1, verbose=0).history
    fit(first, train, tmp_path, epochs=1, stopped=train.steps_per_epoch - 3)
    assert fit(second, train, tmp_path, epochs=1).history.keys() == expected.keys()
    assert_same_state(whole, second)


def test_a_finished_run_is_not_trained_again_but_goes_on_to_more_epochs(quick, tmp_path, whole, fresh):
    fit(fresh(), quick, tmp_path, epochs=1)
    assert fit(fresh(), quick, tmp_path, epochs=1).history == {}
    longer = fresh()
    fit(longer, quick, tmp_path, epochs=2)
    assert_same_state(whole[0], longer)


def test_the_first_checkpoint_goes_before_initial_epoch_and_the_datasets_start(quick, tmp_path, fresh):
    fit(fresh(), quick.starting_at(100), tmp_path, epochs=1, stopped=109)
    model = fresh()
    resume = callbacks.Resume(tmp_path, every_steps=4)
    history = model.fit(quick.starting_at(100), epochs=3, initial_epoch=2, verbose=0, callbacks=[resume])
    assert history.epoch == [0, 1, 2] and model.position == 100 + 3 * 19


@pytest.mark.parametrize("steps_per_execution", [1, 19])
def test_steps_per_execution_divides_what_is_left(quick, tmp_path, steps_per_execution):
    model = kms.MixSizeModel.from_model(tiny_network())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, steps_per_execution=steps_per_execution)
    fit(model, quick, tmp_path, stopped=19)
    assert model.position == 19
    model.compile("sgd", loss, steps_per_execution=2)
    with pytest.raises(ValueError, match="steps_per_execution must divide the epoch's 1?[39] steps, got 2"):
        fit(model, quick, tmp_path)


def test_what_other_callbacks_do_at_an_epochs_begin_is_not_done_twice(quick, tmp_path, fresh):
    def decay():
        return keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)

    fit(fresh(), quick, tmp_path, decay(), stopped=27)
    model = fresh()
    fit(model, quick, tmp_path, decay())
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(0.05 / 4)
    fit(model, quick, tmp_path, decay(), epochs=3)  # the run had ended, and the new epoch begins with its own rate
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(0.05 / 8)


def test_early_stopping_remembers(quick, tmp_path, fresh):
    def stopping():
        return keras.callbacks.EarlyStopping("loss", patience=3, min_delta=100)

    fit(fresh(), quick, tmp_path, stopping(), epochs=9, stopped=2 * 19 + 5)
    model = fresh()
    fit(model, quick, tmp_path, stopping(), epochs=9)
    assert model.position == 4 * 19


@pytest.mark.parametrize("stopped", [None, 7])
@pytest.mark.parametrize("frequency", [pytest.param(None, marks=pytest.mark.slow), 2])
def test_averages_of_an_ended_run_are_its_result_and_not_where_it_goes_on(quick, tmp_path, frequency, stopped, fresh):
    def make():
        model, options = untrained(), {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": frequency}
        model.compile(keras.optimizers.SGD(0.05, **options), model.loss)
        return model

    def averaging(name="averaging"):
        return fresh(f"{name} {frequency}", make)

    whole = averaging("whole averaging")
    whole.fit(quick, epochs=2, steps_per_epoch=5, verbose=0)
    fit(averaging(), quick, tmp_path, steps=5, epochs=1)
    if stopped:
        fit(averaging(), quick, tmp_path, steps=5, stopped=stopped, every_steps=1)
    second = averaging()
    fit(second, quick, tmp_path, steps=5)
    assert_same_state(whole, second)
    again = averaging()
    assert fit(again, quick, tmp_path, steps=5).history == {}
    assert_same_state(whole, again)


class Losses(keras.callbacks.Callback):
    """Gives each epoch the loss that a test wants."""

    def on_epoch_end(self, epoch, logs=None):
        logs["wanted"] = [0.9, 0.1, 0.3, 0.2, 0.8, 0.7][epoch]


@pytest.mark.parametrize(
    "ended, stopped", [(6, 8), (2, None), *[pytest.param(*row, marks=pytest.mark.slow) for row in ((6, 3), (3, None))]]
)
def test_the_best_weights_of_before_are_the_result_and_an_ended_run_stays_ended(quick, tmp_path, ended, stopped, fresh):
    def stopping():
        return Losses(), keras.callbacks.EarlyStopping("wanted", mode="min", patience=3, restore_best_weights=True)

    def assert_best(model):
        for one, other in zip(whole.weights, model.weights, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6, err_msg=one.path)

    whole = fresh("another")
    whole.fit(quick, epochs=6, steps_per_epoch=3, verbose=0, callbacks=stopping())
    fit(fresh(), quick, tmp_path, *stopping(), steps=3, epochs=ended, stopped=stopped, every_steps=1)
    second = fresh()
    assert fit(second, quick, tmp_path, *stopping(), steps=3, epochs=6, every_steps=1).epoch[-1] == 4
    assert_best(second)
    again = fresh()
    assert fit(again, quick, tmp_path, *stopping(), steps=3, epochs=9).history == {}
    assert_best(again)


def test_validation_and_history_see_whole_epochs_only(quick, small_arrays, tmp_path, fresh):
    fit(fresh(), quick, tmp_path, epochs=3, stopped=30)
    model, resume = fresh(), callbacks.Resume(tmp_path)
    history = model.fit(quick, epochs=3, verbose=0, validation_data=small_arrays, callbacks=[resume])
    assert history.epoch == [1, 2] and len(history.history["val_loss"]) == 2 and model.stop_training is False


# Saving


def test_the_newest_few_are_kept(quick, tmp_path, fresh):
    fit(fresh(), quick, tmp_path, epochs=1, every_steps=5, keep=2)
    assert [path.name for path in checkpoints.paths(tmp_path)] == ["step-0000000015", "step-0000000019"]


def test_time_alone_makes_checkpoints_too(quick, tmp_path, fresh):
    fit(fresh(), quick, tmp_path, stopped=19, every_steps=None, every_minutes=1e-6)
    assert checkpoints.paths(tmp_path)
    fit(fresh(), quick, tmp_path / "rare", stopped=19, every_steps=None, every_minutes=60)
    assert checkpoints.paths(tmp_path / "rare") == []


def test_sigterm_finishes_the_step_saves_and_exits(quick, tmp_path, fresh):
    before = signal.getsignal(signal.SIGTERM)
    model = fresh()
    with pytest.raises(SystemExit) as exit_:
        fit(model, quick, tmp_path, At(9, lambda: signal.raise_signal(signal.SIGTERM)), every_steps=None)
    assert exit_.value.code == 143 and signal.getsignal(signal.SIGTERM) == before
    found = checkpoints.newest(tmp_path)
    assert found.step == model.position == 9 and found.facts["place"] == {"position": 9, "epoch": 0, "done": 9}


@pytest.mark.slow
def test_sigterm_in_the_last_step_still_ends_the_process(quick, tmp_path, fresh):
    with pytest.raises(SystemExit):
        end = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: signal.raise_signal(signal.SIGTERM))
        fit(fresh(), quick, tmp_path, end, epochs=1)
    assert checkpoints.newest(tmp_path).facts["place"] == {"position": 19, "epoch": 1, "done": 0}


def test_a_users_own_handler_is_called_as_well(quick, tmp_path, fresh):
    calls = []
    before = signal.signal(signal.SIGTERM, lambda *args: calls.append(args))
    try:
        with pytest.raises(SystemExit):
            fit(fresh(), quick, tmp_path, At(9, lambda: signal.raise_signal(signal.SIGTERM)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(calls) == 1


def failing(monkeypatch, times):
    """Let the first writes fail as on a full disk."""
    write, calls = checkpoints.write, []

    def full(*args):
        calls.append(args)
        if len(calls) in times:
            raise OSError(28, "No space left on device")
        return write(*args)

    monkeypatch.setattr(checkpoints, "write", full)


def test_a_full_disk_costs_older_checkpoints_first(quick, tmp_path, monkeypatch, fresh):
    failing(monkeypatch, times=[3])
    fit(fresh(), quick, tmp_path, stopped=13, every_steps=4, keep=5)
    assert [checkpoint.name[-2:] for checkpoint in checkpoints.paths(tmp_path)] == ["08", "12"]


def test_a_full_disk_costs_one_checkpoint_and_training_goes_on(quick, tmp_path, monkeypatch, fresh):
    failing(monkeypatch, times=[2, 3])
    model = fresh()
    with pytest.warns(
        UserWarning, match="no checkpoint was written .*No space left.*training goes on.*step-0000000004"
    ):
        fit(model, quick, tmp_path, epochs=1, every_steps=4, keep=9)
    names = [checkpoint.name[-2:] for checkpoint in checkpoints.paths(tmp_path)]
    assert model.position == 19 and names == ["04", "12", "16", "19"]


def test_sigterm_on_a_full_disk_says_that_nothing_was_saved(quick, tmp_path, monkeypatch, fresh):
    failing(monkeypatch, times=[2, 3])
    with pytest.raises(SystemExit) as ended, pytest.warns(UserWarning, match="SIGTERM, and the steps .* are lost"):
        fit(fresh(), quick, tmp_path, At(7, lambda: signal.raise_signal(signal.SIGTERM)))
    assert ended.value.code == 74 and checkpoints.newest(tmp_path).step == 4


def test_a_damaged_newest_checkpoint_costs_one_interval(quick, tmp_path, fresh):
    fit(fresh(), quick, tmp_path, stopped=13)
    data = checkpoints.paths(tmp_path)[-1] / "state.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-100])
    count, model = At(), fresh()
    with pytest.warns(UserWarning, match="step-0000000012 is damaged .*the one before is taken"):
        fit(model, quick, tmp_path, count)
    assert count.steps == 38 - 8 and model.position == 38


# What is refused


@pytest.fixture(scope="module")
def saved(quick, tmp_path_factory, fresh):
    """A run that was stopped after its first checkpoint."""
    directory = tmp_path_factory.mktemp("saved")
    fit(fresh(), quick, directory, stopped=2, every_steps=1)
    return directory


@pytest.mark.parametrize(
    "change, message",
    [
        ({"seed": 8}, "seed was 7 and is 8"),
        ({"sampling": "independent"}, "sampling was 'shuffled' and is 'independent'"),
        ({"examples": 290}, "num_examples was 300 and is 290"),
        ({"regime": "8x8x2:1"}, "regime was '8x16x1:1.0' and is '8x8x2:1.0'"),
    ],
)
def test_other_data_are_refused_by_name(small_arrays, saved, change, message, fresh):
    count = change.pop("examples", 300)
    regime = kms.Regime.parse(change.pop("regime", "8x16x1:1"))
    images, labels = (array[:count] for array in small_arrays)
    other = kms.MixSizeDataset.from_arrays(images, labels, regime=regime, **{"seed": 7} | change)
    with pytest.raises(ValueError, match=f"step-0000000001 is of another run: .*{message}.*new directory"):
        fit(fresh(), other, saved)


def test_another_schedule_is_refused_by_name(small_arrays, tmp_path):
    def data(text, epochs):
        return kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Schedule.parse(text), epochs=epochs, seed=7)

    text, model = "0.5*8x16x1:1; 0.5*8x20x1:1", untrained()
    fit(model, data(text, 2), tmp_path, stopped=2, every_steps=1)
    for other, epochs, message in [
        (text, 3, "epochs was 2 and is 3"),
        ("0.4*8x16x1:1; 0.6*8x20x1:1", 2, "regime was '0.5.8x16x1:1.0;.*and is '0.4.8x16"),
        (
            "8x16x1:1",
            2,
            "regime was '0.5.*and is '8x16x1:1.0'; epochs was 2 and is None; steps_per_epoch was 17 and is 19",
        ),
    ]:
        with pytest.raises(ValueError, match=f"step-0000000001 is of another run: .*{message}.*new directory"):
            fit(model, data(other, epochs), tmp_path, epochs=epochs)


def test_other_models_and_optimizers_are_refused_by_name(quick, saved):
    with pytest.raises(
        ValueError, match=r"model had dense/kernel \(16, 10\) float32 as variable 14 and has .*\(16, 12\)"
    ):
        fit(compiled(tiny_network(classes=12, dropout=0.3)), quick, saved)
    model = untrained()
    model.compile(keras.optimizers.Adam(), model.loss, ["accuracy"])
    with pytest.raises(ValueError, match=r"another run: optimizer had 10 variables and has \d+; give Resume"):
        fit(model, quick, saved)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), model.loss, [])
    with pytest.raises(ValueError, match="another run: metrics had 10 variables and has 6; give"):
        fit(model, quick, saved)


def test_another_epoch_length_is_refused(quick, saved, fresh):
    with pytest.raises(ValueError, match="steps_per_epoch was 19 and is 5"):
        fresh().fit(quick, steps_per_epoch=5, verbose=0, callbacks=[callbacks.Resume(saved)])


def test_resume_needs_a_plan_and_is_alone(quick, small_arrays, tmp_path, fresh):
    resume = callbacks.Resume(tmp_path)
    with pytest.raises(ValueError, match="must not hold 1 Resume: it needs a MixSizeDataset"):
        fresh().fit(*small_arrays, callbacks=[resume])
    with pytest.raises(ValueError, match="must not hold 2 Resume: only one"):
        fresh().fit(quick, callbacks=[resume, callbacks.Resume(tmp_path)])


@pytest.mark.parametrize("options", [{"keep": 0}, {"every_steps": 0}, {"every_minutes": 0}, {"every_steps": 1.5}])
def test_options_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        callbacks.Resume(tmp_path, **options)


def test_it_says_in_one_line_what_it_is():
    text = repr(callbacks.Resume("run/", every_steps=4))
    assert text == "Resume('run', every_steps=4, every_minutes=5.0, keep=3)"
