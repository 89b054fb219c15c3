"""MixSizeModel: a Keras model whose training step is traced once per bucket, with gradient smoothing.

Wraps any functional or sequential model and keeps Keras's `compile`, `fit`, `evaluate`, callbacks and saving.
Neighbours: `session` (what a fit is), `step` (what happens in it), `tracing`, `checks`, `warm_up`, `complexity`.

    model = MixSizeModel.from_model(network, l2=1e-4)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"])
    model.fit(train, epochs=200)
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_mixsize.arguments import check_choice, check_count
from keras_mixsize.distribution.workers import Workers, batches_of_worker, check_steps_given
from keras_mixsize.images.rendering import to_float
from keras_mixsize.images.step_images import images_of, mirror_inputs
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.internals import PreparedModel, aggregate_beforehand, output_names
from keras_mixsize.regimes.by_size import BySize
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.plan import Plan
from keras_mixsize.training import batch_norm, complexity
from keras_mixsize.training.checks import (
    check_compiled,
    check_data,
    check_executions,
    check_network,
    check_validation,
)
from keras_mixsize.training.dropout import check_dropout_scale, scaled_dropout
from keras_mixsize.training.gradients import L2_FILTERS, SmoothingState
from keras_mixsize.training.session import check_without_plan, plan_session
from keras_mixsize.training.several_steps import SeveralSteps
from keras_mixsize.training.size_metrics import SizeLogs
from keras_mixsize.training.skipped_steps import SkippedLogs
from keras_mixsize.training.step import TrainingStep
from keras_mixsize.training.tracing import StepPerShape
from keras_mixsize.training.warm_up import WarmUp, warm_up

_log = logging.getLogger(__name__)


@keras.saving.register_keras_serializable(package="keras_mixsize")
class MixSizeModel(PreparedModel):
    """A Keras model trained at mixed image sizes.

    `fit(MixSizeDataset)` goes on in the dataset's plan at `position`, the number of steps this model has trained, which
    is saved with it. Loss and metrics of each size join the logs at the end of an epoch (`loss_32`, `accuracy_48`).

    The options are keywords, and no dataclass: a user sets one or two of them, and Keras saves them by name.

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
        dropout_scale: by what the rates of all layers of dropout and stochastic depth are multiplied in training, at
            every size or, as a `BySize`, at each one.
        fused_batch_norm: whether batch norm is trained by TensorFlow's fused kernel, see `batch_norm`. XLA fuses by
            itself, so with `jit_compile` it is not.

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
        dropout_scale: float | BySize = 1.0,
        fused_batch_norm: bool = False,
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
        check_dropout_scale(dropout_scale, network)
        super().__init__(**{"name": f"mixsize_{network.name}"} | kwargs)
        self.network = network
        self.smoothing = smoothing
        self.l2 = l2
        self.l2_filter = l2_filter
        self.max_skipped = max_skipped
        self.accumulate = accumulate
        self.dropout_scale = dropout_scale
        self.fused_batch_norm = fused_batch_norm
        self.stride = stride if stride is not None else complexity.model_stride(network)
        self._step = TrainingStep(self)
        self._traced_step = self._several_steps = None
        self._under_strategy = tf.distribute.has_strategy()
        self.built = True

    @classmethod
    def from_model(cls, network: keras.Model, **options) -> MixSizeModel:
        """Return `MixSizeModel(network, **options)`."""
        return cls(network, **options)

    def get_config(self):
        """Return what `from_config` needs, the wrapped network included."""
        gradient = {"smoothing": self.smoothing, "l2": self.l2, "l2_filter": self.l2_filter}
        own = {"max_skipped": self.max_skipped, "accumulate": self.accumulate, "stride": self.stride}
        scale = self.dropout_scale
        own |= {"dropout_scale": str(scale) if isinstance(scale, BySize) else scale}
        own |= {"fused_batch_norm": self.fused_batch_norm}
        network = keras.saving.serialize_keras_object(self.network)
        return super().get_config() | gradient | own | {"network": network}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Return the model that `get_config` describes."""
        network = keras.saving.deserialize_keras_object(config.pop("network"), custom_objects=custom_objects)
        if isinstance(config.get("dropout_scale"), str):
            config["dropout_scale"] = BySize.parse(config["dropout_scale"])
        return cls(network, **config)

    @property
    def position(self) -> int:
        """Steps trained so far: where `fit` goes on in the plan."""
        return int(self._step.position.numpy())

    @property
    def smoothing_state(self) -> SmoothingState:
        """The running gradient norm, saved with the model."""
        return self._step.smoothing_state

    @property
    def input_shape(self):
        """Shape of the images, (None, None, None, C)."""
        return self.network.input_shape

    @property
    def output_shape(self):
        """Shape of the network's output."""
        return self.network.output_shape

    @property
    def output_structure(self):
        """The network's symbolic output, or a list or dictionary of several."""
        return self.network.outputs[0] if isinstance(self.network, keras.Sequential) else self.network.output

    @property
    def output_names(self) -> list[str] | None:
        """Names of the network's outputs, by which `compile` takes losses and metrics of several outputs."""
        return output_names(self.network)

    def call(self, inputs, training=None):
        """Return the network's output; bytes are brought to [0, 1] first, and StepImages are mirrored."""
        images = mirror_inputs(inputs)
        if keras.backend.standardize_dtype(images.dtype) == "uint8":
            images = tf.cast(to_float(images), self.compute_dtype)
        return self.network(images, training=training)

    # Keras's life cycle

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        """Configure training, as in Keras, whose other arguments are taken by name.

        For a new phase, of another loss or other trainable weights, smoothing starts anew, because the running norm is
        one of other gradients. With another optimizer or rate only, it goes on: the norm does not depend on them.

        Raises:
            ValueError: under a distribution strategy, `steps_per_execution > 1`, which Keras cannot run (keras issue
                19246), or `jit_compile=True` with synchronised batch norm. Otherwise `jit_compile=True` compiles
                forward and backward of each replica there, and neither `evaluate` nor `predict`.
        """
        super().compile(optimizer, loss, metrics=metrics, **kwargs)
        if self.optimizer is not None:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)  # so that an untrained model is saved whole
        self._step.begin_phase(loss, kwargs.get("loss_weights"))
        self._step.forget_metrics()  # copies of the metrics from before
        self._traced_step = self._several_steps = None
        self._step.jit_in_replica = False
        if self._under_strategy:
            asked = kwargs.get("jit_compile") is True
            check_compiled(self, jit_compile=asked)
            self._step.jit_in_replica, self.jit_compile = asked, False  # the whole step holds a sum over replicas

    def compile_from_config(self, config):
        """Compile as a saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(self, x=None, *args, **kwargs) -> keras.callbacks.History:
        """Train, with Keras's arguments; a MixSizeDataset is checked first and goes on in its plan.

        Under MultiWorkerMirroredStrategy every worker calls it with the same dataset, and makes only its own rows of
        each step; what differs between them is refused. Damaged images that were skipped are logged as a warning at the
        end.

        With a MixSizeDataset `steps_per_epoch` is the plan's unless given. The first step is that of `initial_epoch` if
        it is given, else the dataset's own if it starts later than at 0, else `position`; a checkpoint of
        `callbacks.Resume` goes before all of them.

        Raises:
            ValueError: data and model do not fit together, see `check`, or `validation_data` do not fit the model; or
                another endless dataset without `steps_per_epoch`.
        """
        asked = inspect.signature(super().fit).bind(x, *args, **kwargs).arguments
        check_validation(self, asked.get("validation_data"), asked.get("validation_steps"))
        if not isinstance(x, MixSizeDataset):
            check_without_plan(asked)
            self._several_steps = None  # it knows the shapes of a plan only
            return super().fit(**asked)
        self.check(x)
        session = plan_session(asked | {"x": x.for_step()}, self.position)
        check_executions(session.steps_per_epoch, self.steps_per_execution)
        self.build_steps(session.data.plan.regime.sizes, session.data.element_spec)
        self._join_steps(session.data.plan)
        Workers(self.distribute_strategy).check_agreement(session.facts())
        self._step.position.assign(session.progress.position)
        session = session.restored(self).with_logs(*self._logs(session))
        with session.running():
            history = super().fit(**session.arguments(self.distribute_strategy))
        damaged = x.source.damage_report()
        if damaged:
            lines = "\n  ".join(map(str, damaged))
            _log.warning("%d of %d images were skipped:\n  %s", len(damaged), x.source.num_examples, lines)
        return history

    def _logs(self, session) -> list[keras.callbacks.Callback]:
        """Return the callbacks that add what each epoch's logs have of ours."""
        resume = session.resume
        skipped = SkippedLogs(self._step.skipped, self.max_skipped, lambda: resume and resume.last_checkpoint)
        return [SizeLogs(self._step.size_metrics), skipped]

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluate at the sizes of the data, as in Keras; `evaluate_sizes` does it at each size wanted."""
        check_steps_given(self.distribute_strategy, x, steps=kwargs.get("steps"))
        return super().evaluate(batches_of_worker(self.distribute_strategy, x), *args, **kwargs)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Write a SavedModel of one answer for any size, as Keras does; `export_saved_model` is for several sizes."""
        if input_signature is None:  # Keras finds it only in a model that was called
            input_signature = [keras.InputSpec(dtype="float32", shape=self.input_shape)]
        super().export(filepath, *args, input_signature=input_signature, **kwargs)

    def check(self, data: MixSizeDataset) -> None:
        """Raise a ValueError if this model cannot be trained on the data; see `checks.check_data`."""
        check_data(self, data)

    def build_steps(self, sizes: Sequence[int], spec) -> None:
        """Create every variable that a step needs, so that no bucket is traced twice, and the metrics of each size.

        Args:
            sizes: sides in pixels.
            spec: (images, labels) as tf.TensorSpec, of any batch and size; the images may be those of `for_step`.
        """
        with self.distribute_strategy.scope():
            self.prepare(self._with_labels_per_output(spec))
            if self._step.measure(sizes):
                self.make_train_function(force=True)
        self.make_train_function()

    def _join_steps(self, plan: Plan) -> None:
        """Have `steps_per_execution` steps run in one call, where each batch has one of a plan's shapes."""
        shapes = [(bucket.images // plan.workers, bucket.size) for bucket in plan.regime.buckets]
        if self.steps_per_execution == 1 or self.run_eagerly:
            self._several_steps = None
        elif self._several_steps is None or self._several_steps.shapes != tuple(dict.fromkeys(shapes)):
            self._several_steps = SeveralSteps(self._traced_step, shapes, self.steps_per_execution)

    @property
    def state_variables(self) -> list:
        """Every variable that a training step changes: weights, optimizer, metrics, random state, position."""
        return [
            *self.variables,
            *self.optimizer.variables,
            *self.metrics_variables,
            *self._step.variables,
        ]

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

        def step(data):
            images = images_of(data[0])
            size = self.distribute_strategy.experimental_local_results(images)[0].shape[1]
            with scaled_dropout(self.network, self.dropout_scale, size), self._batch_norm():
                return self._run_on_replicas(train_step, data)

        if not self.run_eagerly:
            step = self._traced_step = StepPerShape(step, self.distribute_strategy, self.jit_compile or None)

        def one_step(iterator):
            return step(next(iterator))

        def train_function(iterator):
            if self._several_steps is not None and isinstance(iterator, tf.data.Iterator):
                return self._several_steps(iterator)
            for _ in range(self.steps_per_execution):
                logs = one_step(iterator)
            return logs

        self.one_step, self.train_function, self._several_steps = one_step, train_function, None
        if self.distribute_strategy.num_replicas_in_sync > 1:
            aggregate_beforehand(self.optimizer)

    def _batch_norm(self) -> contextlib.AbstractContextManager:
        """Return the block in which a step is traced, so that its batch norms are computed as asked."""
        compiled = self.jit_compile or self._step.jit_in_replica
        fused = self.fused_batch_norm and not compiled
        return batch_norm.fused_batch_norm(self.network) if fused else contextlib.nullcontext()

    def make_test_function(self, force=False):
        """Make the function of one evaluation step: Keras's own, but for several workers, where it averages wrongly."""
        if Workers(self.distribute_strategy).count == 1:
            super().make_test_function(force)
        elif self.test_function is None or force:
            test = functools.partial(self._run_on_replicas, self.test_step)
            step = tf.function(test, reduce_retracing=True, autograph=False)
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
        self._step.run(keras.utils.unpack_x_y_sample_weight(self._with_labels_per_output(data)))
        return keras.tree.map_structure(tf.convert_to_tensor, self.get_metrics_result())  # one may return a variable

    def test_step(self, data):
        """Evaluate one batch, as in Keras."""
        return super().test_step(self._with_labels_per_output(data))

    def _with_labels_per_output(self, data):
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        labels = self.labels_per_output(labels)
        return (images, labels) if sample_weight is None else (images, labels, sample_weight)

    def labels_per_output(self, labels):
        """Return labels, repeated for each output of a network of several, such as one with an auxiliary head.

        Args:
            labels: tensors `[N, ...]`, or their specifications; a structure of several is returned as it is.
        """
        if keras.tree.is_nested(self.output_structure) and not keras.tree.is_nested(labels):
            return keras.tree.map_structure(lambda output: labels, self.output_structure)
        return labels

    def warm_up(self, data: Mixture | MixSizeDataset, **options) -> list[WarmUp]:
        """Trace and compile the step of every bucket, the costliest first; see `warm_up.warm_up`."""
        return warm_up(self, data, **options)
