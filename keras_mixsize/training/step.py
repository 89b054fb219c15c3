"""TrainingStep: one step of a MixSizeModel, from a batch to new weights, taken whole or not at all.

`model` calls `run` in its `train_step`, in a replica's context or without any strategy. Neighbours: `gradients` (the
arithmetic), `distribution.replicas` (all replicas or none), `size_metrics` and `skipped_steps` (what is logged).

    step = TrainingStep(model)              # adds its variables to the model
    step.run((images, labels, None))
    step.position, step.smoothing_state
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_mixsize.distribution.replicas import run_and_select, run_either, sum_over_replicas
from keras_mixsize.internals import apply_aggregated, compiled_metrics
from keras_mixsize.training.gradients import SmoothingState, decay, decayed_weights, in_parts, smooth
from keras_mixsize.training.reductions import losses_of_outputs, sums_for_parts, weights_for_parts
from keras_mixsize.training.size_metrics import SizeMetrics
from keras_mixsize.training.skipped_steps import SkippedSteps, mark_of


class Update(NamedTuple):
    """What a step is about to do.

    Attributes:
        gradients: summed over replicas, smoothed, decayed and scaled as the optimizer expects them; one for each
            weight, or None.
        state: of the smoothing, after this step.
        finite: bool scalar, whether the step may be taken.
    """

    gradients: list[tf.Tensor | None]
    state: SmoothingState
    finite: tf.Tensor


class Outcome(NamedTuple):
    """What the metrics see of a step: a batch, the network's answers, and the loss of the whole batch, a scalar."""

    images: tf.Tensor
    labels: object
    predictions: object
    sample_weight: object
    loss: tf.Tensor


class TrainingStep:
    """The step of a model, with the variables that it has beside Keras's own.

    Args:
        model: a MixSizeModel; three scalar weights are added to it: `smoothing_norm`, `smoothing_steps` and `position`.

    Attributes:
        position: int64 scalar variable, steps trained so far.
        skipped: counters of the steps that were not finite.
        size_metrics: loss and metrics of each size; none before `measure`.
        jit_in_replica: whether XLA compiles forward and backward of each replica by themselves.
    """

    def __init__(self, model):
        scalar = {"shape": (), "initializer": "zeros", "trainable": False, "aggregation": "only_first_replica"}
        self._model = model
        self._norm = model.add_weight(name="smoothing_norm", dtype="float32", **scalar)
        self._norm_steps = model.add_weight(name="smoothing_steps", dtype="int64", **scalar)
        self.position = model.add_weight(name="position", dtype="int64", **scalar)
        self.skipped = SkippedSteps()
        self.size_metrics = SizeMetrics(())
        self.jit_in_replica = False
        self._phase = None

    @property
    def smoothing_state(self) -> SmoothingState:
        """The running gradient norm."""
        return SmoothingState(tf.convert_to_tensor(self._norm), tf.convert_to_tensor(self._norm_steps))

    @property
    def variables(self) -> list:
        """The variables of metrics and counters, which are not saved with the model but go on with a run."""
        return [*self.size_metrics.variables, *self.skipped.variables]

    def measure(self, sizes: Sequence[int]) -> bool:
        """Have a loss, and copies of the compiled metrics, for each size.

        Returns:
            Whether they are new, so that a step that was traced before lacks them.
        """
        if self.size_metrics.losses.keys() == set(sizes):
            return False
        self.size_metrics = SizeMetrics(sizes, compiled_metrics(self._model))
        return True

    def begin_phase(self, loss, loss_weights) -> None:
        """Forget the running norm unless it is one of the same loss and weights; before the first phase it is kept.

        Args:
            loss, loss_weights: what `compile` was given.
        """
        trained = [weight.path for weight in self._model.trainable_weights]
        phase = (keras.tree.map_structure(_described, loss), loss_weights, trained)
        if self._phase is not None and self._phase != phase:
            self._norm.assign(0.0)
            self._norm_steps.assign(0)
        self._phase = phase

    def forget_metrics(self) -> None:
        """Have no metrics of sizes; those from before may be copies of metrics that are compiled no more."""
        self.size_metrics = SizeMetrics(())

    def run(self, batch: tuple) -> None:
        """Train on one batch: forward, backward, smooth, decay, update; a step that is not finite changes nothing.

        Args:
            batch: (images `[N, S, S, C]`, labels, sample weights or None).
        """
        model, weights = self._model, self._model.trainable_weights
        before = _values(self._changed_by_forward)
        gradients, loss, predictions = self._computed(weights, batch)
        # Keras divides the loss by the number of replicas, so that gradients add up; the log wants it whole
        loss = loss * tf.cast(model.distribute_strategy.num_replicas_in_sync, loss.dtype)
        images, labels, sample_weight = batch
        update = self._update(gradients, weights)
        self._take_or_undo(update, before, Outcome(images, labels, predictions, sample_weight, loss))
        self.position.assign_add(1)

    def _computed(self, weights: list, batch: tuple) -> tuple[list, tf.Tensor, object]:
        """Return gradients of the scaled loss, loss and predictions of a batch, computed in parts where so asked."""
        model, function = self._model, self._forward_backward(weights)
        if model.accumulate == 1:
            return function(*batch)
        images, labels, sample_weight = batch
        outputs = model.output_structure
        losses = losses_of_outputs(model.loss, self._names_of_losses)
        given = None if sample_weight is None else keras.tree.flatten(sample_weight)
        if given is not None and len(given) < len(losses):
            given = given[:1] * len(losses)  # as Keras does
        options = {"parts": model.accumulate, "replicas": model.distribute_strategy.num_replicas_in_sync}
        of_outputs = weights_for_parts(losses, given, rows=tf.shape(keras.tree.flatten(labels)[0])[0], **options)
        if isinstance(outputs, dict):
            of_parts = dict(zip(self._names_of_losses, of_outputs))
        else:
            of_parts = of_outputs if keras.tree.is_nested(outputs) else of_outputs[0]
        with sums_for_parts(losses, given):
            return in_parts(function, (images, labels, of_parts), model.accumulate)

    @property
    def _names_of_losses(self) -> list[str]:
        """Names of the outputs in the order of their flattened structure."""
        outputs = self._model.output_structure
        if isinstance(outputs, dict):
            return sorted(outputs)  # as Keras flattens
        return self._model.output_names or [outputs.name]

    @property
    def _changed_by_forward(self) -> list:
        """Statistics, and the losses of several outputs, which Keras adds up while it computes them."""
        own = compiled_metrics(self._model)
        losses = [metric for metric in self._model.metrics if metric is not own and metric.name != "loss"]
        return [*self._model.network.non_trainable_weights, *(v for metric in losses for v in metric.variables)]

    def _forward_backward(self, weights: list) -> Callable:
        """Return the function of a batch that returns gradients of the scaled loss, loss and predictions."""
        model = self._model

        def forward_backward(images, labels, sample_weight):
            with tf.GradientTape() as tape:
                predictions = model(images, training=True)
                loss = model.compute_loss(images, labels, predictions, sample_weight, training=True)
                scaled_loss = model.optimizer.scale_loss(loss)
            return tape.gradient(scaled_loss, weights), loss, predictions

        if self.jit_in_replica:  # made anew in each replica's trace, because each has variables of its own
            return tf.function(forward_backward, jit_compile=True, autograph=False)
        return forward_backward

    def _update(self, gradients: list, weights: list) -> Update:
        """Return what to do with the gradients of the scaled loss of this replica."""
        model = self._model
        # one replica's bad statistics reach all with the gradients
        gradients = [*gradients, mark_of(_values(model.network.non_trainable_weights))]
        if model.distribute_strategy.num_replicas_in_sync > 1:
            gradients = sum_over_replicas(gradients)
        scale = model.optimizer.scale_loss(tf.ones([]))
        gradients = [None if g is None else g / tf.cast(scale, g.dtype) for g in gradients]
        smoothed = smooth(gradients, self.smoothing_state, momentum=model.smoothing or 0.0)
        gradients = (gradients if model.smoothing is None else smoothed.gradients)[:-1]
        if model.l2:
            gradients = decay(gradients, weights, decayed_weights(model.network, model.l2_filter), model.l2)
        if self._optimizer_skips():  # and lowers its scale when it meets a step that is not finite
            scale = tf.where(smoothed.finite, scale, float("nan"))
        gradients = [None if g is None else g * tf.cast(scale, g.dtype) for g in gradients]
        return Update(gradients, smoothed.state, smoothed.finite)

    def _take_or_undo(self, update: Update, before: list[tf.Tensor], outcome: Outcome) -> None:
        """Update weights and metrics; of a step that is not finite, give what changed before its old values back."""
        model = self._model
        forward = self._changed_by_forward

        def take(update, before, outcome):
            if not self._optimizer_skips():
                apply_aggregated(model.optimizer, update.gradients, model.trainable_weights)
            self._norm.assign(update.state.norm)
            self._norm_steps.assign(update.state.steps)
            self._update_metrics(outcome)

        def undo(update, before, outcome):
            for variable, value in zip(forward, before):
                variable.assign(value)

        if self._optimizer_skips():
            apply_aggregated(model.optimizer, update.gradients, model.trainable_weights)
        self.skipped.count(update.finite)
        if not model.jit_compile:
            run_either(update.finite, take, undo, update, before, outcome)
            return
        changed = self._changed_by_take()
        before = [*before, *_values(changed)]
        run_and_select(update.finite, functools.partial(take, update, before, outcome), [*forward, *changed], before)

    def _changed_by_take(self) -> list:
        model = self._model
        before = {id(variable) for variable in self._changed_by_forward}
        metrics = [variable for variable in model.metrics_variables if id(variable) not in before]
        metrics += self.size_metrics.variables
        trained = [] if self._optimizer_skips() else [*model.trainable_weights, *model.optimizer.variables]
        return [self._norm, self._norm_steps, *metrics, *trained]

    def _update_metrics(self, outcome: Outcome) -> None:
        model, (images, labels, predictions, sample_weight, loss) = self._model, outcome
        # the first one is that of the loss, as Keras's guide to custom training steps finds it
        total = next(metric for metric in model.metrics if metric.name == "loss")
        total.update_state(loss, sample_weight=tf.shape(images)[0])
        self.size_metrics.update(images.shape[1], loss, labels, predictions, sample_weight)
        model.compute_metrics(images, labels, predictions, sample_weight)

    def _optimizer_skips(self) -> bool:
        """Return whether the optimizer itself skips steps that are not finite, because it scales the loss."""
        return isinstance(self._model.optimizer, keras.optimizers.LossScaleOptimizer)


def _described(loss):
    """Return a loss of Keras's as its type and settings; a name or a function as it is."""
    return (type(loss), str(loss.get_config())) if isinstance(loss, keras.losses.Loss) else loss


def _values(variables: Sequence) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(variable) for variable in variables]
