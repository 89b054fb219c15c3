"""An export and the run that it was made from: what the scripts that look at an export share.

`make serve` leaves both, and so does any other `mixsize export` of a run. Owns their flags.

    served, run = load_export(), load_run(RUN.value)
    known, others = halves(run)                     # what fitted the export's cascade, and what did not
    logits = in_batches(lambda batch: served.predict(batch, size=32).logits, others.images, batch=200)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from absl import flags, logging

import keras_mixsize as kms
from keras_mixsize.cli.config import RunConfig
from keras_mixsize.cli.data import load_source
from keras_mixsize.cli.held_out import classes_of, divide, images_of

EXPORTED = flags.DEFINE_string("exported", "runs/serve/exported", "What export.py wrote.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Of the run's data set; the run's unless given.")
RUN = flags.DEFINE_string("run", "runs/serve/b+", "Folder of the run that was exported.")


class Examples(NamedTuple):
    """Images as they are, an array `[N, H, W, C]` or encoded files, and labels `[N]`."""

    images: Sequence
    labels: np.ndarray


def load_export() -> kms.serving.ServedModel:
    """Return the newest version of the export."""
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells the names of all captured weights otherwise
    return kms.serving.load(EXPORTED.value)


def source_of(run: RunConfig, split: str) -> kms.sources.Source:
    """Return the `train` or `test` examples of the run's data set."""
    return load_source(run.dataset, split, DATA_DIR.value or run.data_dir)


def halves(run: RunConfig) -> list[Examples]:
    """Return the part of the run's test set that fitted the export's cascade, and the other."""
    parts = divide(source_of(run, "test"), None)
    return [Examples(images_of(part), classes_of(part)) for part in parts]


def in_batches(function: Callable[[Sequence], np.ndarray], images: Sequence, *, batch: int) -> np.ndarray:
    """Return the function's rows for all images, so many at a time."""
    return np.concatenate([function(images[low : low + batch]) for low in range(0, len(images), batch)])
