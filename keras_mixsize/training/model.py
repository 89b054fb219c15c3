"""MixSizeModel: a Keras model whose training step is traced once per bucket, with gradient smoothing.

Wraps any functional or sequential model and keeps Keras's `compile`, `fit`, `evaluate`, callbacks and saving.
Neighbours: `dataset` (what it trains on), `tracing`, `replicas`, `smoothing`, `size_metrics`, `cost` (checks, warm-up).

    model = MixSizeModel.from_model(network, l2=1e-4)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"])
    model.fit(train, epochs=200)
"""

from __future__ import annotations

import contextlib
import functools
import logging

import keras
import tensorflow as tf

from keras_mixsize.arguments import check_choice, check_count
from keras_mixsize.distribution.replicas import (
    expect_aggregated_gradients,
    run_and_select,
    run_either,
    sum_over_replicas,
)
from keras_mixsize.distribution.workers import Workers, distribute
from keras_mixsize.images.rendering import to_float
from keras_mixsize.images.transform import mirror_inputs
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.regimes.regime import Regime
from keras_mixsize.resuming.resume import Place, Resume
from keras_mixsize.training import complexity
from keras_mixsize.training.checks import check_callbacks, check_data, check_end, check_network, check_resumes
from keras_mixsize.training.gradients import L2_FILTERS, SmoothingState, decayed_weights, in_parts, smooth
from keras_mixsize.training.size_metrics import SizeLogs, SizeMetrics
from keras_mixsize.training.skipped_steps import SkippedLogs, SkippedSteps, mark_of
from keras_mixsize.training.tracing import StepPerShape
from keras_mixsize.training.warm_up import WarmUp, warm_up

_log = logging.getLogger(__name__)


@keras.saving.register_keras_serializable(package="keras_mixsize")
class MixSizeModel(keras.Model):
    """A Keras model trained at mixed image sizes.

    `fit(MixSizeDataset)` goes on in the dataset's plan at `position`, the number of steps this model has trained, which
    is saved with it. Loss and metrics of each size join the logs at the end of an epoch (`loss_32`, `accuracy_48`).

    Args:
        network: a built functional or sequential model of input (None, None, C); its layers are shared, not copied. If
            it has several outputs, as with an auxiliary head, each gets the labels.
        smoothing: momentum of the gradient smoothing, in [0, 1), or None to train without it.
        l2: strength of the L2 weight decay, added to the gradient after smoothing and before momentum. Keras's own is
            decoupled: another thing.
        l2_filter: which weights decay: `"kernels"`, those of two or more dimensions, so neither biases nor batch norm;
            `"no_depthwise"`, kernels but those of depthwise convolutions; or `"all"`.
        max_skipped: steps in a row whose gradients may be non-finite before `fit` stops, or None for any number. Such a
            step changes neither weights nor statistics nor metrics; the logs count them as `skipped_steps`.
        accumulate: parts in which a step is computed, one after the other, so that it needs the memory of one part. The
            gradient is that of the whole batch; batch norm sees a part at a time.
        stride: sizes must be multiples of it; found from the network unless given.

    Raises:
        ValueError: a network with a fixed image size, no image input, or options out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        smoothing: float | None = 0.9,
        l2: float = 0.0,
        l2_filter: str = "kernels",
        max_skipped: int | None = 20,
        accumulate: int = 1,
        stride: int | None = None,
        **kwargs,
    ):
        check_network(network)
        if smoothing is not None and not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be a momentum in [0, 1) or None, got {smoothing!r}")
        if stride is not None and stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride!r}")
        if l2 < 0:
            raise ValueError(f"l2 must not be negative, got {l2!r}")
        if max_skipped is not None:
            check_count("max_skipped", max_skipped)
        check_count("accumulate", accumulate)
        check_choice("l2_filter", l2_filter, L2_FILTERS)
        super().__init__(**{"name": f"mixsize_{network.name}"} | kwargs)
        self.network = network
        self.smoothing = smoothing
        self.l2 = l2
        self.l2_filter = l2_filter
        self.max_skipped = max_skipped
        self.accumulate = accumulate
        self.stride = stride if stride is not None else complexity.model_stride(network)
        state = {"shape": (), "initializer": "zeros", "trainable": False, "aggregation": "only_first_replica"}
        self._norm = self.add_weight(name="smoothing_norm", dtype="float32", **state)
        self._norm_steps = self.add_weight(name="smoothing_steps", dtype="int64", **state)
        self._position = self.add_weight(name="position", dtype="int64", **state)
        self._skipped = SkippedSteps()
        self._size_metrics = SizeMetrics((), ())
        self._traced_step = None
        self._jit_in_replica = False
        self.built = True

    @classmethod
    def from_model(cls, network: keras.Model, **options) -> MixSizeModel:
        """Return `MixSizeModel(network, **options)`."""
        return cls(network, **options)

    def get_config(self):
        """Return what `from_config` needs, the wrapped network included."""
        gradient = {"smoothing": self.smoothing, "l2": self.l2, "l2_filter": self.l2_filter}
        own = {"max_skipped": self.max_skipped, "accumulate": self.accumulate, "stride": self.stride}
        network = keras.saving.serialize_keras_object(self.network)
        return super().get_config() | gradient | own | {"network": network}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Return the model that `get_config` describes."""
        network = keras.saving.deserialize_keras_object(config.pop("network"), custom_objects=custom_objects)
        return cls(network, **config)

    @property
    def position(self) -> int:
        """Steps trained so far: where `fit` goes on in the plan."""
        return int(self._position.numpy())

    @property
    def smoothing_state(self) -> SmoothingState:
        """The running gradient norm, saved with the model."""
        return SmoothingState(tf.convert_to_tensor(self._norm), tf.convert_to_tensor(self._norm_steps))

    @property
    def input_shape(self):
        """Shape of the images, (None, None, None, C)."""
        return self.network.input_shape

    @property
    def output_shape(self):
        """Shape of the network's output."""
        return self.network.output_shape

    def call(self, inputs, training=None):
        """Return the network's output; uint8 images are brought to [0, 1] first, and mirrored if they are of `for_step`."""
        images = mirror_inputs(inputs)
        if keras.backend.standardize_dtype(images.dtype) == "uint8":
            images = tf.cast(to_float(images), self.compute_dtype)
        return self.network(images, training=training)

    # Keras's life cycle

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        """Configure training, as in Keras, whose other arguments are taken by name.

        Raises:
            ValueError: under a distribution strategy, `steps_per_execution > 1`, which Keras cannot run (keras issue
                19246), or `jit_compile=True` with synchronised batch norm. Otherwise `jit_compile=True` compiles forward
                and backward of each replica there, and neither `evaluate` nor `predict`.
        """
        super().compile(optimizer, loss, metrics=metrics, **kwargs)
        if self.optimizer is not None:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)  # so that an untrained model is saved whole
        self._size_metrics, self._traced_step = SizeMetrics((), ()), None  # copies of the metrics from before
        self._jit_in_replica = False
        if self._distribute_strategy is None:
            return
        if self.steps_per_execution > 1:
            steps = self.steps_per_execution
            raise ValueError(f"steps_per_execution must be 1 under a distribution strategy, got {steps}")
        asked = kwargs.get("jit_compile") is True
        norms = (layer for layer in self._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization))
        if asked and any(norm.synchronized for norm in norms):
            raise ValueError(
                "jit_compile must be False or 'auto' under a distribution strategy with synchronised batch norm, got True: XLA "
                "cannot compile sums over replicas; use BatchNormalization(synchronized=False)"
            )
        self._jit_in_replica, self.jit_compile = asked, False  # the whole step holds a sum over replicas

    def compile_from_config(self, config):
        """Compile as a saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(self, x=None, *args, callbacks=None, initial_epoch=0, **kwargs):
        """Train, as in Keras; a MixSizeDataset is checked first and goes on in its plan.

        Under MultiWorkerMirroredStrategy every worker calls it with the same dataset, and makes only its own rows of each
        step; what differs between them is refused. Damaged images that were skipped are logged as a warning at the end.

        With a MixSizeDataset `steps_per_epoch` is the plan's unless given. The first step is that of `initial_epoch` if
        it is given, else the dataset's own if it starts later than at 0, else `position`; a checkpoint of
        `callbacks.Resume` goes before all of them.

        Raises:
            ValueError: data and model do not fit together, see `check`; or another endless dataset without
                `steps_per_epoch`.
        """
        if isinstance(x, tf.data.Dataset) and not isinstance(x, MixSizeDataset):
            check_end(x, kwargs.get("steps_per_epoch"))
        resumes = [callback for callback in keras.tree.flatten(callbacks or []) if isinstance(callback, Resume)]
        if not isinstance(x, MixSizeDataset):
            check_resumes(resumes, most=0)
            return super().fit(x, *args, callbacks=callbacks, initial_epoch=initial_epoch, **kwargs)
        check_resumes(resumes, most=1)
        others = [callback for callback in keras.tree.flatten(callbacks or []) if callback not in resumes]
        check_callbacks(others)
        self.check(x)
        steps = kwargs.setdefault("steps_per_epoch", None) or x.steps_per_epoch
        kwargs["steps_per_epoch"] = steps
        x = x.for_step()
        self.build_steps(x.plan.regime.sizes, x.element_spec)
        place = Place(initial_epoch * steps or x.start or self.position, initial_epoch)
        workers = Workers(self.distribute_strategy)
        epochs = kwargs.get("epochs", args[2] if len(args) > 2 else 1)
        workers.check_agreement(_facts(x.plan, place, resumes) | {"steps_per_epoch": steps, "epochs": epochs})
        self._position.assign(place.position)
        resume = resumes[0] if resumes else None
        if resume is not None:
            place = resume.restore(self, x.plan, steps, place, others)
        skipped = SkippedLogs(self._skipped, self.max_skipped, lambda: resume and resume.last_checkpoint)
        callbacks = [SizeLogs(self._size_metrics), skipped, *others, *resumes]
        kwargs.setdefault("shuffle", False)  # the plan has shuffled already
        if "validation_data" in kwargs:
            wanted = "validation_steps", kwargs.get("validation_steps")
            kwargs["validation_data"] = self._shared_out(kwargs["validation_data"], *wanted)
        with resume.running() if resume is not None else contextlib.nullcontext():
            batches = self._shared_out(x.starting_at(place.position))
            history = super().fit(batches, *args, callbacks=callbacks, initial_epoch=place.epoch, **kwargs)
        damaged = x.source.damage_report()
        if damaged:
            lines = "\n  ".join(map(str, damaged))
            _log.warning("%d of %d images were skipped:\n  %s", len(damaged), x.source.num_examples, lines)
        return history

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluate at the sizes of the data, as in Keras; `evaluate_sizes` does it at each size wanted."""
        return super().evaluate(self._shared_out(x, "steps", kwargs.get("steps")), *args, **kwargs)

    def _shared_out(self, x, argument: str = "", steps: int | None = 1):
        """Return what each of several workers reads of a MixSizeDataset; anything else is left to Keras.

        Raises:
            ValueError: no number of steps was given as the argument of this name.
        """
        if not isinstance(x, MixSizeDataset) or Workers(self.distribute_strategy).count == 1:
            return x
        if steps is None:
            raise ValueError(f"{argument} must be given, because a MixSizeDataset is endless")
        return distribute(self.distribute_strategy, x)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Write a SavedModel of one answer for any size, as in Keras; `export_saved_model` writes one for several sizes."""
        if input_signature is None:  # Keras finds it only in a model that was called
            input_signature = [keras.InputSpec(dtype="float32", shape=self.input_shape)]
        super().export(filepath, *args, input_signature=input_signature, **kwargs)

    def check(self, data: MixSizeDataset) -> None:
        """Raise a ValueError if this model cannot be trained on the data; see `checks.check_data`."""
        check_data(self, data)

    def build_steps(self, sizes, spec) -> None:
        """Create every variable that a step needs, so that no bucket is traced twice, and the metrics of each size.

        Args:
            sizes: sides in pixels.
            spec: (images, labels) as tf.TensorSpec, of any batch and size; the images may be those of `for_step`.
        """
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=self._with_labels_per_output(spec))
            if self._size_metrics.losses.keys() != set(sizes):
                compiled = self._compile_metrics.metrics if self._compile_metrics is not None else []
                self._size_metrics = SizeMetrics(sizes, compiled if isinstance(self.output_shape, tuple) else [])
                self.make_train_function(force=True)
        self.make_train_function()

    @property
    def state_variables(self) -> list:
        """Every variable that a training step changes: weights, optimizer, metrics, random state, place in the plan."""
        return [
            *self.variables,
            *self.optimizer.variables,
            *self.metrics_variables,
            *self._size_metrics.variables,
            *self._skipped.variables,
        ]

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras would read a batch of the running iterator and average it over replicas, which needs equal shapes; with
        # everything built there is nothing left to do.
        if not self.optimizer or not self.optimizer.built or not self._compile_loss_built():
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _compile_loss_built(self) -> bool:
        return self._compile_loss is None or self._compile_loss.built

    # The step

    def make_train_function(self, force=False):
        """Make the function of one step, traced once for each shape of its batch.

        Keras's own would trace a single step of unknown shapes, which TPUs cannot run.
        """
        if self.train_function is not None and not force:
            return

        def train_step(data):
            inputs, *rest = keras.utils.unpack_x_y_sample_weight(data)
            return self.train_step(keras.utils.pack_x_y_sample_weight(mirror_inputs(inputs), *rest))

        step = functools.partial(self._run_on_replicas, train_step)
        if not self.run_eagerly:
            step = self._traced_step = StepPerShape(step, self.distribute_strategy, self.jit_compile or None)

        def train_function(iterator):
            for _ in range(self.steps_per_execution):
                logs = step(next(iterator))
            return logs

        self.train_function = train_function
        if self.distribute_strategy.num_replicas_in_sync > 1:
            expect_aggregated_gradients(self.optimizer)

    def make_test_function(self, force=False):
        """Make the function of one evaluation step: Keras's own, which for several workers would average scalars over rows."""
        if Workers(self.distribute_strategy).count == 1:
            super().make_test_function(force)
        elif self.test_function is None or force:
            step = tf.function(functools.partial(self._run_on_replicas, self.test_step), reduce_retracing=True)
            self.test_function = lambda iterator: step(next(iterator))

    def _run_on_replicas(self, step, data):
        """Return the logs of a step on a batch: the mean of those of this worker's replicas."""
        logs = self.distribute_strategy.run(step, args=(data,))
        local = self.distribute_strategy.experimental_local_results
        return keras.tree.map_structure(lambda value: tf.reduce_mean(tf.stack(local(value)), axis=0), logs)

    @property
    def trace_count(self) -> int:
        """How many times the training step has been traced; one per bucket is what it should be."""
        return self._traced_step.trace_count if self._traced_step is not None else 0

    def train_step(self, data):
        """Train on one batch: forward, backward, smooth, decay, update; a step that is not finite changes nothing."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(self._with_labels_per_output(data))
        weights = self.trainable_weights
        statistics = [tf.convert_to_tensor(weight) for weight in self.network.non_trainable_weights]

        def forward_backward(images, labels, sample_weight):
            with tf.GradientTape() as tape:
                predictions = self(images, training=True)
                loss = self.compute_loss(images, labels, predictions, sample_weight, training=True)
                scaled_loss = self.optimizer.scale_loss(loss)
            return tape.gradient(scaled_loss, weights), loss, predictions

        if self._jit_in_replica:  # made anew in each replica's trace, because each has variables of its own
            forward_backward = tf.function(forward_backward, jit_compile=True, autograph=False)
        batch = (images, labels, sample_weight)
        gradients, loss, predictions = in_parts(forward_backward, batch, self.accumulate)
        # Keras divides the loss by the number of replicas, so that gradients add up; the log wants it whole
        loss = loss * tf.cast(self.distribute_strategy.num_replicas_in_sync, loss.dtype)
        self._update(gradients, weights, statistics, (images, labels, predictions, sample_weight, loss))
        self._position.assign_add(1)
        return self.get_metrics_result()

    def test_step(self, data):
        """Evaluate one batch, as in Keras."""
        return super().test_step(self._with_labels_per_output(data))

    def _with_labels_per_output(self, data):
        """Return a batch whose labels are repeated for a network of several outputs, such as an auxiliary head's."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(self.output_shape, list) and not isinstance(labels, (list, tuple, dict)):
            labels = [labels] * len(self.output_shape)
        return (images, labels) if sample_weight is None else (images, labels, sample_weight)

    def _update(self, gradients, weights, statistics, outcome) -> None:
        """Aggregate, smooth and decay the gradients, then update weights and metrics, or undo the step if not finite.

        Args:
            gradients: of the scaled loss, one for each of `weights`, or None.
            weights: the trainable ones.
            statistics: what the network's other weights were before the step.
            outcome: what `_update_metrics` takes.
        """
        now = [tf.convert_to_tensor(weight) for weight in self.network.non_trainable_weights]
        gradients = [*gradients, mark_of(now)]  # one replica's bad statistics reach all with the gradients
        if self.distribute_strategy.num_replicas_in_sync > 1:
            gradients = sum_over_replicas(gradients)
        scale = self.optimizer.scale_loss(tf.ones([]))
        gradients = [None if g is None else g / tf.cast(scale, g.dtype) for g in gradients]
        smoothed = smooth(gradients, self.smoothing_state, momentum=self.smoothing or 0.0)
        gradients = (gradients if self.smoothing is None else smoothed.gradients)[:-1]
        if self.l2:
            gradients = self._decay(gradients, weights)
        scales_itself = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if scales_itself:  # it skips such steps itself, and lowers its scale when it meets one
            scale = tf.where(smoothed.finite, scale, float("nan"))
        gradients = [None if g is None else g * tf.cast(scale, g.dtype) for g in gradients]

        def take(gradients, statistics, state, outcome):
            if not scales_itself:
                self.optimizer.apply(gradients, weights)
            self._norm.assign(state.norm)
            self._norm_steps.assign(state.steps)
            self._update_metrics(*outcome)

        def undo(gradients, statistics, state, outcome):
            for weight, before in zip(self.network.non_trainable_weights, statistics):
                weight.assign(before)

        if scales_itself:
            self.optimizer.apply(gradients, weights)
        self._skipped.count(smoothed.finite)
        if not self.jit_compile:
            run_either(smoothed.finite, take, undo, gradients, statistics, smoothed.state, outcome)
            return
        changed = [self._norm, self._norm_steps, *self.metrics_variables, *self._size_metrics.variables]
        changed += [] if scales_itself else [*weights, *self.optimizer.variables]
        before = [*statistics, *(tf.convert_to_tensor(variable) for variable in changed)]
        update = functools.partial(take, gradients, statistics, smoothed.state, outcome)
        run_and_select(smoothed.finite, update, [*self.network.non_trainable_weights, *changed], before)

    def _update_metrics(self, images, labels, predictions, sample_weight, loss) -> None:
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(images)[0])
        self._size_metrics.update(images.shape[1], loss, labels, predictions, sample_weight)
        self.compute_metrics(images, labels, predictions, sample_weight)

    def _decay(self, gradients, weights):
        decayed = decayed_weights(self.network, self.l2_filter)
        return [
            gradient + self.l2 * tf.cast(weight, gradient.dtype)
            if gradient is not None and id(weight) in decayed
            else gradient
            for gradient, weight in zip(gradients, weights)
        ]

    def warm_up(self, data: Regime | MixSizeDataset, **options) -> list[WarmUp]:
        """Trace and compile the step of every bucket, the costliest first; see `warm_up.warm_up`."""
        return warm_up(self, data, **options)


def _facts(plan, place: Place, resumes: list) -> dict:
    """Return what must be the same on all workers, most telling first."""
    settings = {"regime": str(plan.regime), "num_examples": plan.num_examples, "seed": plan.seed}
    saves = [(resume.every_steps, resume.every_minutes) for resume in resumes]
    where = {"position": place.position, "initial_epoch": place.epoch, "Resume's every_steps and every_minutes": saves}
    return settings | {"sampling": plan.sampling, "the plan's fingerprint": plan.fingerprint()} | where
