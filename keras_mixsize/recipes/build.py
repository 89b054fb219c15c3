"""Build: what a recipe means in Keras: schedule, optimizer, augmentation, test window and the compiled model.

Neighbours: `recipe` and `table` (the values), `loss`, the rooms `training` (the model) and `images` (augmentations).

    recipe = recipes.find("cifar10/resnet44/b+")
    train = MixSizeDataset.from_tfds("cifar10", regime=Regime.preset(recipe.regime), **recipes.transform(recipe))
    network = models.build(recipe.network, classes=10, mean=recipe.mean, std=recipe.std, **recipe.network_options)
    model = recipes.compile_model(network, recipe, train)
    model.fit(train, epochs=recipe.epochs)
"""

from __future__ import annotations

from typing import Any

import keras

from keras_mixsize.arguments import check_choice
from keras_mixsize.images.augmentations import Augmentation, CenterCrop, PadCropFlip, RandomResizedCrop, WholeImage
from keras_mixsize.input.dataset import MixSizeDataset
from keras_mixsize.recipes.loss import SmoothedCrossEntropy
from keras_mixsize.recipes.recipe import Recipe
from keras_mixsize.recipes.schedules import CosineDecay
from keras_mixsize.training.model import MixSizeModel

SCALING = ("none", "linear", "sqrt")
AUGMENTATIONS = ("pad_crop_flip", "pad_crop", "random_resized_crop")


def transform(recipe: Recipe) -> dict[str, Augmentation]:
    """Return the recipe's options for a MixSizeDataset's `Transform`.

    Raises:
        ValueError: an unknown augmentation.
    """
    check_choice("augmentation", recipe.augmentation, AUGMENTATIONS)
    if recipe.augmentation == "random_resized_crop":
        return {"augmentation": RandomResizedCrop(recipe.area)}
    return {"augmentation": PadCropFlip(recipe.padding, flip=recipe.augmentation == "pad_crop_flip")}


def test_window(recipe: Recipe) -> Augmentation:
    """Return the window of a test image, for `evaluate_sizes(window=...)`."""
    return WholeImage() if recipe.test_crop is None else CenterCrop(recipe.test_crop)


def rate_factor(recipe: Recipe, mean_batch: float) -> float:
    """Return what the learning rate is multiplied by for a regime's mean batch.

    1 with the scaling `none`; `linear` is `mean_batch / reference_batch` and `sqrt` its root, where the batch counts
    images, not their copies.

    Args:
        recipe: its `scaling` and `reference_batch`.
        mean_batch: expected number of different images in a step, as `Regime.mean_batch`.

    Raises:
        ValueError: an unknown scaling.

    Source: Goyal et al., arXiv 1706.02677, for linear; Krizhevsky, arXiv 1404.5997, for the root.
    """
    check_choice("scaling", recipe.scaling, SCALING)
    ratio = mean_batch / recipe.reference_batch
    return {"none": 1.0, "linear": ratio, "sqrt": ratio**0.5}[recipe.scaling]


def schedule(
    recipe: Recipe, steps_per_epoch: int, factor: float = 1.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the recipe's learning rate against steps, as Keras has it.

    Args:
        recipe: its `schedule` and `epochs`.
        steps_per_epoch: of the plan, such as `train.steps_per_epoch`.
        factor: for the learning rate, see `rate_factor`.
    """
    rates, rate = recipe.schedule, factor * recipe.schedule.learning_rate
    steps = recipe.epochs * steps_per_epoch
    if not isinstance(rates, CosineDecay):
        last_steps = [round(epoch * steps_per_epoch) - 1 for epoch in rates.epochs]  # Keras changes after these
        values = [rate * rates.factor**index for index in range(len(last_steps) + 1)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(last_steps, values)
    if not rates.warmup_share:
        return keras.optimizers.schedules.CosineDecay(rate, steps)
    warmup = max(1, int(rates.warmup_share * steps))
    return keras.optimizers.schedules.CosineDecay(0.0, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup)


def optimizer(recipe: Recipe, train: MixSizeDataset) -> keras.optimizers.Optimizer:
    """Return the recipe's optimizer for a data set and its regime."""
    factor = rate_factor(recipe, train.plan.regime.mean_batch)
    averaging: dict[str, Any] = {} if recipe.ema is None else {"use_ema": True, "ema_momentum": recipe.ema}
    rates = schedule(recipe, train.steps_per_epoch, factor)
    return keras.optimizers.SGD(rates, momentum=recipe.momentum, **averaging)


def compile_model(
    network: keras.Model, recipe: Recipe, train: MixSizeDataset, *, jit_compile: bool | str = "auto", **options: Any
) -> MixSizeModel:
    """Return the network as a MixSizeModel, compiled as the recipe says.

    Args:
        network: gives logits, or those of the auxiliary head after them.
        recipe: weight decay, smoothing, loss and optimizer.
        train: its plan has the steps per epoch and the mean batch.
        jit_compile: of `compile`.
        **options: other ones of `MixSizeModel`, such as `accumulate=`.

    Raises:
        ValueError: labels that are not integers.
    """
    if not train.source.has_classes:
        raise ValueError(f"labels must be integers for a recipe, got {train.source.describe_classes()}")
    regularisation: dict[str, Any] = {"l2": recipe.l2, "l2_filter": recipe.l2_filter}
    if recipe.dropout_scale != 1.0:
        regularisation["dropout_scale"] = recipe.dropout_scale
    model = MixSizeModel(network, smoothing=recipe.smoothing, **regularisation, **options)
    loss = SmoothedCrossEntropy(recipe.label_smoothing)
    if len(network.outputs) == 1:
        model.compile(optimizer(recipe, train), loss, ["accuracy"], jit_compile=jit_compile)
        return model
    heads = {"loss_weights": [1.0, recipe.auxiliary_weight], "jit_compile": jit_compile}
    model.compile(optimizer(recipe, train), [loss, loss], [["accuracy"], []], **heads)
    return model
