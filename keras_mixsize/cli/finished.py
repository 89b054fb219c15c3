"""What a command works on: a network that has been trained, with the data to calibrate it and to measure it.

It comes of a run's folder, or of a model file and a data set that the user names. Imports TensorFlow. Neighbours:
`results` and `data` (settings and sources), `evaluate`, `calibrate` and `export`, which work on it.

    finished = of_run("runs/b+", sizes=(16, 24))
    print(measure(finished, batches=200).table())
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import keras

import keras_mixsize as kms
from keras_mixsize.cli.config import RunConfig
from keras_mixsize.cli.data import load_source
from keras_mixsize.cli.names import meaning, short_name
from keras_mixsize.cli.progress import doing, parts
from keras_mixsize.cli.results import load_run
from keras_mixsize.cli.run import first_examples, make_dataset
from keras_mixsize.images import Augmentation, WholeImage


@dataclasses.dataclass(frozen=True)
class Finished:
    """A trained network and its data.

    Attributes:
        name: for tables and pictures.
        model: the network.
        train: what calibrates it.
        test: what measures it, or None if there is nothing to.
        window: what of a test image it looks at.
        sizes: test sizes in pixels.
    """

    name: str
    model: keras.Model
    train: kms.MixSizeDataset
    test: kms.sources.Source | None
    window: Augmentation
    sizes: tuple[int, ...]


def of_run(folder: str | os.PathLike, sizes: tuple[int, ...] | None = None, data_dir: str | None = None) -> Finished:
    """Return what a finished run left, with its data.

    Args:
        folder: that `mixsize train` wrote.
        sizes: test sizes in pixels; those of the run unless given.
        data_dir: of the data set, where it lies elsewhere than for the run.

    Raises:
        FileNotFoundError: no finished run there, or its data are gone.
    """
    with doing(f"loading {folder}"):
        config = load_run(pathlib.Path(folder))
        config = dataclasses.replace(config, sizes=sizes or config.sizes, data_dir=data_dir or config.data_dir)
        source = first_examples(
            load_source(config.dataset, "train", config.data_dir, damage=config.damage, validation=config.validation),
            config.limit,
        )
        test = _test_source(config, source.class_names)
        model = load_model(pathlib.Path(folder) / "model.keras")
    window = kms.recipes.test_window(config.recipe)
    return Finished(config.name, model, make_dataset(config, source), test, window, config.sizes)


def of_file(file: str | os.PathLike, dataset: str, sizes: tuple[int, ...], data_dir: str | None = None) -> Finished:
    """Return a model file with a data set, whose training images, whole, calibrate it.

    Args:
        file: that `model.save` of any Keras model of (None, None, C) wrote.
        dataset: what `mixsize train` takes: a folder of images, or a name.
        sizes: test sizes in pixels.
        data_dir: of the data set.

    Raises:
        FileNotFoundError: no such file or data set.
    """
    with doing(f"loading {file}"):
        model = load_model(pathlib.Path(file))
        dataset = meaning(dataset)
        source = load_source(dataset, "train", data_dir)
        test = load_source(dataset, "test", data_dir, source.class_names)
    batch = min(64, source.num_examples)
    regime = kms.Regime.fixed(max(sizes), batch)  # of one size, since calibration draws the examples anew
    train = kms.MixSizeDataset.from_source(source, regime=regime, seed=0, augmentation=WholeImage())
    name = f"{pathlib.Path(file).stem} on {short_name(dataset)}"
    return Finished(name, model, train, test, WholeImage(), tuple(sizes))


def _test_source(config: RunConfig, class_names) -> kms.sources.Source | None:
    """Return the test examples of a run; None where its training data lie, but no test data do."""
    try:
        return load_source(config.dataset, "test", config.data_dir, class_names, validation=config.validation)
    except FileNotFoundError:
        return None


def load_model(file: pathlib.Path) -> keras.Model:
    """Return the model in a file.

    Raises:
        FileNotFoundError: there is none.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no model file {file}")
    return keras.saving.load_model(file)


def test_of(finished: Finished) -> kms.sources.Source:
    """Return the test set.

    Raises:
        ValueError: there is none.
    """
    if finished.test is None:
        raise ValueError(f"{finished.name} has no test data; put a folder `test` beside its training data")
    return finished.test


def measure(finished: Finished, batches: int) -> kms.SizeReport:
    """Return the report of a network at its sizes, and say which size is being evaluated.

    Args:
        finished: the network.
        batches: of calibration at each size; 0 for none.

    Raises:
        ValueError: it has no test set.
    """
    test = test_of(finished)
    options: dict[str, Any] = {"window": finished.window, "name": finished.name}
    if batches:
        options |= {"calibrate": finished.train, "batches": batches}
    with parts():
        return kms.evaluate_sizes(finished.model, test, finished.sizes, **options)
