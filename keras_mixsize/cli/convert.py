"""write a data set as TFRecord shards, which are read by index

    mixsize convert photos/train --output=shards/train --max_side=500 --quality=90
    mixsize convert --dataset=imagenet2012 --data_dir=tfds --split=train --output=shards/train

A manifest beside them holds counts and checksums. Killed in the middle, the same command goes on
where it stopped and gives the same files. Train on shards/train and shards/test with
`mixsize train --dataset=records:shards`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from keras_mixsize.cli.progress import doing

if TYPE_CHECKING:
    import keras_mixsize as kms

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
DATASET = flags.DEFINE_string("dataset", None, "A folder, records:PATTERN, embedded, or a name of tfds.", **_OWN)
SPLIT = flags.DEFINE_string("split", "train", "Split of the embedded or a tfds data set.", **_OWN)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data set lies (tfds: its data_dir).", **_OWN)
OUTPUT = flags.DEFINE_string("output", None, "Folder for the shards.", **_OWN)
MAX_SIDE = flags.DEFINE_integer("max_side", None, "Shrink longer images to it, in pixels.", lower_bound=1, **_OWN)
QUALITY = flags.DEFINE_integer("quality", 95, "JPEG quality of shrunk images.", 1, 100, **_OWN)
PER_SHARD = flags.DEFINE_integer("examples_per_shard", 1024, "Examples in a shard.", lower_bound=1, **_OWN)
DAMAGE = flags.DEFINE_enum("damage", "raise", ["raise", "skip"], "Damaged images: an error, or left out.", **_OWN)
CHECK = flags.DEFINE_boolean("check", True, "Decode every image once to see whether it is damaged.", **_OWN)


def main(arguments: Sequence[str]) -> None:
    """Convert what the flags name, and say what was written and what was left out."""
    named = [*arguments, *([DATASET.value] if DATASET.value else [])]
    if len(named) != 1 or OUTPUT.value is None:
        raise ValueError(
            "name one data set and an --output, as in `mixsize convert photos/train --output=shards/train`"
        )
    with doing("loading TensorFlow"):
        import keras_mixsize.sources as sources

    manifest = sources.convert(
        open_source(named[0], SPLIT.value, DATA_DIR.value, DAMAGE.value),
        OUTPUT.value,
        max_side=MAX_SIDE.value,
        quality=QUALITY.value,
        examples_per_shard=PER_SHARD.value,
        check=CHECK.value,
    )
    print(summary(manifest, OUTPUT.value))


def open_source(dataset: str, split: str, data_dir: str | None, damage: str) -> kms.sources.Source:
    """Return the source that a user's name means: a folder of class folders, shards, or a split of a data set."""
    import keras_mixsize as kms
    from keras_mixsize.cli.data import load_source
    from keras_mixsize.cli.names import meaning

    if dataset.startswith("records:"):
        return kms.sources.records(dataset.removeprefix("records:"), damage=damage)  # a folder, or a pattern of files
    kind, _, path = meaning(dataset).partition(":")
    with doing(f"reading {dataset}"):
        if kind == "folder":
            return kms.sources.folder(path, damage=damage)
        if kind == "records":
            return kms.sources.records(path, damage=damage)
        return load_source(meaning(dataset), split, data_dir, damage=damage)


def summary(manifest: dict, folder: str) -> str:
    """Return what was written, and a line for each image that was left out."""
    shards = manifest["shards"].values()
    left_out = [entry for shard in shards for entry in shard["left_out"]]
    size = sum(shard["bytes"] for shard in shards) / 2**20
    lines = [f"{manifest['examples'] - len(left_out)} examples, {size:.1f} MiB, in {folder}/manifest.json"]
    lines += [f"left out: {entry['name']} (index {entry['index']}): {entry['fault']}" for entry in left_out]
    return "\n".join(lines)
