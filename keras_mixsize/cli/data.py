"""The training and test images of a data set, and what is said of them before a run.

Neighbours: `names` (which data set a user's word means), `downloads` (whether it can be had), `run` (trains on the
images).

    load_source("folder:/home/me/photos", "train").num_examples
"""

from __future__ import annotations

import io
import pathlib

import numpy as np
import tensorflow as tf

from keras_mixsize.cli.config import RunConfig
from keras_mixsize.cli.downloads import check_available
from keras_mixsize.cli.names import short_name
from keras_mixsize.images.headers import read_header
from keras_mixsize.sources import ArraySource, Source, fashion_mnist, folder, glyphs, records, tfds_source
from keras_mixsize.sources.listing import read_listing
from keras_mixsize.sources.splits import held_out, split_folder

EMBEDDED = {"embedded": fashion_mnist, "glyphs": glyphs}
TRAIN_FOLDERS = ("train", "training")  # the first that is there, here and below
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation", "dev", "eval")
SOME = 100  # images whose headers tell the usual size of a source that has no listing
TFDS_TEST_SPLITS = {"imagenet2012": "validation"}  # its test split has no labels


def load_source(
    dataset: str,
    split: str,
    data_dir: str | None = None,
    class_names: tuple[str, ...] | None = None,
    damage: str = "raise",
    validation: float = 0.2,
) -> Source:
    """Return the training or test examples of a data set.

    Args:
        dataset: `embedded`; `glyphs`; `fashion_mnist` (with `data_dir` the full IDX files, else tfds's); `clipart`
            (`data_dir` is the folder that make_clipart.py made); `folder:PATH` (see `load_folder`); `records:PATH`
            (with train/ and test/ in it, as `mixsize convert` writes them); or a tfds name.
        split: `train` or `test`.
        data_dir: of the data set.
        class_names: of the training folder, for the test folder's numbers to be the same.
        damage: `raise` or `skip`, for encoded images.
        validation: share of a folder without a test folder that is held out.

    Raises:
        ValueError: `data_dir` is missing, or what the source raises.
        OSError: the data are not here and cannot be downloaded.
    """
    if dataset in EMBEDDED:
        return EMBEDDED[dataset](split)
    if dataset == "fashion_mnist" and data_dir is not None:
        return fashion_mnist(split, path=data_dir)
    if dataset == "clipart" and data_dir is None:
        raise ValueError("data_dir must be given for clipart: the folder that experiments/data/make_clipart.py made")
    if dataset == "clipart" or dataset.startswith("folder:"):
        root = data_dir if dataset == "clipart" else dataset.removeprefix("folder:")
        return load_folder(pathlib.Path(root), split, class_names, damage, validation)
    if dataset.startswith("records:"):
        return records(pathlib.Path(dataset.removeprefix("records:")) / split, damage=damage)
    check_available(dataset, data_dir)
    split = TFDS_TEST_SPLITS.get(dataset, split) if split == "test" else split
    return tfds_source(dataset, split, data_dir=data_dir, damage=damage)


def load_folder(
    root: pathlib.Path,
    split: str,
    class_names: tuple[str, ...] | None = None,
    damage: str = "raise",
    validation: float = 0.2,
) -> Source:
    """Return the training or test images of the user's folder.

    Args:
        root: with class folders in it; or with train/ and test/, val/, valid/ or validation/, and class folders in
            each. Of a folder without any of these, a share is held out by a hash of each file's name.
        split: `train` or `test`.
        class_names: of the training folder, for the test folder's numbers to be the same.
        damage: `raise` or `skip`.
        validation: the share.
    """
    train, test = parts(root)
    if test is None:
        return split_folder(train, validation, damage=damage)[split == "test"]
    return folder(train if split == "train" else test, class_names=class_names, damage=damage)


def parts(root: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path | None]:
    """Return the folders of training and of test images; None for the latter where a share must be held out.

    Raises:
        FileNotFoundError: no such folder, or test folders without a training folder.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"folder {root} does not exist")
    below = {entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__"))}
    if not below or not below <= {*TRAIN_FOLDERS, *TEST_FOLDERS}:  # classes, one of which may be of trains
        return root, None
    train, test = ([name for name in names if name in below] for names in (TRAIN_FOLDERS, TEST_FOLDERS))
    if not train:
        raise FileNotFoundError(
            f"folder {root} has {test[0]}/ but no train/ beside it; name the classes' folder itself"
        )
    return root / train[0], root / test[0] if test else None


def describe(config: RunConfig, train: Source, test: Source) -> str:
    """Return what is trained and tested on, as text: data set, classes, and counts of each."""
    lines = [f"data: {short_name(config.dataset)}, {_counted(train, 'to train on')}, {_counted(test, 'to test on')}"]
    if config.dataset.startswith("folder:"):
        root = pathlib.Path(config.dataset.removeprefix("folder:"))
        lines[0] += _whence(root, config.validation)
    if train.class_names is not None and train.labels.ndim == 1:
        counts = [np.bincount(source.labels, minlength=len(train.class_names)) for source in (train, test)]
        rows = [f"{name} {many} + {few}" for name, many, few in zip(train.class_names, *counts)]
        rest = f", and {len(rows) - 12} more" if len(rows) > 12 else ""
        lines.append(f"{len(rows)} classes (train + test): {', '.join(rows[:12])}{rest}")
    return "\n".join(lines)


def _counted(source: Source, what: str) -> str:
    return f"{source.num_examples:,} images {what}"


def _whence(root: pathlib.Path, validation: float) -> str:
    train, test = parts(root)
    if test is None:
        return f" (held out by a hash of the name: --validation={validation:g})"
    return f" ({train.name}/ and {test.name}/)"


def facts(dataset: str, data_dir: str | None = None, validation: float = 0.2) -> tuple[int, int, int]:
    """Return (training images, classes, median of the shorter sides in pixels) of a data set.

    Args:
        dataset, data_dir, validation: see `load_source`.
    """
    if not dataset.startswith("folder:"):
        source = load_source(dataset, "train", data_dir)
        return source.num_examples, source.num_classes, _median_side(_some_sides(source))
    train, test = parts(pathlib.Path(dataset.removeprefix("folder:")))
    found = read_listing(train)
    out = held_out(found.names, validation) if test is None else np.zeros(len(found.names), bool)
    return int((~out).sum()), len(found.class_names), _median_side(found.sides)


def _some_sides(source: Source) -> np.ndarray:
    """Return heights and widths of some images from all over a source: int64 `[N, 2]`, 0 where there is no header."""
    if isinstance(source, ArraySource):
        return np.array([source.images.shape[1:3]])
    indices = np.unique(np.linspace(0, source.num_examples - 1, SOME).astype(np.int64))
    return np.array([read_header(io.BytesIO(source.read(tf.constant(index)).numpy()))[1:] for index in indices])


def _median_side(sides: np.ndarray) -> int:
    shorter = sides.min(axis=1)
    return int(np.median(shorter[shorter > 0])) if shorter.any() else 1  # 0 where a header cannot be read
