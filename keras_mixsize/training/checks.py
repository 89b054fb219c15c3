"""What must fit together before a model is trained: its network, the data and the callbacks.

Used by `training`; each function raises a ValueError that says the remedy.

    check_network(network); check_data(model, train)
"""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_mixsize.distribution.workers import Workers
from keras_mixsize.sources.source import check_label_range


def check_data(model, data) -> None:
    """Raise a ValueError if a model cannot be trained on the data.

    Compared are channels, sizes and the model's stride, labels and the number of outputs, and the buckets' images and
    the number of replicas.

    Args:
        model: a MixSizeModel.
        data: a MixSizeDataset.
    """
    channels = model.input_shape[-1]
    if channels != data.source.channels:
        raise ValueError(f"images must have the model's {channels} channels, got {data.source.channels}")
    for size in data.plan.regime.sizes:
        if size % model.stride:
            below = size - size % model.stride
            near = " or ".join(str(near) for near in (below, below + model.stride) if near)
            raise ValueError(
                f"sizes must be multiples of {model.stride}, the stride of this model, got {size}; use "
                f"{near}, or from_model(..., stride=1) to allow any"
            )
    replicas, workers = model.distribute_strategy.num_replicas_in_sync, Workers(model.distribute_strategy).count
    if workers > 1 and data.plan.workers > 1:
        raise ValueError(
            f"data must be whole under MultiWorkerMirroredStrategy, which shards it, got shard {data.plan.worker} of "
            f"{data.plan.workers}; leave out shard()"
        )
    data.plan.regime.check_workers(workers)
    data.plan.regime.check_replicas(replicas)
    for bucket in data.plan.regime.buckets:
        if bucket.images // replicas % model.accumulate:
            raise ValueError(
                f"accumulate must divide the {bucket.images // replicas} images of a replica at size {bucket.size}, got "
                f"{model.accumulate}; solve the regime with multiple_of={model.accumulate * replicas}"
            )
    first = model.output_shape[0] if isinstance(model.output_shape, list) else model.output_shape
    outputs = first[-1] if isinstance(first, tuple) else None
    if not isinstance(outputs, int):
        return
    names = data.source.class_names
    if names is not None and max(outputs, 2) != len(names):
        raise ValueError(f"classes must be the model's {outputs} outputs, got {len(names)} named in the data")
    if data.source.labels.ndim == 1:
        check_label_range(data.source.labels, max(outputs, 2))


def check_network(network: keras.Model) -> None:
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


def check_callbacks(callbacks: list) -> None:
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise ValueError(
            "callbacks must not hold BackupAndRestore: it restores the weights after fit has chosen its place in the "
            "plan, so the data would start over; use keras_mixsize.callbacks.Resume(directory), which keeps the place"
        )


def check_resumes(resumes: list, most: int) -> None:
    if len(resumes) > most:
        why = "only one is allowed" if most else "it needs a MixSizeDataset, whose plan says where to go on"
        raise ValueError(f"callbacks must not hold {len(resumes)} Resume: {why}")


def check_end(dataset: tf.data.Dataset, steps_per_epoch: int | None) -> None:
    if steps_per_epoch is None and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "steps_per_epoch must be given for an endless dataset; one derived from a MixSizeDataset, as by map, no "
            "longer knows its plan: use batch_map= instead, or steps_per_epoch=train.steps_per_epoch"
        )
