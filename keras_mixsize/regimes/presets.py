"""Presets: named sizes with their shares, as plain data: the paper's, and small ones for data to be had anywhere.

`Regime.preset(name)` turns an entry of `FAMILIES` into a regime; a name is `family/mode`, such as `cifar/d+`.
Neighbour: `regime`.

    preset_names()[:2]              # ['cifar/baseline', 'cifar/b+']
    FAMILIES["cifar"].sizes[48]     # 0.2

Source: Hoffer et al., arXiv 1908.08986, and the authors' published training code (convNet.pytorch) for the sizes and
shares of the regime with mean size 224.
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

    def __reduce__(self):
        return SizeFamily, (dict(self.sizes), self.base_size, self.base_batch, self.about)


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
        "tiny": SizeFamily(
            {16: 0.3, 24: 0.2, 12: 0.3, 8: 0.2}, 16, 64, "for the embedded letters: the CIFAR sizes, halved"
        ),
    }
)


def preset_names() -> list[str]:
    """Return every name that `Regime.preset` takes."""
    return [f"{family}/{mode}" for family in FAMILIES for mode in ("baseline", *MODES)]
