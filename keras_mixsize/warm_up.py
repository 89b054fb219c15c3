"""warm_up: trace, compile and time the training step of every bucket before the training starts.

Used by `training`, as `MixSizeModel.warm_up`. Neighbours: `bucket`, `cost` (memory), `regime`.

    for measured in model.warm_up(regime):
        print(measured)             # S=48 B=24 D=1: compiled in 2.1 s, 105 ms per step, peak 812 MiB
"""

from __future__ import annotations

import dataclasses
import statistics
import time

import keras
import tensorflow as tf

from keras_mixsize import cost
from keras_mixsize.bucket import Bucket, check_count
from keras_mixsize.regime import Regime


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """What `warm_up` measured for one bucket.

    Attributes:
        bucket: the shape.
        compile_seconds: the first step, with tracing and compilation, less a later step.
        step_seconds: a later step; the median, if there are several.
        peak_bytes: peak memory, see `cost.peak_memory`.
    """

    bucket: Bucket
    compile_seconds: float
    step_seconds: float
    peak_bytes: int

    def __str__(self) -> str:
        shape = f"S={self.bucket.size} B={self.bucket.batch} D={self.bucket.duplicates}"
        times = f"compiled in {self.compile_seconds:.1f} s, {1000 * self.step_seconds:.0f} ms per step"
        return f"{shape}: {times}, peak {self.peak_bytes / 2**20:.0f} MiB"


def warm_up(
    model,
    regime: Regime,
    *,
    repeats: int = 1,
    dtype: str = "float32",
    label_shape: tuple = (),
    label_dtype: str = "int64",
) -> list[WarmUp]:
    """Trace and compile the step of every bucket, the costliest first, and leave the model as it was.

    The costliest first: what does not fit in memory fails at once, and later buckets reuse its memory.

    Args:
        model: a compiled MixSizeModel.
        regime: its buckets.
        repeats: later steps to time; take 5 or more for `Regime.rebalance`.
        dtype: of the images, as the dataset emits them.
        label_shape: of one label; `(classes,)` for one-hot labels.
        label_dtype: of the labels.

    Returns:
        Compile time, step time and peak memory of each bucket, in the order run.

    Raises:
        ValueError: the model is not compiled, or no repeats.
    """
    check_count("repeats", repeats)
    if not model.compiled:
        raise ValueError("warm_up runs the training step, so the model must be compiled first; call compile()")
    image_spec = tf.TensorSpec([None, None, None, model.input_shape[-1]], dtype)
    label_spec = tf.TensorSpec([None, *label_shape], label_dtype)
    model.build_steps(regime.sizes, (image_spec, label_spec))
    locally = model.distribute_strategy.experimental_local_results
    copies = [copy for variable in model.state_variables for copy in locally(variable.value)]  # replicas' may differ
    before = [copy.numpy() for copy in copies]
    try:
        order = sorted(regime.buckets, key=lambda bucket: -bucket.cost)
        return [_warm_up_bucket(model, bucket, image_spec, label_spec, repeats) for bucket in order]
    finally:
        for copy, value in zip(copies, before):
            copy.assign(value)


def _warm_up_bucket(model, bucket: Bucket, image_spec, label_spec, repeats: int) -> WarmUp:
    images = tf.zeros([bucket.images, bucket.size, bucket.size, image_spec.shape[-1]], image_spec.dtype)
    labels = tf.zeros([bucket.images, *label_spec.shape[1:]], label_spec.dtype)
    batch = tf.data.Dataset.from_tensors((images, labels)).repeat()
    batches = iter(model.distribute_strategy.experimental_distribute_dataset(batch))
    with cost.peak_memory() as peak_bytes:
        first, *later = (_seconds(lambda: model.train_function(batches)) for _ in range(1 + repeats))
        usual = statistics.median(later)
        return WarmUp(bucket, max(first - usual, 0.0), usual, peak_bytes())


def _seconds(call) -> float:
    start = time.perf_counter()
    keras.tree.map_structure(lambda value: value.numpy(), call())
    return time.perf_counter() - start
