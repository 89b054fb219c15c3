"""Session: what one `fit` on a MixSizeDataset is, decided before anything runs.

A pure function makes the value, `MixSizeModel.fit` carries it out: check, build, restore, hand to Keras. Neighbours:
`resuming` (where a stopped run goes on), `distribution.workers` (what several processes must agree on).

    session = plan_session({"x": train.for_step(), "epochs": 90}, position=0)
    session.progress.position, session.epochs, session.steps_per_epoch      # 0, 90, 781
    history = keras.Model.fit(model, **session.arguments(strategy))     # what MixSizeModel.fit does in the end
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mixsize.distribution.workers import batches_of_worker, check_steps_given
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.resuming.resume import Progress, Resume
from keras_mixsize.training.checks import check_callbacks, check_end, check_length, check_resumes

_DECIDED = (
    "x",
    "callbacks",
    "epochs",
    "initial_epoch",
    "steps_per_epoch",
)  # of Keras's arguments, the rest is handed on


@dataclasses.dataclass(frozen=True)
class Session:
    """One run of training.

    Attributes:
        data: the training batches as the step takes them, of the whole plan.
        progress: where the run begins, in the plan and in its epochs.
        epochs: the epoch at which it ends, counted from that of the whole run.
        steps_per_epoch: the same for all epochs.
        callbacks: in the order in which they are called.
        resume: the Resume among them, or None.
        options: Keras's other arguments by name, such as `verbose` and `validation_data`.
    """

    data: MixSizeDataset
    progress: Progress
    epochs: int
    steps_per_epoch: int
    callbacks: tuple[keras.callbacks.Callback, ...]
    resume: Resume | None
    options: Mapping[str, Any]

    @property
    def batches(self) -> MixSizeDataset:
        """The training batches from the run's first step on."""
        return self.data.starting_at(self.progress.position)

    def restored(self, model) -> Session:
        """Bring the model to the newest checkpoint of Resume, if there is one, and return the run that is left.

        Args:
            model: a MixSizeModel with all its variables.

        Raises:
            ValueError: the checkpoint is of another run, see `Resume.restore`.
        """
        if self.resume is None:
            return self
        others = [callback for callback in self.callbacks if callback is not self.resume]
        progress = self.resume.restore(model, self.data.plan, self.steps_per_epoch, self.progress, others)
        epochs = min(self.epochs, progress.epoch) if self.resume.is_over else self.epochs
        return dataclasses.replace(self, progress=progress, epochs=epochs)

    def with_logs(self, *logs: keras.callbacks.Callback) -> Session:
        """Return the same run with callbacks that add to the logs, and so are called before those that read them."""
        return dataclasses.replace(self, callbacks=(*logs, *self.callbacks))

    def facts(self) -> dict[str, object]:
        """Return what must be the same on all workers, by name, most telling first."""
        plan, resume = self.data.plan, self.resume
        settings = {"regime": str(plan.regime), "num_examples": plan.num_examples, "seed": plan.seed}
        settings |= {"sampling": plan.sampling_words, "the plan's fingerprint": plan.fingerprint()}
        saves = None if resume is None else (resume.every_steps, resume.every_minutes)
        start = {"position": self.progress.position, "initial_epoch": self.progress.epoch}
        length = {"steps_per_epoch": self.steps_per_epoch, "epochs": self.epochs}
        return settings | start | {"Resume's every_steps and every_minutes": saves} | length

    def arguments(self, strategy: tf.distribute.Strategy) -> dict[str, Any]:
        """Return the arguments of Keras's `fit`; of several workers, each reads its own rows.

        Raises:
            ValueError: validation on a MixSizeDataset without `validation_steps`, on several workers.
        """
        decided = {
            "x": batches_of_worker(strategy, self.batches),
            "callbacks": list(self.callbacks),
            "epochs": self.epochs,
            "initial_epoch": self.progress.epoch,
            "steps_per_epoch": self.steps_per_epoch,
        }
        options = {"shuffle": False} | dict(self.options)  # the plan has shuffled already
        if "validation_data" in options:
            validation = options["validation_data"]
            check_steps_given(strategy, validation, validation_steps=options.get("validation_steps"))
            options["validation_data"] = batches_of_worker(strategy, validation)
        return decided | options

    def running(self) -> contextlib.AbstractContextManager:
        """Return what must be open while the run goes on."""
        return contextlib.nullcontext() if self.resume is None else self.resume.running()


def plan_session(asked: Mapping[str, Any], position: int) -> Session:
    """Return the run that is asked for.

    The first step is that of `initial_epoch` if it is given, else the dataset's own if it starts later than at 0, else
    the model's position. The user's callbacks keep their order, and Resume comes last, because it saves what they did.

    Args:
        asked: arguments of `fit` by name; `x` is a MixSizeDataset as the step takes it, see `for_step`.
        position: steps that the model has trained.

    Raises:
        ValueError: callbacks that do not fit a plan, see `check_callbacks` and `check_resumes`, or a run that is not as
            long as the plan's schedule, see `check_length`.
    """
    data, initial_epoch = asked["x"], asked.get("initial_epoch", 0)
    callbacks = _callbacks(asked)
    resumes = [callback for callback in callbacks if isinstance(callback, Resume)]
    others = [callback for callback in callbacks if callback not in resumes]
    check_resumes(resumes, most=1)
    check_callbacks(others)
    steps, epochs = asked.get("steps_per_epoch") or data.steps_per_epoch, asked.get("epochs", 1)
    check_length(data.plan, steps, epochs)
    return Session(
        data=data,
        progress=Progress(initial_epoch * steps or data.start or position, initial_epoch),
        epochs=epochs,
        steps_per_epoch=steps,
        callbacks=(*others, *resumes),
        resume=resumes[0] if resumes else None,
        options={name: value for name, value in asked.items() if name not in _DECIDED},
    )


def check_without_plan(asked: Mapping[str, Any]) -> None:
    """Raise a ValueError if a `fit` on other data than a MixSizeDataset would never end, or could not be resumed."""
    if isinstance(asked["x"], tf.data.Dataset):
        check_end(asked["x"], asked.get("steps_per_epoch"))
    check_resumes([callback for callback in _callbacks(asked) if isinstance(callback, Resume)], most=0)


def _callbacks(asked: Mapping[str, Any]) -> Sequence[keras.callbacks.Callback]:
    return keras.tree.flatten(asked.get("callbacks") or [])
