"""Signatures: the functions of an export, from images or encoded files to named answers.

`serve_S` for each size S, `serving_default` (the calibrated size nearest to the image), `serve_at` (the size is an
input), `serve_bytes` and `serve_bytes_S` (encoded files), and `serve_cascade`. Those of images take float32 in [0, 1]
and have a twin of the suffix `_uint8`. Neighbours: `multi_size`, `preprocessing`, `cascade`; `saved_model` saves them.

    from keras_mixsize.evaluation.statistics import get_statistics
    network = MultiSizeNetwork(model, {24: get_statistics(model), 32: get_statistics(model)})
    answer = Answer(tuple("0123456789"), top=5)
    functions = make_signatures(network, Preprocessing(), answer, USUAL_LIMITS, default_size=32)
    functions["serve_24"](images=tf.zeros([1, 28, 28, 1]))["probabilities"]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from keras_mixsize.export.cascade import Cascade
from keras_mixsize.export.multi_size import MultiSizeNetwork
from keras_mixsize.export.preprocessing import Preprocessing

IMAGES, BYTES, SIZE = "images", "image_bytes", "size"
KINDS = {"": tf.float32, "_uint8": tf.uint8}  # suffix -> dtype of the images
CHANNELS_OF_FILES = (1, 3)
_ROUNDING = 1e-4  # what a resize on the client may add


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
        max_batch: images at a time.
        max_pixels: of one image.

    Raises:
        ValueError: a limit below 1.
    """

    max_batch: int = 256
    max_pixels: int = 40_000_000

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}")


USUAL_LIMITS = Limits()


class Answer(tf.Module):
    """The named outputs of every signature, made from logits.

    Args:
        class_names: a name per class.
        top: how many of the likeliest classes to name.
    """

    def __init__(self, class_names: tuple[str, ...], top: int):
        super().__init__(name="answer")
        self.top = top
        self._names = tf.constant(class_names)

    def __call__(self, logits: tf.Tensor, sizes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return probabilities and logits float32 `[N, classes]`, top-k ones `[N, k]`, the size used int32 `[N]`."""
        probabilities = tf.nn.softmax(logits)
        top_probabilities, labels = tf.math.top_k(probabilities, self.top)
        return {
            "probabilities": probabilities,
            "logits": logits,
            "top_labels": labels,
            "top_names": tf.gather(self._names, labels),
            "top_probabilities": top_probabilities,
            "sizes": tf.identity(sizes),
        }


class Pipeline(tf.Module):
    """From a batch of one kind of input to an answer.

    Each part is a function of its own, which all signatures call: an export holds it once.

    Args:
        network: with statistics per size.
        answer: names the outputs.
        prepare: function of (batch, size int32 scalar), the network's input.
        limits: of a batch.
        spec: of a batch.
    """

    def __init__(
        self, network: MultiSizeNetwork, answer: Answer, prepare: Callable, limits: Limits, spec: tf.TensorSpec
    ):
        super().__init__(name="pipeline")
        size_spec = tf.TensorSpec([], tf.int32)
        self.network, self.spec = network, spec
        self._answer = _trace(answer, tf.TensorSpec([None, network.classes]), tf.TensorSpec([None], tf.int32))
        self._prepare = _trace(prepare, spec, size_spec)
        self._check = _trace(lambda batch: _checked(batch, limits), spec)

    def nearest(self, batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the answer at the size nearest to the images'."""
        batch = self._check(batch)
        return self._at_index(batch, nearest_index(tf.constant(self.network.sizes), tf.shape(batch)[1:3]))

    def at_size(self, batch: tf.Tensor, size: int) -> dict[str, tf.Tensor]:
        """Return the answer at one of the sizes."""
        return self._at_index(self._check(batch), self.network.index(size))

    def asked(self, batch: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the answer at the size that the request names, int32 scalar."""
        sizes = tf.constant(self.network.sizes)
        known = tf.equal(sizes, size)
        check = tf.debugging.Assert(tf.reduce_any(known), ["size must be one of", sizes, "got", size])
        with tf.control_dependencies([check]):
            return self._at_index(self._check(batch), tf.argmax(known, output_type=tf.int32))

    def cascaded(self, batch: tf.Tensor, cascade: Cascade) -> dict[str, tf.Tensor]:
        """Return the small size's answer where it is sure, and the large one's, computed only for the others."""
        batch = self._check(batch)
        logits = self._logits(batch, self.network.index(cascade.small))
        confidence = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
        unsure = tf.where(confidence < cascade.threshold)
        sizes = tf.fill(tf.shape(confidence), cascade.small)

        def look_again():
            better = self._logits(tf.gather(batch, unsure[:, 0]), self.network.index(cascade.large))
            larger = tf.fill(tf.shape(unsure)[:1], cascade.large)
            replaced = ((logits, better), (sizes, larger))
            return tuple(tf.tensor_scatter_nd_update(old, unsure, new) for old, new in replaced)

        return self._answer(*tf.cond(tf.size(unsure) > 0, look_again, lambda: (logits, sizes)))

    def _at_index(self, batch: tf.Tensor, index: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self._logits(batch, index)
        return self._answer(logits, tf.fill(tf.shape(logits)[:1], tf.gather(self.network.sizes, index)))

    def _logits(self, batch: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        return self.network.logits(self._prepare(batch, tf.gather(self.network.sizes, index)), index)


def make_signatures(
    network: MultiSizeNetwork,
    preprocessing: Preprocessing,
    answer: Answer,
    limits: Limits,
    *,
    default_size: int,
    cascade: Cascade | None = None,
) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Return the signatures by name; those of encoded files only for a network of 1 or 3 channels.

    Args:
        network, preprocessing, answer: what they are made of.
        limits: checked in each.
        default_size: of encoded images for which no size is asked.
        cascade: adds `serve_cascade`.
    """
    found = {}
    for suffix, dtype in KINDS.items():
        spec = tf.TensorSpec([None, None, None, network.channels], dtype, IMAGES)
        found |= _of_images(Pipeline(network, answer, preprocessing.prepare, limits, spec), suffix, cascade)
    if network.channels not in CHANNELS_OF_FILES:
        return found

    def decode(data, size):
        return preprocessing.decode(data, size, network.channels, limits.max_pixels)

    spec = tf.TensorSpec([None], tf.string, BYTES)
    return found | _of_bytes(Pipeline(network, answer, decode, limits, spec), default_size, cascade)


def _of_images(pipeline: Pipeline, suffix: str, cascade: Cascade | None) -> dict:
    functions = {"serving_default": pipeline.nearest}
    functions |= {f"serve_{size}": _at_size(pipeline, size) for size in pipeline.network.sizes}
    if cascade is not None:
        functions["serve_cascade"] = lambda images: pipeline.cascaded(images, cascade)
    traced = {name + suffix: _trace(function, pipeline.spec) for name, function in functions.items()}
    return traced | {f"serve_at{suffix}": _trace(pipeline.asked, pipeline.spec, tf.TensorSpec([], tf.int32, SIZE))}


def _of_bytes(pipeline: Pipeline, default_size: int, cascade: Cascade | None) -> dict:
    functions = {f"serve_bytes_{size}": _at_size(pipeline, size) for size in pipeline.network.sizes}
    functions["serve_bytes"] = _at_size(pipeline, default_size)
    if cascade is not None:
        functions["serve_cascade_bytes"] = lambda data: pipeline.cascaded(data, cascade)
    return {name: _trace(function, pipeline.spec) for name, function in functions.items()}


def inputs_of(signature: tf.types.experimental.ConcreteFunction) -> dict[str, tf.TensorSpec]:
    """Return a signature's inputs by name."""
    return {spec.name: spec for spec in tf.nest.flatten(signature.structured_input_signature)}


def _at_size(pipeline: Pipeline, size: int) -> Callable:
    return lambda batch: pipeline.at_size(batch, size)


def nearest_index(sizes: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """Return which size is nearest to an image's, the root of its area: int32 scalar; the smaller one of two.

    Args:
        sizes: int32 `[sizes]`, ascending.
        sides: int32 `[2]`, height and width.
    """
    side = tf.sqrt(tf.reduce_prod(tf.cast(sides, tf.float32)))
    return tf.argmin(tf.abs(tf.cast(sizes, tf.float32) - side), output_type=tf.int32)


def _checked(batch: tf.Tensor, limits: Limits) -> tf.Tensor:
    """Return the batch, or fail with what is wrong with it."""
    checks = [_check_shape(tf.shape(batch, tf.int64), limits)]
    if batch.dtype.is_floating:  # not a number fails, too
        inside = tf.reduce_all((batch >= 0.0) & (batch <= 1.0 + _ROUNDING))
        remedy = "float32 images must lie in [0, 1]; send 0..255 to the signature of the suffix _uint8"
        checks.append(tf.debugging.Assert(inside, [remedy]))
    with tf.control_dependencies(checks):
        return tf.identity(batch)


def _check_shape(shape: tf.Tensor, limits: Limits) -> tf.Operation:
    """Return one operation that fails if a batch `[N]` of files or `[N, H, W, C]` of images has too few or too many."""
    fits = (shape[0] > 0) & (shape[0] <= limits.max_batch)
    text = ["the batch must hold at least 1 image and at most", limits.max_batch]
    if shape.shape[0] > 1:
        pixels = shape[1] * shape[2]
        fits &= (pixels > 0) & (pixels <= limits.max_pixels)
        text += ["; an image must have at least 1 pixel and at most", limits.max_pixels]
    return tf.debugging.Assert(fits, [*text, "; got the shape", tf.cast(shape, tf.int32)])


def _trace(function: Callable, *specs: tf.TensorSpec) -> tf.types.experimental.ConcreteFunction:
    return tf.function(function, input_signature=specs, autograph=False).get_concrete_function()
