"""Training: a phase as fits of a model, with the learning rate of its steps and averaged weights.

Neighbours: `phases` (what is trained), `runs`.

    history = fit(model, phase, epoch_steps=62, callbacks=[Rates(arm, 0.1, phase)])
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

import keras_mixsize as kms
from evidence.arms import Arm
from evidence.phases import Phase
from evidence.settings import Data, Setting

PAPER_DECAYS = (81, 122, 164)  # epochs of 200, as the authors' ResNet-44


def rate_factor(decay: str, progress: float) -> float:
    """Return what the learning rate is multiplied by after a share of the run.

    Args:
        decay: `"cosine"` or `"steps"`.
        progress: in [0, 1].
    """
    if decay == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 0.1 ** sum(progress >= epoch / 200 for epoch in PAPER_DECAYS)


class Rates(keras.callbacks.Callback):
    """Sets the learning rate before each step of a phase; all phases of a run follow one schedule.

    Args:
        arm: its `decay` and `by_batch`.
        highest: learning rate.
        phase: its steps.
    """

    def __init__(self, arm: Arm, highest: float, phase: Phase):
        super().__init__()
        self.arm, self.highest, self.phase, self.step = arm, highest, phase, 0

    def on_train_batch_begin(self, batch, logs=None):
        """Set it."""
        start, end = self.phase.progress
        progress = start + (end - start) * self.step / self.phase.steps
        self.model.optimizer.learning_rate = self.highest * rate_factor(self.arm.decay, progress) * self._of_batch()
        self.step += 1

    def _of_batch(self) -> float:
        if not self.arm.by_batch:
            return 1.0
        plan = self.phase.train.plan
        return (plan.at(self.phase.first + self.step).bucket.batch / plan.regime.base.batch) ** self.arm.by_batch


class Average(keras.callbacks.Callback):
    """Keeps a moving average of a network's weights, batch-norm statistics included.

    Args:
        network: whose weights.
        momentum: of the average; less in the first steps, so that the initial weights are soon forgotten.
    """

    def __init__(self, network: keras.Model, momentum: float):
        super().__init__()
        self.weights = network.weights
        self.averages = [tf.Variable(weight.numpy()) for weight in self.weights]
        self.momentum, self.steps = momentum, 0
        self.update = tf.function(self._update, autograph=False)

    def on_train_batch_end(self, batch, logs=None):
        """Take the step's weights in."""
        self.update(tf.constant(min(self.momentum, self.steps / (10 + self.steps))))
        self.steps += 1

    def _update(self, momentum):
        for average, weight in zip(self.averages, self.weights):
            average.assign_add((1.0 - momentum) * (tf.convert_to_tensor(weight) - average))

    def use(self) -> None:
        """Put the averages into the network."""
        for average, weight in zip(self.averages, self.weights):
            weight.assign(average)


def build(arm: Arm, setting: Setting, data: Data) -> kms.MixSizeModel:
    """Return the compiled model of an arm; `Rates` sets its learning rate."""
    network = kms.models.build(setting.network, classes=data.classes, channels=data.train.channels)
    model = kms.MixSizeModel(network, smoothing=arm.smoothing, l2=arm.l2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0, momentum=0.9), loss, ["accuracy"])
    return model


def fit(model: kms.MixSizeModel, phase: Phase, epoch_steps: int, callbacks: Sequence) -> dict[str, list[float]]:
    """Train a phase from the model's place in the plan on; return loss and accuracy of each epoch.

    Args:
        model: as the phase before left it.
        phase: its steps.
        epoch_steps: of an epoch; the last one of the phase may be shorter.
        callbacks: of the fit.
    """
    history: dict[str, list[float]] = {"loss": [], "accuracy": []}
    whole, rest = divmod(phase.steps, epoch_steps)
    for epochs, steps in ((whole, epoch_steps), (1, rest)):
        if not epochs * steps:
            continue
        options = {"steps_per_epoch": steps, "callbacks": list(callbacks), "verbose": 0}
        found = model.fit(phase.train, epochs=epochs, **options).history
        for name, values in history.items():
            values += [round(value, 4) for value in found[name]]
    return history
