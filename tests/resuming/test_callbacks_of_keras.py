"""Every callback of Keras with Resume: a run that is stopped and goes on is bitwise one that was not, or is refused.

A callback that Keras adds fails the first test until it has a row here.
"""

import csv
import inspect

import h5py
import keras
import pytest
from resumed_runs import EACH, EPOCHS, STOPS, assert_same_run, small_data, small_model, train_in_parts
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_mixsize as kms

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of CSVLogger, as after a kill
KEEP_NOTHING = {"History", "LambdaCallback", "ProgbarLogger", "RemoteMonitor", "TerminateOnNaN"}  # of epochs before
REFUSED = {"BackupAndRestore", "SwapEMAWeights"}  # the second with swap_on_epoch; see test_checks.py for the first
NOT_RUN = {"OrbaxCheckpoint"}  # needs a package that nothing else here does
ABSTRACT = {"Callback", "CallbackList"}


class Losses(keras.callbacks.Callback):
    """Gives each epoch the loss that a test wants."""

    def on_epoch_end(self, epoch, logs=None):
        logs["wanted"] = [0.9, 0.1, 0.3][epoch]


def state_of(*names):
    """Return the function that returns these attributes of a callback."""
    return lambda callback, path: {name: getattr(callback, name) for name in names}


def weights_in(callback, path):
    """Return the arrays in each file that a ModelCheckpoint has written, as bytes by their names."""
    found = {}

    def note(name, array):
        if isinstance(array, h5py.Dataset):
            found[array.file.filename[-12:], name] = array[()].tobytes()

    for file in path.iterdir():
        with h5py.File(file) as arrays:
            arrays.visititems(note)
    return found


def last_rows(callback, path):
    """Return the last row of each epoch in a CSV file."""
    with path.open() as stream:
        return {row["epoch"]: row for row in csv.DictReader(stream)}


def scalars(callback, path):
    """Return what TensorBoard shows of the epochs: the last value of each tag at each step."""
    events = EventAccumulator(str(path / "train"), size_guidance={"tensors": 0}).Reload()
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith("epoch_")]
    return {(tag, event.step): event.tensor_proto.tensor_content for tag in tags for event in events.Tensors(tag)}


# What is made with a path of the run's own, and what of it must be the same in the end
KEPT = {
    "EarlyStopping": (
        lambda path: keras.callbacks.EarlyStopping("wanted", mode="min", patience=2),
        state_of("wait", "best", "best_epoch", "stopped_epoch"),
    ),
    "EarlyStopping with the best weights": (
        lambda path: keras.callbacks.EarlyStopping("wanted", mode="min", restore_best_weights=True, patience=2),
        state_of("wait", "best", "best_epoch", "stopped_epoch"),
    ),
    "ReduceLROnPlateau": (
        lambda path: keras.callbacks.ReduceLROnPlateau("wanted", mode="min", patience=1, cooldown=1),
        state_of("wait", "best", "cooldown_counter"),
    ),
    "LearningRateScheduler": (
        lambda path: keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        state_of(),
    ),
    "ModelCheckpoint of the best": (
        lambda path: keras.callbacks.ModelCheckpoint(
            path / "{epoch}.weights.h5", "wanted", mode="min", save_best_only=True, save_weights_only=True
        ),
        weights_in,
    ),
    "ModelCheckpoint by steps": (
        lambda path: keras.callbacks.ModelCheckpoint(path / "{epoch}.weights.h5", save_weights_only=True, save_freq=3),
        weights_in,
    ),
    "CSVLogger": (lambda path: keras.callbacks.CSVLogger(path, append=True), last_rows),
    "TensorBoard": (lambda path: keras.callbacks.TensorBoard(path, write_graph=False), scalars),
    "SwapEMAWeights": (lambda path: keras.callbacks.SwapEMAWeights(), state_of()),
}


def test_every_callback_of_keras_has_a_row():
    found = {name for name in dir(keras.callbacks) if inspect.isclass(getattr(keras.callbacks, name))}
    assert found == {name.split()[0] for name in KEPT} | KEEP_NOTHING | REFUSED | NOT_RUN | ABSTRACT


def run(directory, small_arrays, names, parts):
    """Train in parts with the named callbacks; return the run, and what each callback has in the end."""
    directory.mkdir()
    made = {}

    def callbacks():
        made.update({name: KEPT[name][0](directory / name) for name in names})
        return [Losses(), *made.values()]

    validation = tuple(array[:8] for array in small_arrays)
    trained = train_in_parts(directory / "run", small_data(small_arrays), averaging, parts, callbacks, validation)
    return trained, {name: KEPT[name][1](callback, directory / name) for name, callback in made.items()}


def averaging():
    return small_model(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.5))


def assert_as_whole(tmp_path, small_arrays, names, parts):
    whole, expected = run(tmp_path / "whole", small_arrays, names, [(EPOCHS, None)])
    resumed, found = run(tmp_path / "parts", small_arrays, names, [*parts, (EPOCHS, None)])
    for name in names:
        assert found[name] == expected[name], name
    assert_same_run(whole, resumed)


def test_all_of_them_go_on_together(tmp_path, small_arrays):
    assert_as_whole(tmp_path, small_arrays, list(KEPT), STOPS)


@pytest.mark.slow
@pytest.mark.parametrize("part", EACH, ids="{0[0]} epochs, stopped at {0[1]}".format)
@pytest.mark.parametrize("name", KEPT)
def test_each_goes_on_from_any_step(tmp_path, small_arrays, name, part):
    assert_as_whole(tmp_path, small_arrays, [name], [part])


def test_a_swap_that_overwrites_the_weights_is_refused(tmp_path, small_arrays):
    """After the last epoch the averages are in both places."""
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), kms.callbacks.Resume(tmp_path)]
    with pytest.raises(ValueError, match="callbacks must not hold SwapEMAWeights.swap_on_epoch=True. beside Resume"):
        averaging().fit(small_data(small_arrays), callbacks=callbacks)
