"""AmoebaNet-A for CIFAR, for images of any size: evolved cells as data, and the loop that stacks them.

Neighbours: `drop_path` (stochastic depth).

    network = amoebanet_a(classes=10, auxiliary=False)        # 3.2 M parameters, logits
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import layers

from keras_mixsize.models.drop_path import DropPath, check_rates


class Cell(NamedTuple):
    """What a cell computes: each node is the sum of two operations, and the output joins some of the maps.

    Maps are numbered: 0 is the output of the cell before, 1 that of the cell before that one, 2 the first node.

    Attributes:
        nodes: for each node two pairs (operation, number of the map it takes).
        outputs: numbers of the maps whose channels are joined.
    """

    nodes: tuple
    outputs: tuple


NORMAL = Cell(
    nodes=(
        (("avg_pool_3x3", 0), ("max_pool_3x3", 0)),
        (("separable_3x3", 1), ("identity", 1)),
        (("identity", 0), ("avg_pool_3x3", 1)),
        (("separable_3x3", 0), ("separable_5x5", 2)),
        (("avg_pool_3x3", 5), ("separable_3x3", 0)),
    ),
    outputs=(1, 3, 4, 6),
)
REDUCTION = Cell(
    nodes=(
        (("separable_3x3", 1), ("avg_pool_3x3", 0)),
        (("max_pool_3x3", 0), ("separable_7x7", 2)),
        (("max_pool_3x3", 1), ("max_pool_3x3", 0)),
        (("separable_3x3", 4), ("1x7_7x1", 0)),
        (("avg_pool_3x3", 1), ("separable_7x7", 0)),
    ),
    outputs=(2, 3, 4, 5, 6),
)
_NORMAL = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="truncated_normal")
_UNIFORM = keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")


def amoebanet_a(
    *,
    classes: int,
    channels: int = 3,
    cells: int = 6,
    filters: int = 36,
    auxiliary: bool = True,
    drop_path: float = 0.2,
) -> keras.Model:
    """Return AmoebaNet-A: three stacks of normal cells with a reduction cell between each two.

    With `auxiliary` the network always has two outputs. In training each needs the labels and a loss; a dataset gives
    `(images, (labels, labels))`:

        network = amoebanet_a(classes=10)
        network.compile(optimizer, loss=[loss, loss], loss_weights=[1.0, 0.4])
        network.fit(images, [labels, labels])
        network = keras.Model(network.input, network.outputs[0])        # for evaluation and serving; same weights

    Args:
        classes: number of logits.
        channels: of the images.
        cells: normal cells in each of the three stacks, N in the paper.
        filters: of the first stack, F in the paper; doubled by each reduction. A multiple of 4.
        auxiliary: whether there is a second classifier, on the last cell before the second reduction.
        drop_path: rate at which operations are dropped in the last cell; it grows linearly over the cells.

    Returns:
        A Keras model from images `[N, H, W, channels]`, float32 in [0, 1], to logits `[N, classes]`, or with
        `auxiliary` to the list of logits and auxiliary logits, both `[N, classes]`. Its stride is 4.

    Raises:
        ValueError: no cells, filters that are no multiple of 4, or a rate out of range.

    Source: Real, Aggarwal, Huang, Le, "Regularized evolution for image classifier architecture search", arXiv
    1802.01548v7, figure 5, with the authors' published code for ImageNet, on whose cells the drawings of earlier
    versions of the paper disagree, and for the linear growth of the rate. The stem of 3 F filters, initialisation
    (normal by fan-out) and batch norm (epsilon 1e-5, momentum 0.9) are those of the published CIFAR code of NASNet
    (arXiv 1707.07012), whose family this is; logits start uniform by fan-in, as in the code of arXiv 1908.08986. Three
    changes: the first cell projects the image's maps once, as every other cell does, not for each operation; the
    auxiliary classifier averages over the map where theirs has a convolution as large as the map, which would fix the
    image size; and its pooling has stride 2, not 3, so that no map is smaller than the last, at any size.
    """
    _check(cells, filters, drop_path)
    inputs = keras.Input((None, None, channels), name="image")
    newest = older = _batch_norm(_conv(inputs, 3 * filters, 3))
    outputs, total, last_was_reduction = [], 3 * cells + 2, False
    for index in range(total):
        stage, position = divmod(index + 1, cells + 1)
        cell, strides = (NORMAL, 1) if position else (REDUCTION, 2)
        states = [_project(newest, filters * 2**stage), _match(older, filters * 2**stage, last_was_reduction)]
        older, newest = newest, _apply(cell, states, strides, drop_path * (index + 1) / total)
        last_was_reduction = strides == 2
        if auxiliary and index == 2 * cells:
            outputs = [_auxiliary_head(newest, classes)]
    outputs = [_logits(layers.GlobalAveragePooling2D()(layers.ReLU()(newest)), classes, "logits"), *outputs]
    return keras.Model(inputs, outputs if auxiliary else outputs[0], name="amoebanet_a")


def _check(cells: int, filters: int, drop_path: float) -> None:
    if cells < 1:
        raise ValueError(f"cells must be at least 1 for each stack, got {cells}")
    if filters < 4 or filters % 4:
        raise ValueError(f"filters must be a multiple of 4, got {filters}; the paper has 32 and 36")
    check_rates(drop_path=drop_path)


def _apply(cell: Cell, states: list, strides: int, drop_path: float):
    """Return the output of a cell on its two input maps; only operations on those are strided."""
    for node in cell.nodes:
        terms = [_operate(name, states[i], strides if i < 2 else 1, drop_path) for name, i in node]
        states = [*states, layers.Add()(terms)]
    return layers.Concatenate()([states[i] for i in cell.outputs])


def _operate(name: str, x, strides: int, drop_path: float):
    x = _OPERATIONS[name](x, strides)
    return DropPath(drop_path)(x) if drop_path and name != "identity" else x


# Operations: from maps and strides to maps of as many channels


def _separable(x, strides: int, kernel: int):
    for step in (strides, 1):
        options = {"depthwise_initializer": _NORMAL.clone(), "pointwise_initializer": _NORMAL.clone()}
        options |= {"padding": "same", "use_bias": False}
        x = _batch_norm(layers.SeparableConv2D(x.shape[-1], kernel, step, **options)(layers.ReLU()(x)))
    return x


def _one_by_seven(x, strides: int):
    """Return 1x7 and 7x1 convolutions on a quarter of the channels."""
    filters = x.shape[-1]
    steps = ((filters // 4, 1, 1), (filters // 4, (1, 7), (1, strides)), (filters // 4, (7, 1), (strides, 1)))
    for step in (*steps, (filters, 1, 1)):
        x = _batch_norm(_conv(layers.ReLU()(x), *step))
    return x


_OPERATIONS: dict[str, Callable] = {
    "identity": lambda x, strides: x,  # in normal cells only
    "avg_pool_3x3": lambda x, strides: layers.AveragePooling2D(3, strides, padding="same")(x),
    "max_pool_3x3": lambda x, strides: layers.MaxPooling2D(3, strides, padding="same")(x),
    "separable_3x3": functools.partial(_separable, kernel=3),
    "separable_5x5": functools.partial(_separable, kernel=5),
    "separable_7x7": functools.partial(_separable, kernel=7),
    "1x7_7x1": _one_by_seven,
}

# Between cells


def _match(x, filters: int, halve: bool):
    """Return the older of a cell's inputs with the channels and the size of the newer one."""
    return _halve(x, filters) if halve else _project(x, filters)


def _project(x, filters: int):
    return _batch_norm(_conv(layers.ReLU()(x), filters, 1))


def _halve(x, filters: int):
    """Return maps of half the size, one half of the channels from even and one from odd rows and columns."""
    x = layers.ReLU()(x)
    shifted = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    halves = [_conv(layers.MaxPooling2D(1, 2)(maps), filters // 2, 1) for maps in (x, shifted)]
    return _batch_norm(layers.Concatenate()(halves))


def _auxiliary_head(x, classes: int):
    x = layers.AveragePooling2D(5, 2, padding="same")(layers.ReLU()(x))
    x = layers.ReLU()(_batch_norm(_conv(x, 128, 1)))
    x = layers.Dense(768, use_bias=False, kernel_initializer=_NORMAL.clone())(layers.GlobalAveragePooling2D()(x))
    return _logits(layers.ReLU()(_batch_norm(x)), classes, "auxiliary_logits")


def _logits(x, classes: int, name: str):
    return layers.Dense(classes, kernel_initializer=_UNIFORM.clone(), dtype="float32", name=name)(x)


def _conv(x, filters: int, kernel, strides=1):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": _NORMAL.clone()}
    return layers.Conv2D(filters, kernel, strides, **options)(x)


def _batch_norm(x):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
