"""max_batch: the largest batch whose training step fits in memory.

Neighbours: `warm_up` (runs the step), `cost` (measures memory).

    batch = max_batch(model, size=224)
    regime = Regime.preset("imagenet144/d+", base_batch=batch)
"""

from __future__ import annotations

import tensorflow as tf

from keras_mixsize import cost
from keras_mixsize.bucket import check_count
from keras_mixsize.regime import Regime
from keras_mixsize.warm_up import warm_up


def max_batch(model, size: int, *, multiple_of: int = 8, limit_bytes: int | None = None) -> int:
    """Return the largest batch, a multiple of `multiple_of`, that one training step at this size fits into memory.

    The batch is doubled, really run, until the next step would not fit, and then closed in on. On a GPU a step does not fit when its
    allocator says so. On a CPU, where the process would be killed instead, memory is taken to grow with the batch as it did
    in the last two steps, and no step is run that would pass the limit.

    Args:
        model: a compiled MixSizeModel; it is left as it was.
        size: side of the images in pixels.
        multiple_of: as in `Regime.solve`.
        limit_bytes: of the peak memory, see `cost.peak_memory`; on a CPU nine tenths of what is available unless given.

    Raises:
        ValueError: not even `multiple_of` images fit, the model is not compiled, or the system does not tell its memory.
    """
    check_count("size", size)
    check_count("multiple_of", multiple_of)
    if limit_bytes is None and not tf.config.list_physical_devices("GPU"):
        available = cost.available_bytes()
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
