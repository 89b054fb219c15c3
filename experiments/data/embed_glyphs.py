"""Makes the letters and digits inside the package, a part of those that make_glyphs.py draws.

    python experiments/data/embed_glyphs.py --glyphs=FOLDER/glyphs.npz

Takes 4,000 training images, the same that the evidence trains on, and all test images, whose fonts are of other
families. The result is the same bytes for everybody.
"""

import pathlib

import numpy as np
from absl import app, flags

GLYPHS = flags.DEFINE_string("glyphs", None, "The file that make_glyphs.py wrote.", required=True)
TARGET = flags.DEFINE_string(
    "target", str(pathlib.Path(__file__).parents[2] / "keras_mixsize/sources/data/glyphs.npz"), "File to write."
)
TRAIN = flags.DEFINE_integer("train", 4000, "Training images to keep.", lower_bound=1)
DRAW = 0  # seed of which, as in evidence/settings.py


def main(_):
    with np.load(GLYPHS.value) as file:
        images, labels, split = file["images"], file["labels"], file["split"]
        arrays = {"class_names": file["class_names"], "font_families": np.unique(file["font_families"])}
    kept = {name: np.flatnonzero(split == name) for name in ("train", "test")}
    kept["train"] = kept["train"][np.random.default_rng(DRAW).permutation(len(kept["train"]))[: TRAIN.value]]
    for name, chosen in kept.items():
        arrays |= {f"{name}_images": images[chosen], f"{name}_labels": labels[chosen]}
    np.savez_compressed(TARGET.value, **arrays)
    print(TARGET.value, {name: array.shape for name, array in arrays.items()})


if __name__ == "__main__":
    app.run(main)
