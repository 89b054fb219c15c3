"""What a network costs: stride, multiply-adds, latency and peak memory, by looking at or running the real thing.

Used by `training` (checks, warm-up) and `evaluation` (reports).

    multiply_adds(model, size=32), model_stride(model), latency_ms(model, size=32)
"""

from __future__ import annotations

import contextlib
import pathlib
import statistics
import time

import keras
import tensorflow as tf


def inference_graph(model: keras.Model, size: int) -> tf.Graph:
    """Return the TensorFlow graph of the model's inference on one image of `size` pixels a side."""
    spec = tf.TensorSpec([1, size, size, model.input_shape[-1]], tf.float32)
    function = tf.function(lambda images: model(images, training=False), autograph=False)
    return function.get_concrete_function(spec).graph


def multiply_adds(model: keras.Model, size: int) -> int:
    """Return the multiply-adds of the convolutions and matrix products for one image of `size` pixels a side.

    The literature calls this number the "FLOPs" or "MACs" of a network.
    """
    return sum(map(_multiply_adds, inference_graph(model, size).get_operations()))


def _multiply_adds(operation: tf.Operation) -> int:
    """Return outputs times the inputs that each is a weighted sum of; 0 for operations that are no such product."""
    if operation.type not in ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2"):
        return 0
    outputs = operation.outputs[0].shape.num_elements()
    left, right = operation.inputs[0].shape, operation.inputs[1].shape
    if operation.type == "Conv2D":
        return outputs * right[0] * right[1] * right[2]
    if operation.type == "DepthwiseConv2dNative":
        return outputs * right[0] * right[1]
    return outputs * left[-1]  # of a product that is not transposed, as layers make them


def model_stride(model: keras.Model, probe: int = 256) -> int:
    """Return by how much the model shrinks the image before its global pooling: 4 for a CIFAR ResNet, 32 for ResNet-50.

    Found in the graph: the convolution or pooling whose feature map grows least with the image. Where all sides divide
    `probe` they tell by themselves; without padding (InceptionV3) a second image tells how they grow.

    Args:
        model: any Keras model of images of any size.
        probe: side of the image that is looked at, in pixels.
    """
    heights = _heights(model, probe)
    if any(probe % height for height in heights):
        step = 3 * probe  # so that strides of 3 and of powers of 2 divide it
        larger = _heights(model, probe + step)
        growths = [high - low for low, high in zip(heights, larger, strict=True) if low > 1]
        return max((round(step / growth) for growth in growths if growth), default=1)
    # maps of one pixel belong to squeeze-and-excitation, not to the trunk
    return probe // min((height for height in heights if height > 1), default=probe)


def _heights(model: keras.Model, size: int) -> list[int]:
    """Return the heights of the feature maps of all convolutions and poolings for one image, in pixels."""
    spatial = ("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool")
    operations = inference_graph(model, size).get_operations()
    heights = [operation.outputs[0].shape[1] for operation in operations if operation.type in spatial]
    return [height for height in heights if height]


def latency_ms(model: keras.Model, size: int, *, batch: int = 32, repeats: int = 10) -> float:
    """Return the median time of inference per image in milliseconds, measured on the device in use.

    Args:
        size: side of the images in pixels.
        batch: images at a time.
        repeats: measured calls after two that are not counted.
    """
    images = tf.random.stateless_uniform([batch, size, size, model.input_shape[-1]], seed=(0, 0))
    function = tf.function(lambda x: model(x, training=False), autograph=False)
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        keras.tree.map_structure(lambda output: output.numpy(), function(images))
        times.append(time.perf_counter() - start)
    return 1000.0 * statistics.median(times[2:]) / batch


@contextlib.contextmanager
def peak_memory():
    """Yield a function that returns the peak memory in bytes since the block began.

    On a GPU this is TensorFlow's allocator on the first device; on a CPU, which has no such account, the resident
    memory of the whole process (Linux; 0 elsewhere).
    """
    device = "GPU:0"
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(device)
        yield lambda: tf.config.experimental.get_memory_info(device)["peak"]
        return
    with contextlib.suppress(OSError):  # resets the peak that VmHWM tells; not to be had in every container
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    yield _peak_resident_bytes


def _peak_resident_bytes() -> int:
    return _linux_bytes("/proc/self/status", "VmHWM") or 0


def available_bytes() -> int | None:
    """Return the host's free memory plus what this process holds (Linux), or None if the system does not tell."""
    free, held = _linux_bytes("/proc/meminfo", "MemAvailable"), _linux_bytes("/proc/self/status", "VmRSS")
    return None if free is None or held is None else free + held


def _linux_bytes(file: str, field: str) -> int | None:
    """Return one of Linux's figures, which it gives in KiB, or None if there is no such file."""
    if not pathlib.Path(file).exists():
        return None
    lines = dict(line.split(":", 1) for line in pathlib.Path(file).read_text().splitlines())
    return int(lines[field].split()[0]) * 1024
