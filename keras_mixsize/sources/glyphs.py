"""Glyphs: letters and digits of fonts, inside the package; the fonts that are tested on are of other families.

Neighbours: `fashion` (the other images in the package), `arrays` (what they become).

    source = glyphs("test")
    source.num_examples, source.num_classes, source.channels        # 9300, 62, 1
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from keras_mixsize.arguments import check_choice
from keras_mixsize.sources.arrays import ArraySource


def glyphs(split: str = "train") -> ArraySource:
    """Return A-Z, a-z and 0-9 in fonts, ink white on black; no family of fonts is in both splits.

    Args:
        split: `"train"` (4,000 images) or `"test"` (9,300).

    Returns:
        Grey images `[N, 32, 32, 1]` uint8 of 62 classes, capitals first.

    Raises:
        ValueError: another split.

    Example:
        >>> glyphs("test").images.shape
        (9300, 32, 32, 1)

    Source: drawn from the free fonts of Debian's texlive-fonts-extra by experiments/data/make_glyphs.py; their licences
    are named beside the data.
    """
    check_choice("split", split, ("train", "test"))
    packed = resources.files("keras_mixsize.sources") / "data" / "glyphs.npz"
    with resources.as_file(packed) as file, np.load(file) as data:
        images, labels = data[f"{split}_images"], data[f"{split}_labels"]
        names = tuple(map(str, data["class_names"]))
    return ArraySource(images[..., np.newaxis], labels.astype(np.int64), names)
