"""Recipe: every setting of a run of the results table, as a value that prints itself and survives JSON.

Plain data, which loads no TensorFlow. Neighbours: `schedules` (its learning rate), `table` (the named recipes), `build`
(what they mean in Keras).

    recipe = recipes.find("cifar10/resnet44/d+").lasting(20)
    print(recipe)
    Recipe.from_dict(recipe.to_dict()) == recipe
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any

from keras_mixsize.arguments import check_choice, is_number
from keras_mixsize.recipes.schedules import CosineDecay, StepDecay, schedule_from_dict
from keras_mixsize.regimes.by_size import BySize
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.regime import Regime
from keras_mixsize.regimes.schedule import Schedule

BY_SIZE = ("padding", "dropout_scale")  # fields that may be a BySize; in JSON its text


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of one run of the results table; `build` makes Keras objects of them.

    Attributes:
        dataset: name in tensorflow-datasets, `embedded`, `glyphs`, `fashion_mnist` or `clipart`.
        network: name in `keras_mixsize.models`.
        mode: `baseline`, `b+`, `d+` or `bd+`.
        family: of the regime, see `FAMILIES`.
        epochs: passes over the data, in steps of the regime's own plan.
        schedule: learning rate against epochs, so that it fits any number of steps per epoch.
        reference_batch: images per step, without copies, that the learning rate is for.
        momentum: of SGD.
        l2: strength of the weight decay, added to the gradient before momentum.
        l2_filter: which weights decay, see `MixSizeModel`.
        smoothing: momentum of the gradient smoothing, or None for none.
        augmentation: `pad_crop_flip`, `pad_crop` or `random_resized_crop`.
        padding: of the former two, in pixels of the source image; or a `BySize` of them.
        area: of the last, smallest and largest share of the image.
        label_smoothing: share of the label that is spread over all classes.
        network_options: of the network's own function, such as stochastic depth (`drop_path`).
        auxiliary_weight: of the loss of an auxiliary head; 0 for networks without.
        mean, std: per channel of images in [0, 1], for normalisation; None for none.
        test_crop: side of the central window of a test image, as a share of its shorter side; None for all of it.
        scaling: how the learning rate follows the regime's mean batch: `none`, `linear` or `sqrt`.
        dropout_scale: of `MixSizeModel`, a number or a `BySize`.
        ema: momentum of the averaged weights that the run ends with, as Keras's `use_ema`; None for the last weights.
        finish: share of the last steps, which are at the base size; without effect on `baseline`.
    """

    dataset: str
    network: str
    mode: str
    family: str
    epochs: int
    schedule: StepDecay | CosineDecay
    reference_batch: int
    momentum: float = 0.9
    l2: float = 1e-4
    l2_filter: str = "kernels"
    smoothing: float | None = 0.9
    augmentation: str = "pad_crop_flip"
    padding: int | BySize = 4
    area: tuple[float, float] = (0.08, 1.0)
    label_smoothing: float = 0.0
    network_options: Mapping[str, float] = dataclasses.field(default_factory=dict)
    auxiliary_weight: float = 0.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    test_crop: float | None = None
    scaling: str = "none"
    dropout_scale: float | BySize = 1.0
    ema: float | None = None
    finish: float = 0.0

    def __post_init__(self):
        if not is_number(self.finish) or not 0 <= self.finish < 1:
            raise ValueError(f"finish must be a share of the steps in [0, 1), got {self.finish!r}; 0 is for none")
        object.__setattr__(self, "network_options", types.MappingProxyType(dict(self.network_options)))

    @property
    def name(self) -> str:
        """Its key in `RECIPES`, such as `cifar10/resnet44/b+`."""
        return f"{self.dataset}/{self.network}/{self.mode}"

    @property
    def regime(self) -> str:
        """Name of its regime, for `Regime.preset`."""
        return f"{self.family}/{self.mode}"

    @property
    def by_size(self) -> dict[str, BySize]:
        """Its settings that depend on the size, by name, for `Regime.table`."""
        return {name: value for name, value in vars(self).items() if isinstance(value, BySize)}

    def finished(self, regime: Regime) -> Mixture:
        """Return a regime with the recipe's last steps at its base."""
        return finished(regime, self.finish)

    def lasting(self, epochs: int) -> Recipe:
        """Return the recipe with another number of epochs and its schedule stretched to them."""
        return dataclasses.replace(self, epochs=epochs, schedule=self.schedule.stretched(epochs / self.epochs))

    def to_dict(self) -> dict:
        """Return plain values, for JSON."""
        fields = {field.name: vars(self)[field.name] for field in dataclasses.fields(self)}
        fields |= {name: str(value) for name, value in self.by_size.items()}
        return fields | {"schedule": vars(self.schedule), "network_options": dict(self.network_options)}

    @classmethod
    def from_dict(cls, fields: Mapping) -> Recipe:
        """Return the recipe that `to_dict` gave, of this version or of 0.1.0.

        Raises:
            ValueError: an unknown field, with the nearest one, or one that is missing.
        """
        known = dataclasses.fields(cls)
        for name in fields:
            check_choice("field of the recipe", name, [field.name for field in known])
        needed = [field.name for field in known if field.default is field.default_factory]  # both are missing
        if missing := [name for name in needed if name not in fields]:
            raise ValueError(f"the recipe must have the fields {', '.join(needed)}, got none of {', '.join(missing)}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        by_size = {name: BySize.parse(values[name]) for name in BY_SIZE if isinstance(values.get(name), str)}
        return cls(**values | by_size | {"schedule": schedule_from_dict(fields["schedule"])})

    def __reduce__(self):
        return Recipe.from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        return f"Recipe({self.name!r}, epochs={self.epochs}, learning rate {self.schedule})"

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value:g}" for name, value in self.network_options.items())
        crop = f"pad {self.padding}, crop, flip"
        if self.augmentation == "random_resized_crop":
            crop = f"random resized crop of {self.area[0]:g} to {self.area[1]:g} of the area, flip"
        window = f"central window, {self.test_crop:.3g} of the shorter side" if self.test_crop else "the whole image"
        lines = {
            "network": f"{self.network}({options})",
            "regime": self.regime,
            "epochs": self.epochs,
            "optimizer": f"SGD, momentum {self.momentum:g}",
            "learning rate": f"{self.schedule}; for {self.reference_batch} images per step, scaling: {self.scaling}",
            "L2": f"{self.l2:g} on {self.l2_filter}",
            "gradient smoothing": "none" if self.smoothing is None else f"momentum {self.smoothing:g}",
            "augmentation": crop,
            "normalisation": "none" if self.mean is None else f"mean {self.mean}, std {self.std}",
            "label smoothing": f"{self.label_smoothing:g}",
            "dropout scale": f"{self.dropout_scale}",
            "averaged weights": "none" if self.ema is None else f"momentum {self.ema:g}",
            "auxiliary loss": f"{self.auxiliary_weight:g}",
            "test images": window,
        }
        return "\n".join([self.name, *(f"  {key:<18} {value}" for key, value in lines.items())])


def finished(regime: Regime, share: float) -> Mixture:
    """Return a regime whose last steps, a share of all, are at its base; one size, or a share of 0, stays as it is."""
    return Schedule.finish(regime, share) if share and len(regime.buckets) > 1 else regime
