"""Converts a data set into TFRecord shards that are read by index, with a manifest of counts and checksums.

    python experiments/convert.py --dataset=folder:photos/train --output=shards/train --max_side=500 --quality=90
    python experiments/convert.py --dataset=imagenet2012 --data_dir=tfds --split=train --output=shards/train
    python experiments/convert.py --dataset=embedded --split=test --output=shards/test

Killed in the middle, the same command goes on where it stopped and gives the same files. Train on the result with
`MixSizeDataset.from_records("shards/train", ...)`.
"""

from absl import app, flags
from rich.console import Console

import keras_mixsize as kms

DATASET = flags.DEFINE_string("dataset", "embedded", "embedded, folder:PATH, records:PATTERN, or a tfds data set.")
SPLIT = flags.DEFINE_string("split", "train", "Split of the embedded or a tfds data set.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data set lies (tfds: its data_dir).")
OUTPUT = flags.DEFINE_string("output", None, "Folder for the shards.", required=True)
MAX_SIDE = flags.DEFINE_integer("max_side", None, "Shrink images with a longer side to it, in pixels.", lower_bound=1)
QUALITY = flags.DEFINE_integer("quality", 95, "JPEG quality of shrunk images.", lower_bound=1, upper_bound=100)
PER_SHARD = flags.DEFINE_integer("examples_per_shard", 1024, "Examples in a shard.", lower_bound=1)
DAMAGE = flags.DEFINE_enum("damage", "raise", ["raise", "skip"], "An error, or leave damaged images out and list them.")
CHECK = flags.DEFINE_boolean("check", True, "Decode every image once to see whether it is damaged.")


def open_source(dataset: str, split: str, data_dir: str | None, damage: str) -> kms.sources.Source:
    """Return the source that the flags name."""
    kind, _, path = dataset.partition(":")
    if kind == "folder":
        return kms.sources.folder(path, damage=damage)
    if kind == "records":
        return kms.sources.records(path, damage=damage)
    if kind == "embedded":
        return kms.sources.fashion_mnist(split)
    return kms.sources.tfds_source(dataset, split, data_dir=data_dir, damage=damage)


def main(_):
    manifest = kms.sources.convert(
        open_source(DATASET.value, SPLIT.value, DATA_DIR.value, DAMAGE.value),
        OUTPUT.value,
        max_side=MAX_SIDE.value,
        quality=QUALITY.value,
        examples_per_shard=PER_SHARD.value,
        check=CHECK.value,
    )
    left_out = [entry for shard in manifest["shards"].values() for entry in shard["left_out"]]
    size = sum(shard["bytes"] for shard in manifest["shards"].values())
    console = Console()
    console.print(
        f"{manifest['examples'] - len(left_out)} examples, {size / 2**20:.1f} MiB, in {OUTPUT.value}/manifest.json"
    )
    for entry in left_out:
        console.print(f"left out: {entry['name']} (index {entry['index']}): {entry['fault']}")


if __name__ == "__main__":
    app.run(main)
