"""Named settings, as plain data: the paper's regimes and results, and a small regime for the embedded images.

`Regime.preset(name)` turns an entry into a regime; a name is `family/mode`, such as `cifar/d+`.
Neighbours: `regime` reads this file; nothing is computed here.

Source: Hoffer et al., arXiv 1908.08986, and the authors' published training code for the sizes and shares
of the regime with mean size 224.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping

MODES = types.MappingProxyType({"b+": "batch", "d+": "duplicates", "bd+": "both"})


@dataclasses.dataclass(frozen=True)
class SizeFamily:
    """Sizes with their probabilities, and the fixed-size baseline whose cost is the budget of a step.

    Attributes:
        sizes: side in pixels -> probability.
        base_size: side in pixels of the baseline.
        base_batch: images per step of the baseline.
        about: where the numbers come from, one line.
    """

    sizes: Mapping[int, float]
    base_size: int
    base_batch: int
    about: str

    def __post_init__(self):
        object.__setattr__(self, "sizes", types.MappingProxyType(dict(self.sizes)))


FAMILIES: Mapping[str, SizeFamily] = types.MappingProxyType(
    {
        "cifar": SizeFamily(
            {32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}, 32, 64, "the paper's CIFAR-10/100 sizes; mean size 29.6"
        ),
        "imagenet144": SizeFamily(
            {256: 0.1, 224: 0.1, 128: 0.6, 96: 0.2}, 224, 256, "the paper's ImageNet S(144); mean size 144"
        ),
        "imagenet224": SizeFamily(
            {128: 0.8 / 6, 160: 0.8 / 6, 192: 0.8 / 6, 224: 0.2, 256: 0.8 / 6, 288: 0.8 / 6, 320: 0.8 / 6},
            224,
            256,
            "the ImageNet regime of mean size 224 in the authors' code",
        ),
        "small": SizeFamily(
            {32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}, 32, 64, "for the embedded Fashion-MNIST: the CIFAR sizes"
        ),
    }
)


def preset_names() -> list[str]:
    """Return every name that `Regime.preset` takes."""
    return [f"{family}/{mode}" for family in FAMILIES for mode in ("baseline", *MODES)]


@dataclasses.dataclass(frozen=True)
class PaperRow:
    """One network of the paper's results: what it was trained on, for how long, and how well.

    Attributes:
        network: name in `keras_mixsize.models`.
        dataset: name in tensorflow-datasets.
        family: of the regimes.
        classes: of the data set.
        examples: of its training split.
        epochs: of the baseline.
        steps: of baseline, B+ and D+, in thousands, as printed.
        accuracy: of baseline, B+ and D+ at the base size, in percent.
    """

    network: str
    dataset: str
    family: str
    classes: int
    examples: int
    epochs: int
    steps: tuple[int, int, int]
    accuracy: tuple[float, float, float]


PAPER = (
    PaperRow("resnet44", "cifar10", "cifar", 10, 50_000, 200, (156, 109, 156), (92.84, 94.30, 94.37)),
    PaperRow("wrn28_10", "cifar10", "cifar", 10, 50_000, 200, (156, 109, 156), (96.60, 97.28, 97.68)),
    PaperRow("amoebanet_a", "cifar10", "cifar", 10, 50_000, 600, (469, 328, 469), (98.16, 98.14, 98.32)),
    PaperRow("resnet44", "cifar100", "cifar", 100, 50_000, 200, (156, 109, 156), (70.36, 72.19, 73.10)),
    PaperRow("wrn28_10", "cifar100", "cifar", 100, 50_000, 200, (156, 109, 156), (79.85, 83.08, 83.52)),
    PaperRow("resnet50", "imagenet2012", "imagenet144", 1000, 1_281_167, 90, (450, 169, 450), (76.40, 76.61, 78.04)),
    PaperRow(
        "efficientnet_b0", "imagenet2012", "imagenet144", 1000, 1_281_167, 200, (1000, 376, 1000), (76.32, 76.29, 76.53)
    ),
)
