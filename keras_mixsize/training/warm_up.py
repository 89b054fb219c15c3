"""warm_up: trace, compile and time the training step of every bucket before the training starts.

Used by `model`, as `MixSizeModel.warm_up`. Neighbours: `complexity` (memory), `regimes` (the buckets).

    model.warm_up(train, report=print)      # S=48 B=24 D=1: compiled in 2.1 s, 105 ms per step, peak 812 MiB
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from keras_mixsize.arguments import check_count
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.regimes.bucket import Bucket
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.regime import Regime
from keras_mixsize.training import complexity


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """What `warm_up` measured for one bucket.

    Attributes:
        bucket: the shape.
        compile_seconds: the first step, with tracing and compilation, less a later step.
        step_seconds: a later step; the median, if there are several.
        peak_bytes: peak memory, see `complexity.peak_memory`.
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
    model: keras.Model,
    data: Mixture | MixSizeDataset,
    *,
    repeats: int = 1,
    report: Callable[[WarmUp], object] | None = None,
) -> list[WarmUp]:
    """Trace and compile the step of every bucket, the costliest first, and leave the model as it was.

    The costliest first: what does not fit in memory fails at once, and later buckets reuse its memory.

    Args:
        model: a compiled MixSizeModel.
        data: what will be trained on, which says the shapes and dtypes of a step; or a regime or schedule, which stands
            for float32 images and integer labels, so not for decoded files, of which a step takes bytes.
        repeats: later steps to time; take 5 or more for `Regime.rebalance`.
        report: called with each bucket's result as soon as it is there, such as `print`: compiling may take minutes.

    Returns:
        Compile time, step time and peak memory of each different bucket, in the order run.

    Raises:
        ValueError: the model is not compiled, or cannot be trained on the data; no repeats; labels of unknown shape.
    """
    check_count("repeats", repeats)
    if not model.compiled:
        raise ValueError("warm_up runs the training step, so the model must be compiled first; call compile()")
    regime, spec = _regime_and_spec(model, data)
    model.build_steps(regime.sizes, spec)
    results = []
    with _left_as_it_was(model):
        for bucket in sorted(dict.fromkeys(regime.buckets), key=lambda bucket: -bucket.cost):
            results.append(_warm_up_bucket(model, bucket, spec, repeats))
            if report is not None:
                report(results[-1])
    return results


def _regime_and_spec(model: keras.Model, data: Mixture | MixSizeDataset) -> tuple[Mixture, tuple]:
    """Return the buckets to run and the tf.TensorSpec of a batch."""
    if isinstance(data, Mixture):
        images = tf.TensorSpec([None, None, None, model.input_shape[-1]], tf.float32)
        return data, (images, tf.TensorSpec([None], tf.int64))
    if not isinstance(data, MixSizeDataset):
        raise ValueError(f"data must be a MixSizeDataset, a Regime or a Schedule, got {data!r}")
    model.check(data)
    spec = data.for_step().element_spec
    if not all(labels.shape[1:].is_fully_defined() for labels in tf.nest.flatten(spec[1])):
        raise ValueError(f"labels must have a known shape, got {spec[1]}; call tf.ensure_shape in batch_map")
    return data.plan.regime, spec


@contextlib.contextmanager
def _left_as_it_was(model: keras.Model) -> Iterator[None]:
    """Give every replica's copy of every variable its value back at the end of the block."""
    locally = model.distribute_strategy.experimental_local_results
    copies = [copy for variable in model.state_variables for copy in locally(variable.value)]  # replicas' may differ
    before = [copy.numpy() for copy in copies]
    try:
        yield
    finally:
        for copy, value in zip(copies, before):
            copy.assign(value)


def _warm_up_bucket(model: keras.Model, bucket: Bucket, spec, repeats: int) -> WarmUp:
    def zeros(spec: tf.TensorSpec) -> tf.Tensor:
        sides = [side or bucket.size for side in spec.shape[1:]]  # those of images are not known
        return tf.zeros([bucket.images, *sides], spec.dtype)

    batch = tf.data.Dataset.from_tensors(tf.nest.map_structure(zeros, spec)).repeat()
    batches = iter(model.distribute_strategy.experimental_distribute_dataset(batch))
    with complexity.peak_memory() as peak_bytes:
        first, *later = (_seconds(lambda: model.one_step(batches)) for _ in range(1 + repeats))
        usual = statistics.median(later)
        return WarmUp(bucket, max(first - usual, 0.0), usual, peak_bytes())


def _seconds(call) -> float:
    start = time.perf_counter()
    keras.tree.map_structure(lambda value: value.numpy(), call())
    return time.perf_counter() - start


def max_batch(model: keras.Model, size: int, *, multiple_of: int = 8, limit_bytes: int | None = None) -> int:
    """Return the largest batch, a multiple of `multiple_of`, that one training step at this size fits into memory.

    The batch is doubled, really run, until the next step would not fit, and then closed in on. On a GPU a step does not
    fit when its allocator says so. On a CPU, where the process would be killed instead, memory is taken to grow with
    the batch as it did in the last two steps, and no step is run that would pass the limit.

    Args:
        model: a compiled MixSizeModel; it is left as it was.
        size: side of the images in pixels.
        multiple_of: as in `Regime.solve`.
        limit_bytes: of the peak memory, see `complexity.peak_memory`; on a CPU nine tenths of what is available unless
            given.

    Raises:
        ValueError: not even `multiple_of` images fit, the model is not compiled, or the system does not tell its
            memory.
    """
    check_count("size", size)
    check_count("multiple_of", multiple_of)
    if limit_bytes is None and not tf.config.list_physical_devices("GPU"):
        available = complexity.available_bytes()
        if available is None:
            raise ValueError("limit_bytes must be given, because this system does not tell how much memory it has")
        limit_bytes = 0.9 * available
    peaks, low, high = {}, 0, None
    while high is None or high - low > 1:
        middle = max(2 * low, 1) if high is None else (low + high) // 2
        if _fits(model, size, middle * multiple_of, peaks, limit_bytes):
            low = middle
        else:
            high = middle
    if not low:
        raise ValueError(f"multiple_of must be a batch that fits into memory at size {size}, got {multiple_of}")
    return low * multiple_of


def _fits(model, size: int, batch: int, peaks: dict[int, int], limit_bytes: float | None) -> bool:
    """Return whether a step of a batch fits; note its peak memory in `peaks`."""
    if limit_bytes is not None and _foreseen(peaks, batch) > limit_bytes:
        return False
    try:
        (measured,) = warm_up(model, Regime.fixed(size, batch))
    except tf.errors.ResourceExhaustedError:
        return False
    peaks[batch] = measured.peak_bytes
    return limit_bytes is None or measured.peak_bytes <= limit_bytes


def _foreseen(peaks: dict[int, int], batch: int) -> float:
    """Return the peak memory of a batch on the line through the two largest smaller ones; 0 if there are none."""
    smaller = sorted(done for done in peaks if done < batch)[-2:]
    if len(smaller) < 2:
        return 0.0
    first, second = smaller
    slope = (peaks[second] - peaks[first]) / (second - first)
    return peaks[second] + slope * (batch - second)
