"""What must fit together before a model is trained: its network, the data and the callbacks.

Used by `training`; each function raises a ValueError that says the remedy.

    check_network(network); check_data(model, train)
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_mixsize.distribution.workers import Workers
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.internals import layers_of
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.plan import Plan
from keras_mixsize.sources.source import Source, check_label_range


def check_data(model: keras.Model, data: MixSizeDataset) -> None:
    """Raise a ValueError if a model cannot be trained on the data.

    Compared are channels, sizes and the model's stride, labels and the number of outputs, and the buckets' images and
    the number of replicas.

    Args:
        model: a MixSizeModel.
        data: what it is to be trained on.
    """
    channels = model.input_shape[-1]
    if channels != data.source.channels:
        raise ValueError(f"images must have the model's {channels} channels, got {data.source.channels}")
    _check_sizes(model, data.plan.regime)
    _check_shares(model, data)
    _check_labels(model, data.source)


def _check_sizes(model, regime: Mixture) -> None:
    for size in regime.sizes:
        if size % model.stride:
            below = size - size % model.stride
            near = " or ".join(str(near) for near in (below, below + model.stride) if near)
            raise ValueError(
                f"sizes must be multiples of {model.stride}, the stride of this model, got {size}; use "
                f"{near}, or from_model(..., stride=1) to allow any"
            )


def _check_shares(model, data: MixSizeDataset) -> None:
    """Raise unless workers, replicas and parts of an accumulated step can share every bucket's images."""
    plan, workers = data.plan, Workers(model.distribute_strategy).count
    if workers > 1 and plan.workers > 1:
        raise ValueError(
            f"data must be whole under MultiWorkerMirroredStrategy, which shards it, got shard {plan.worker} of "
            f"{plan.workers}; leave out shard()"
        )
    replicas = model.distribute_strategy.num_replicas_in_sync
    plan.regime.check_workers(workers)
    plan.regime.check_replicas(replicas)
    for bucket in plan.regime.buckets:
        if bucket.images // replicas % model.accumulate:
            raise ValueError(
                f"accumulate must divide the {bucket.images // replicas} images of a replica at size {bucket.size}, "
                f"got {model.accumulate}; solve the regime with multiple_of={model.accumulate * replicas}"
            )


def _check_labels(model, source: Source) -> None:
    """Raise unless the labels are those of the model's first output, where that is a number of classes."""
    first = model.output_shape[0] if isinstance(model.output_shape, list) else model.output_shape
    outputs = first[-1] if isinstance(first, tuple) else None
    if not isinstance(outputs, int):
        return
    names = source.class_names
    if names is not None and max(outputs, 2) != len(names):
        raise ValueError(f"classes must be the model's {outputs} outputs, got {len(names)} named in the data")
    if source.labels.ndim == 1:
        check_label_range(source.labels, max(outputs, 2))


def check_compiled(model: keras.Model, *, jit_compile: bool) -> None:
    """Raise a ValueError if a model that was made under a strategy cannot be trained as it is compiled.

    Args:
        model: a MixSizeModel.
        jit_compile: whether XLA was asked for.
    """
    if model.steps_per_execution > 1:
        steps = model.steps_per_execution
        raise ValueError(f"steps_per_execution must be 1 under a distribution strategy, got {steps}")
    norms = (layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization))
    if jit_compile and any(norm.synchronized for norm in norms):
        raise ValueError(
            "jit_compile must be False or 'auto' under a distribution strategy with synchronised batch norm, got True: "
            "XLA cannot compile sums over replicas; use BatchNormalization(synchronized=False)"
        )


def check_network(network: keras.Model) -> None:
    """Raise a ValueError if a network is none that takes images of any size and can be wrapped by a MixSizeModel."""
    if not isinstance(network, keras.Model) or not network.built or isinstance(network.input_shape, (list, dict)):
        raise ValueError(
            f"network must be a built functional or sequential Keras model with one image input, got {network!r}"
        )
    shape = network.input_shape
    if len(shape) != 4 or shape[1:3] != (None, None) or shape[3] is None:
        raise ValueError(
            f"network must accept images of any size, got the input shape {shape}; "
            f"build it with keras.Input((None, None, {shape[-1]})) and global pooling instead of Flatten"
        )


def check_callbacks(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Raise a ValueError if a callback would bring a model back to where its plan is not."""
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise ValueError(
            "callbacks must not hold BackupAndRestore: it restores the weights after fit has chosen its first step "
            "of the plan, so the data would start over; use keras_mixsize.callbacks.Resume(directory), which "
            "restores both"
        )


def check_resumes(resumes: Sequence[keras.callbacks.Callback], most: int) -> None:
    """Raise a ValueError if there are more than `most` callbacks of the class Resume."""
    if len(resumes) > most:
        why = "only one is allowed" if most else "it needs a MixSizeDataset, whose plan says where to go on"
        raise ValueError(f"callbacks must not hold {len(resumes)} Resume: {why}")


def check_length(plan: Plan, steps_per_epoch: int, epochs: int) -> None:
    """Raise a ValueError if a run is not as long as the one that a schedule's stages are shares of.

    Args:
        plan: of the data; that of a single regime is for runs of any length.
        steps_per_epoch: of the run.
        epochs: at which the run ends.
    """
    if not plan.is_scheduled:
        return
    if epochs != plan.epochs:
        raise ValueError(
            f"epochs must be those of the data's schedule, {plan.epochs}, because its stages are shares of all "
            f"steps, got "
            f"{epochs}; give MixSizeDataset the same epochs="
        )
    if steps_per_epoch != plan.steps_per_epoch:
        raise ValueError(
            f"steps_per_epoch must be those of the data's schedule, {plan.steps_per_epoch}, got {steps_per_epoch}; "
            f"leave "
            "it out"
        )


def check_end(dataset: tf.data.Dataset, steps_per_epoch: int | None) -> None:
    """Raise a ValueError if an epoch on a dataset would never end."""
    if steps_per_epoch is None and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "steps_per_epoch must be given for an endless dataset; one derived from a MixSizeDataset, as by map, no "
            "longer knows its plan: use batch_map= instead, or steps_per_epoch=train.steps_per_epoch"
        )
