"""The recipe for a folder of images that no one has tuned: chosen from their number, their size and the machine.

A pure function on plain data, each choice with its reason; loads no TensorFlow. Neighbours: `table` (recipes with
names), `budget` (epochs of equal cost), `regimes` (what the sizes become).

    facts = FolderFacts("photos", examples=1500, classes=3, side=480, cores=8, gpu=False)
    print(choose(facts))                        # a line for each choice, with its reason and the flag that changes it
    choose(facts).recipe, choose(facts).regime
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from keras_mixsize.arguments import check_choice, check_count
from keras_mixsize.recipes.budget import equal_epochs, pixels
from keras_mixsize.recipes.recipe import CosineDecay, Recipe
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.presets import MODES
from keras_mixsize.regimes.regime import Regime
from keras_mixsize.regimes.schedule import Schedule

RATIOS = {1.0: 0.3, 1.25: 0.2, 0.75: 0.3, 0.5: 0.2}  # of the base size, with their probabilities: CIFAR's, less extreme
LARGEST_BATCH, REFERENCE_BATCH = 64, 64
RATES = {"baseline": 0.1, "b+": 0.2, "d+": 0.1, "bd+": 0.2}  # for that batch; larger batches at small sizes bear more
FINISH = 0.2  # share of the last steps at the base size: it wins there what mixed sizes cost, docs/results.md
STEPS_AT_LEAST = 8  # of an epoch at the base size
PHOTO_SIDE = 48  # px; smaller ones are icons, which a random crop of a part would make unrecognisable
CPU_MINUTES = 60  # of training, at most
CPU_SPEED = 4e9  # multiply-adds of a forward pass that a core trains in a second: 1.7e9 to 5e9 were measured
COST_AT_32 = {"resnet8": 13e6, "resnet14": 27e6, "resnet44": 97e6, "resnet50": 83e6}  # multiply-adds an image
STRIDES = {"resnet50": 32, "efficientnet_b0": 32}  # of the others 4, which every size here is a multiple of
_SPENT = {
    "baseline": "one size only",
    "b+": "small sizes take larger batches, so that an epoch is shorter",
    "d+": "small sizes take several copies of an image, decoded once",
    "bd+": "small sizes take larger batches and several copies of an image",
}
_NORMALIZED: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclasses.dataclass(frozen=True)
class FolderFacts:
    """What a recipe is chosen from.

    Attributes:
        name: of the data, for the run's.
        examples: to train on.
        classes: how many.
        side: shorter side of an image in pixels, the median.
        cores: of the machine.
        gpu: whether there is one.
    """

    name: str
    examples: int
    classes: int
    side: int
    cores: int
    gpu: bool

    def __str__(self) -> str:
        machine = "a GPU" if self.gpu else f"{self.cores} cores, no GPU"
        return f"{self.examples} training images of {self.classes} classes, {self.side} px (median side); {machine}"


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the user decided; None for what is to be chosen.

    Attributes:
        mode: `baseline`, `b+`, `d+` or `bd+`.
        network: name in `keras_mixsize.models`.
        base_size, base_batch: side in pixels and images per step of the base.
        epochs: passes over the images.
        learning_rate: the highest.
        finish: share of the last steps, at the base size.
    """

    mode: str | None = None
    network: str | None = None
    base_size: int | None = None
    base_batch: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    finish: float | None = None


@dataclasses.dataclass(frozen=True)
class Choice:
    """A recipe with its regime, and why.

    Attributes:
        facts: what it was chosen from.
        recipe: network, epochs, learning rate, augmentation.
        regime: sizes and batches; of mixed sizes a schedule that ends at the base.
        calibration_batches: at each test size.
        reasons: what was chosen -> (the choice and its reason, the flags that change it).
    """

    facts: FolderFacts
    recipe: Recipe
    regime: Mixture
    calibration_batches: int
    reasons: dict[str, tuple[str, str]]

    def __str__(self) -> str:
        lines = [f"  {name:<14}{reason}  ({flags})" for name, (reason, flags) in self.reasons.items()]
        return "\n".join([f"chosen for {self.facts.name}: {self.facts}", *lines])


def choose(facts: FolderFacts, asked: Asked = Asked()) -> Choice:
    """Return a recipe for a folder of images.

    Args:
        facts: of the images and the machine.
        asked: what is taken instead of chosen; what depends on it follows.

    Raises:
        ValueError: an unknown mode, no images, a base size that the network's stride does not divide, or a batch that a
            size has no room for.
    """
    check_count("examples", facts.examples)
    network, size, epochs = _network_size_epochs(facts, asked)
    batch = asked.base_batch or _batch(facts.examples)
    # of a few images a larger batch would hold some twice
    mode = asked.mode or ("b+" if facts.examples >= STEPS_AT_LEAST * batch else "d+")
    check_choice("mode", mode, ("baseline", *MODES))
    rate = asked.learning_rate if asked.learning_rate is not None else RATES[mode] * batch / REFERENCE_BATCH
    recipe = Recipe(
        facts.name,
        network,
        mode,
        family="folder",
        epochs=epochs,
        schedule=CosineDecay(rate, warmup_share=0.05),
        reference_batch=batch,
        finish=FINISH if asked.finish is None else asked.finish,
        **_augmentation(facts, size),
        **_NORMALIZED,
    )
    stride = STRIDES.get(network, 4)
    regime = recipe.finished(regime_around(mode, size, batch, stride))
    if asked.epochs is None:
        baseline = regime_around("baseline", size, batch, stride)
        recipe = recipe.lasting(equal_epochs(regime, baseline, facts.examples, epochs))
    calibration = min(200, max(25, facts.examples // batch))
    return Choice(facts, recipe, regime, calibration, _reasons(facts, asked, recipe, regime, epochs))


def minutes(facts: FolderFacts, network: str, pixels: float) -> float | None:
    """Return about how long training takes on a CPU, or None where that is not known.

    Args:
        facts: of the images and the machine.
        network: of the recipe.
        pixels: of all steps.
    """
    if facts.gpu or network not in COST_AT_32:
        return None
    return pixels / 32**2 * COST_AT_32[network] / (CPU_SPEED * facts.cores) / 60


def _network_size_epochs(facts: FolderFacts, asked: Asked) -> tuple[str, int, int]:
    """Return network, base size and its epochs: the first candidate that a CPU can train, with what the user gave."""
    seen = 600_000 if facts.gpu else 60_000
    epochs = asked.epochs or min(max(round(seen / facts.examples), 10), 100)
    candidates = [(asked.network or name, asked.base_size or side) for name, side in _candidates(facts)]
    for name, side in candidates:
        if (minutes(facts, name, facts.examples * epochs * side**2) or 0) <= CPU_MINUTES:
            return name, side, epochs
    name, side = candidates[-1]
    return name, side, asked.epochs or max(1, int(CPU_MINUTES / minutes(facts, name, facts.examples * side**2)))


def _candidates(facts: FolderFacts) -> list[tuple[str, int]]:
    """Return networks with base sizes, the best first. A base above the images' own size would show them blown up."""
    if facts.gpu:
        sides = {200: ("resnet50", 224), 112: ("resnet50", 128), PHOTO_SIDE: ("resnet44", 64), 0: ("resnet44", 32)}
        return [next(candidate for least, candidate in sides.items() if facts.side >= least)]
    large = [("resnet14", 64)] if facts.side >= PHOTO_SIDE else []
    return [*large, ("resnet14", 32), ("resnet8", 32)]


def _batch(examples: int) -> int:
    """Return the largest of 64, 32, 16 and 8 that leaves an epoch enough steps."""
    batch = LARGEST_BATCH
    while batch > 8 and batch * STEPS_AT_LEAST > examples:
        batch //= 2
    return batch


def _augmentation(facts: FolderFacts, base_size: int) -> dict:
    if facts.side < PHOTO_SIDE:
        return {"augmentation": "pad_crop_flip", "padding": base_size // 8}
    return {"augmentation": "random_resized_crop", "area": (0.25, 1.0), "test_crop": 7 / 8}


def regime_around(
    mode: str, base_size: int, base_batch: int, stride: int, ratios: Mapping[float, float] = RATIOS
) -> Regime:
    """Return the regime of sizes around a base.

    Args:
        mode: `baseline`, `b+`, `d+` or `bd+`.
        base_size: side in pixels.
        base_batch: images per step.
        stride: of the network; sizes are rounded to multiples of it.
        ratios: size / base -> probability.

    Raises:
        ValueError: a base size that the stride does not divide, or a batch that a size has no room for.
    """
    if base_size % stride:
        near = base_size // stride * stride or stride
        raise ValueError(
            f"base_size must be a multiple of the network's stride of {stride}, got {base_size}; use {near}"
        )
    multiple = math.gcd(base_batch, min(8, max(1, base_batch // 8)))  # 8 of 64; finer where a batch is small
    options: dict[str, Any] = {"base_size": base_size, "base_batch": base_batch, "multiple_of": multiple}
    if mode == "baseline":
        return Regime.solve({base_size: 1.0}, grow="none", **options)
    sizes: dict[int, float] = {}
    for ratio, probability in ratios.items():
        size = max(stride, stride * round(ratio * base_size / stride))
        sizes[size] = sizes.get(size, 0.0) + probability
    return Regime.solve(sizes, grow=MODES[mode], **options)


def _reasons(facts: FolderFacts, asked: Asked, recipe: Recipe, regime: Mixture, epochs: int) -> dict:
    def because(name: str, reason: str) -> str:
        return reason if vars(asked)[name] is None else "as asked"

    base, time = regime.base, minutes(facts, recipe.network, pixels(regime, facts.examples, recipe.epochs))
    network = "for a GPU" if facts.gpu else f"trains within {CPU_MINUTES} minutes on a CPU, as far as can be foreseen"
    batch = f"at least {STEPS_AT_LEAST} steps an epoch, {LARGEST_BATCH} at most"
    rate = f"{RATES[recipe.mode]:g} for {REFERENCE_BATCH} images"
    passes = "the fewer images, the more epochs" + (
        f"; costs what {epochs} at one size do" if len(regime.buckets) > 1 else ""
    )
    crop = "crops of a quarter to all of the image" if recipe.augmentation != "pad_crop_flip" else "shifted"
    sizes = f"{', '.join(map(str, regime.sizes))} px around the base of {base.size}"
    finish = f"the last {recipe.finish:.0%} of the steps at {base.size} px: {because('finish', 'wins there')}"
    reasons = {
        "network": (f"{recipe.network}: {because('network', network)}", "--model"),
        "sizes": (f"{sizes}: {because('base_size', f'for images of {facts.side}')}", "--base_size, --regime"),
        "batch": (f"{base.batch}: {because('base_batch', batch)}", "--base_batch"),
        "mode": (f"{recipe.mode}: {_SPENT[recipe.mode]}", "--mode"),
        "epochs": (f"{recipe.epochs}: {because('epochs', passes)}", "--epochs"),
        "learning rate": (f"{recipe.schedule}: {because('learning_rate', rate)}", "--learning_rate"),
        "augmentation": (f"{crop}, mirrored", "--recipe for another recipe's"),
    }
    if isinstance(regime, Schedule):
        reasons["finish"] = (finish, "--finish, 0 for none")
    if time is not None:
        reasons["time"] = (f"about {max(time, 1):.0f} min of training, by the network's multiply-adds", "--epochs")
    return reasons
