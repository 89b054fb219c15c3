"""Size values: what an option is at a size that the graph knows only when it runs.

Used by `augmentations`, `mixing` and `randaugment`. Neighbour: `regimes.by_size`.

    value_at(BySize({16: 2, 32: 9}), tf.constant(24))     # 5.5, float32 scalar
"""

from __future__ import annotations

import tensorflow as tf

from keras_mixsize.regimes.by_size import BySize


def value_at(value: float | BySize, size: tf.Tensor | int) -> float | tf.Tensor:
    """Return an option's value for images of a size: a number as it is, of a `BySize` a float32 scalar.

    Args:
        value: the option.
        size: side in pixels, int32 scalar or integer.
    """
    if not isinstance(value, BySize):
        return value
    sizes, values = tf.constant(value.sizes, tf.float32), tf.constant(value.values, tf.float32)
    place = tf.clip_by_value(tf.cast(size, tf.float32), sizes[0], sizes[-1])
    after = tf.minimum(tf.searchsorted(sizes, place[None], side="right")[0], len(value.sizes) - 1)
    before = tf.maximum(after - 1, 0)
    share = tf.math.divide_no_nan(place - sizes[before], sizes[after] - sizes[before])
    return values[before] + tf.minimum(share, 1.0) * (values[after] - values[before])
