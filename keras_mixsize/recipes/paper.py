"""Paper: its results, as plain data, to compare runs with.

Neighbour: `table`, which has a recipe for each row and mode.

    PAPER[0].network, PAPER[0].accuracy             # 'resnet44', (92.84, 94.3, 94.37)

Source: Hoffer et al., arXiv 1908.08986, tables 1 and 2.
"""

from __future__ import annotations

import dataclasses


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
