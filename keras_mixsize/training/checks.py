"""What must fit together before a model is trained: its network, the data and the callbacks.

Used by `training`; each function raises a ValueError that says the remedy.

    check_network(network); check_data(model, train)
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.distribution.workers import Workers
from keras_mixsize.images.mixing import CutMix, MixUp, SmoothLabels
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.internals import layers_of, output_names
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.plan import Plan
from keras_mixsize.sources.source import Source, check_label_range
from keras_mixsize.training.scaling import scaling_layer

_SPARSE, _SPARSE_NAMES = keras.losses.SparseCategoricalCrossentropy, ("sparse_categorical_crossentropy",)
_log = logging.getLogger(__name__)


def check_data(model: keras.Model, data: MixSizeDataset) -> None:
    """Raise a ValueError if a model cannot be trained on the data.

    Compared are channels, sizes and the model's stride, labels and the number of outputs, and the buckets' images and
    the number of replicas. A network that scales pixels of 0..255 gets a warning in the log.

    Args:
        model: a MixSizeModel.
        data: what it is to be trained on.
    """
    channels = model.input_shape[-1]
    if channels != data.source.channels:
        raise ValueError(f"images must have the model's {channels} channels, got {data.source.channels}")
    _check_sizes(model, data.plan.regime)
    _check_shares(model, data)
    if _keeps_labels(data.transform.batch_map):
        _check_labels(model, data.source)
        _hint_scaling(model)


def _keeps_labels(batch_map) -> bool:
    """Return whether labels of a step are known to be of the source's classes, and images in [0, 1]."""
    return batch_map is None or isinstance(batch_map, (MixUp, CutMix, SmoothLabels, keras.layers.Layer))


def _hint_scaling(model) -> None:
    layer = scaling_layer(model.network)
    if layer is not None:
        _log.warning(
            "network scales 0..255 itself, in its layer %r, but is given images in [0, 1]; build it with "
            "include_preprocessing=False, or put keras.layers.Rescaling(255) before it: "
            "keras.Sequential([keras.Input((None, None, %d)), keras.layers.Rescaling(255), network])",
            layer.name,
            model.input_shape[-1],
        )


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
    outputs = _classes(model)
    if outputs is None or isinstance(source.labels, dict):
        return
    if source.labels.ndim == 1 and not source.has_classes:
        _check_numbers(model)
        return
    names = source.class_names
    if names is not None and outputs != len(names):
        raise ValueError(
            f"classes must be the model's {model_outputs(model)} outputs, got {len(names)} named in the data"
        )
    if source.has_classes and not _is_regression(model):
        check_label_range(source.labels, outputs)


def _check_numbers(model) -> None:
    """Raise a ValueError if labels that are floats would be cut to classes."""
    if any(isinstance(loss, _SPARSE) or loss in _SPARSE_NAMES for loss in keras.tree.flatten(model.loss)):
        raise ValueError(
            "labels must be integers for sparse_categorical_crossentropy, got floats; use .astype('int64')"
        )


def _is_regression(model) -> bool:
    """Return whether whole numbers may be any, because the one output is compared with them as a number."""
    probability = (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy)
    named = ("binary_crossentropy", "binary_focal_crossentropy")
    return model_outputs(model) == 1 and not isinstance(model.loss, probability) and model.loss not in named


def model_outputs(model) -> int | None:
    """Return the width of a model's first output, or None if it has none."""
    shapes = model.output_shape
    first = shapes[0] if isinstance(shapes, list) else shapes
    return first[-1] if isinstance(first, tuple) and isinstance(first[-1], int) else None


def _classes(model) -> int | None:
    outputs = model_outputs(model)
    return None if outputs is None else max(outputs, 2)


def check_validation(model: keras.Model, data: Any, steps: int | None) -> None:
    """Raise a ValueError if validation data would end a training after its first epoch.

    Compared are rank and channels of the images, and, of arrays, numbers of rows and the range of classes.

    Args:
        model: a MixSizeModel.
        data: the `validation_data` of `fit`.
        steps: its `validation_steps`.
    """
    if isinstance(data, tf.data.Dataset):
        if steps is None and data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError("validation_steps must be given for validation_data without an end")
        spec = data.element_spec
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise ValueError(f"validation_data must be batches (images, labels), got elements {spec}")
        _check_shape(model, spec[0].shape if isinstance(spec[0], tf.TensorSpec) else None)
    elif isinstance(data, (tuple, list)) and len(data) in (2, 3) and not isinstance(data[0], (list, tuple, dict)):
        _check_shape(model, tf.TensorShape(np.shape(data[0])))
        _check_rows(model, *data[:2])


def _check_shape(model, shape: tf.TensorShape | None) -> None:
    channels = model.input_shape[-1]
    if shape is None or shape.rank is None:
        return
    if shape.rank != 4:
        raise ValueError(
            f"validation_data must hold batches of images [N, H, W, {channels}], got the shape {shape}; call .batch() "
            "on a dataset of single images"
        )
    if shape[-1] not in (channels, None):
        raise ValueError(f"validation_data must have the model's {channels} channels, got {shape[-1]}")


def _check_rows(model, images, labels) -> None:
    if any(len(part) != len(images) for part in keras.tree.flatten(labels)):
        rows = [len(part) for part in keras.tree.flatten(labels)]
        raise ValueError(f"validation_data must have a label for each of its {len(images)} images, got {rows[0]}")
    sparse = keras.losses.SparseCategoricalCrossentropy
    if isinstance(model.loss, sparse) or model.loss in ("sparse_categorical_crossentropy",):
        try:
            check_label_range(np.asarray(labels).reshape([-1]), _classes(model))
        except ValueError as error:
            raise ValueError(f"validation_data: {error}") from error


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
    known = isinstance(network, keras.Sequential) or (isinstance(network, keras.Model) and output_names(network))
    if isinstance(network, keras.Model) and not known:
        raise ValueError(
            f"network must be a functional or sequential Keras model, got the subclassed {type(network).__name__}; "
            "call it on an input: inputs = keras.Input((None, None, channels)), then "
            "network = keras.Model(inputs, network(inputs))"
        )
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


def check_executions(steps_per_epoch: int, steps_per_execution: int) -> None:
    """Raise a ValueError if the last call of an epoch would train past its end.

    Args:
        steps_per_epoch: of the run.
        steps_per_execution: of `compile`.
    """
    if steps_per_epoch % steps_per_execution:
        raise ValueError(
            f"steps_per_execution must divide the epoch's {steps_per_epoch} steps, got {steps_per_execution}; "
            f"use {math.gcd(steps_per_epoch, steps_per_execution)}, or give steps_per_epoch="
            f"{max(1, steps_per_epoch // steps_per_execution) * steps_per_execution}"
        )


def check_end(dataset: tf.data.Dataset, steps_per_epoch: int | None) -> None:
    """Raise a ValueError if an epoch on a dataset would never end."""
    if steps_per_epoch is None and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "steps_per_epoch must be given for an endless dataset; one derived from a MixSizeDataset, as by map, no "
            "longer knows its plan: use batch_map= instead, or steps_per_epoch=train.steps_per_epoch"
        )
