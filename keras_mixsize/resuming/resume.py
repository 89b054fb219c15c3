"""Resume: a run that was stopped goes on in the middle of its epoch, bitwise as if it had not been.

Neighbours: `checkpoints` (the files), `replicas` (each replica's copy), `workers` (what several processes must do at
the same step), `training`, whose fit asks Resume where to start.

    model.fit(train, epochs=200, callbacks=[kms.callbacks.Resume("run/")])    # the same line starts and goes on
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import logging
import os
import pathlib
import signal
import threading
import time
import warnings
from typing import NoReturn

import keras

from keras_mixsize.arguments import check_count
from keras_mixsize.distribution.replicas import assign_copies, gather_copies, is_summed, pack_copies
from keras_mixsize.distribution.workers import Agreement, Workers
from keras_mixsize.resuming import checkpoints
from keras_mixsize.resuming.identity import check_run, describe_run
from keras_mixsize.resuming.remembered import best_weights, check_going_on, has_stopped, remember, remind

_PROGRESS = "place"  # its name in files, since 0.1.0
_EPOCH_IS_OVER = "the rest of a resumed epoch is done"  # a value of model.stop_training that only Resume sets
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        position: steps trained, and so the number of the plan's next step.
        epoch: the running epoch, as `fit` counts them.
        done: steps of it that are trained already.
    """

    position: int
    epoch: int
    done: int = 0


class Resume(keras.callbacks.Callback):
    """Saves the whole state of a training run, and lets `MixSizeModel.fit` go on from it, in the middle of an epoch.

    Saved are `MixSizeModel.state_variables`, the position in the plan, and what `EarlyStopping`, `ReduceLROnPlateau`
    and `ModelCheckpoint` remember. The state is copied between two steps; a thread writes the copy. With op determinism
    (`tf.config.experimental.enable_op_determinism`) a run that is killed and resumed gives bitwise the weights and logs
    of one that is not. `epochs` of `fit` are those of the whole run, and its `initial_epoch` counts only for a new one.

    At SIGTERM the running step is finished, the state is saved and the process ends with SystemExit(143), or with
    SystemExit(74) and a warning if it could not be saved. The signal is watched if fit runs in the main thread.

    Of several workers (MultiWorkerMirroredStrategy) the first reads and writes the directory, the state of all of them;
    it sends the others what it read. A SIGTERM to one of them stops all. The run may go on with another number of
    workers.

    Args:
        directory: of this run alone, on a disk that knows `rename`; made if it is not there.
        every_steps: save after so many steps, or None. Training waits if the write before is not done.
        every_minutes: save after so many minutes, or None. The end of training is saved in any case.
        keep: how many checkpoints are kept. A full disk costs the older ones first, then only the one to be written.

    Raises:
        ValueError: an option out of range.
    """

    def __init__(self, directory, *, every_steps: int | None = None, every_minutes: float | None = 5.0, keep: int = 3):
        super().__init__()
        check_count("keep", keep)
        if every_steps is not None:
            check_count("every_steps", every_steps)
        if every_minutes is not None and not every_minutes > 0:
            raise ValueError(f"every_minutes must be above 0 or None, got {every_minutes!r}")
        self.directory = pathlib.Path(directory)
        self.every_steps = every_steps
        self.every_minutes = every_minutes
        self.keep = keep
        self._progress = Progress(0, 0)
        self._steps = None
        self._run = self._others = self._restored = None
        self._workers = self._agreement = None
        self._writer = self._writing = None
        self._end = None
        self._saved_position, self._saved_time = 0, 0.0
        self._terminated = False

    def __repr__(self) -> str:
        often = f"every_steps={self.every_steps}, every_minutes={self.every_minutes}"
        return f"Resume({str(self.directory)!r}, {often}, keep={self.keep})"

    @property
    def last_checkpoint(self) -> pathlib.Path | None:
        """The folder of the newest checkpoint, or None."""
        found = checkpoints.paths(self.directory)
        return found[-1] if found else None

    @property
    def is_over(self) -> bool:
        """Whether `EarlyStopping` has ended the run that was restored, so that no more epochs are trained."""
        return self._restored is not None and has_stopped(self._others)

    # Called by MixSizeModel.fit

    def restore(self, model, plan, steps_per_epoch: int, start: Progress, callbacks=()) -> Progress:
        """Bring the model to the newest whole checkpoint, if there is one, and return where the run goes on.

        Args:
            model: a MixSizeModel with all its variables.
            plan: of the data.
            steps_per_epoch: of this run.
            start: where the run starts if there is no checkpoint.
            callbacks: the others, see `Resume`.

        Raises:
            ValueError: the checkpoint is of another run, the directory cannot be written, the steps do not fit
                `steps_per_execution`, or a callback is one that no run goes on with.
        """
        check_going_on(callbacks)
        self.set_model(model)
        self._steps, self._others = steps_per_epoch, callbacks
        self._run = describe_run(model, plan, steps_per_epoch)
        self._workers = Workers(model.distribute_strategy)
        self._agreement = Agreement(self._workers)
        found = self._restored = self._workers.share(self._read)
        self._progress, self._end = start, None
        if found is not None:
            check_run(found.facts["run"], self._run, found.path)
            self._assign()
            self._progress = Progress(**found.facts[_PROGRESS])
            _log.info("resumed at step %d from %s", self._progress.position, found.path)
        left = steps_per_epoch - self._progress.done
        if left % model.steps_per_execution:
            raise ValueError(
                f"steps_per_execution must divide the epoch's {left} steps, got {model.steps_per_execution}"
            )
        return self._progress

    @contextlib.contextmanager
    def running(self):
        """Watch for SIGTERM and write in a thread while the block runs.

        Raises:
            SystemExit: SIGTERM came; 143 if the state is saved, 74 if it could not be.
        """
        self._saved_position, self._saved_time = self._progress.position, time.monotonic()
        self._writer = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="Resume")
        try:
            with self._watching_sigterm(), self._writer:
                yield
        finally:
            self._writer = None
            self._finish_writing("training has ended")

    def _read(self) -> checkpoints.Checkpoint | None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if not os.access(self.directory, os.W_OK | os.X_OK):
            raise ValueError(
                f"directory must be one that this process may write, got {self.directory}; choose another one"
            )
        checkpoints.remove_unfinished(self.directory)
        return checkpoints.newest(self.directory)

    # Called by Keras

    def on_train_begin(self, logs=None):
        """Undo what other callbacks have reset or set anew."""
        if self._restored is not None:
            self._assign()

    def on_epoch_begin(self, epoch, logs=None):
        """Undo what the beginning of a resumed epoch has reset: metrics, and what other callbacks did once before."""
        if self._restored is not None and self._progress.done:  # what they do to a new epoch is to stay
            self._assign()
        self._restored = None

    def on_train_batch_begin(self, batch, logs=None):
        """Save what the last step left, if it is time to; all callbacks have seen that step.

        Raises:
            SystemExit: SIGTERM came; 143 if the state is saved, 74 if it could not be.
        """
        done, position = self._progress.done + batch, self._progress.position + batch
        terminated, waited = self._agreement.any(position, self._terminated, self._has_waited())
        unsaved = position - self._saved_position
        due = waited or (self.every_steps is not None and unsaved >= self.every_steps)
        if unsaved and (due or terminated):
            # where an epoch begins, callbacks have begun it already, and will once more in a run that goes on there
            self._save(self._end if self._end is not None and self._end[0] == position else self._snapshot())
        if terminated:
            self._exit()
        if (
            self._progress.done
            and done + self.model.steps_per_execution >= self._steps
            and not self.model.stop_training
        ):
            self.model.stop_training = _EPOCH_IS_OVER

    def on_epoch_end(self, epoch, logs=None):
        """Let training go on after the rest of a resumed epoch; later epochs are whole."""
        if self.model.stop_training is _EPOCH_IS_OVER:
            self.model.stop_training = False
        self._progress = self._now()
        self._end = self._snapshot()

    def on_train_end(self, logs=None):
        """Save what the last epoch left, so that a fit with more epochs goes on from it.

        By now Keras may have put averages (`use_ema`) or the best weights into the model, which are a result and not
        where to go on.
        """
        if self._end is not None:
            self._save(self._end)
        if self._terminated:
            self._exit()
        self._wait("training has ended")

    # Saving

    def _now(self) -> Progress:
        position = self.model.position
        epochs, done = divmod(self._progress.done + position - self._progress.position, self._steps)
        return Progress(position, self._progress.epoch + epochs, done)

    def _has_waited(self) -> bool:
        """Return whether it is time to save again, of several workers by the first one's clock."""
        waited = time.monotonic() - self._saved_time >= 60 * (self.every_minutes or float("inf"))
        return waited and self._workers.is_chief and (self._writing is None or self._writing.done())

    def _exit(self) -> NoReturn:
        saved = self._wait("the process ends at SIGTERM, and the steps since the last checkpoint are lost")
        raise SystemExit(128 + signal.SIGTERM if saved else os.EX_IOERR)

    def _wait(self, otherwise: str) -> bool:
        """Return whether the first worker has written; all wait, for a scheduler that sees one end kills the others."""
        return self._workers.share(lambda: self._finish_writing(otherwise))

    def _snapshot(self) -> tuple[int, list, dict]:
        """Return the position, each variable's copies, then the best weights of callbacks, and the facts of now."""
        progress, best = self._now(), best_weights(self._others)
        state = gather_copies(self._workers, self.model.state_variables)
        state += [[weight] for weights in best for weight in weights]
        facts = {"run": self._run, _PROGRESS: dataclasses.asdict(progress), "callbacks": remember(self._others)}
        return progress.position, state, facts | {"best_weights": [len(weights) for weights in best]}

    def _save(self, snapshot: tuple[int, list, dict]) -> None:
        self._finish_writing("training goes on, and the next one is tried when it is due")
        self._saved_position, self._saved_time = snapshot[0], time.monotonic()
        if self._workers.is_chief:
            summed = [is_summed(variable) for variable in self.model.state_variables]
            self._writing = self._writer.submit(self._write, *snapshot, summed)

    def _write(self, position: int, state: list, facts: dict, summed: list[bool]) -> None:
        summed = summed + [False] * (len(state) - len(summed))
        values = [pack_copies(copies, summed=sums) for copies, sums in zip(state, summed)]
        try:
            checkpoints.write(self.directory, position, values, facts)
        except checkpoints.WRITE_ERRORS:  # make room, but keep one to fall back on
            checkpoints.prune(self.directory, keep=1)
            checkpoints.write(self.directory, position, values, facts)
        checkpoints.prune(self.directory, self.keep)

    def _finish_writing(self, otherwise: str) -> bool:
        """Wait for the running write, if there is one, and return whether it is well; say what follows otherwise."""
        writing, self._writing = self._writing, None
        if writing is None:
            return True
        try:
            writing.result()
        except checkpoints.WRITE_ERRORS as error:
            reason = str(error).splitlines()[0]
            warnings.warn(
                f"no checkpoint was written to {self.directory} ({reason}); {otherwise}; the last is "
                f"{self.last_checkpoint}",
                stacklevel=2,
            )
            return False
        return True

    def _assign(self) -> None:
        variables, values = self.model.state_variables, self._restored.values
        assign_copies(self._workers, variables, values[: len(variables)])
        facts, best = self._restored.facts, iter(values[len(variables) :])
        counts = facts.get("best_weights", ())  # checkpoints of version 0.1.0 have none
        remind(self._others, facts["callbacks"], [[next(best)[0] for _ in range(count)] for count in counts])

    @contextlib.contextmanager
    def _watching_sigterm(self):
        self._terminated = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number, frame):
            self._terminated = True
            signal.signal(number, before)  # a second signal does what it did before
            if callable(before):
                before(number, frame)

        before = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
