"""Example pictures of a run: for each bucket some training images with their copies, as they enter the step.

A PNG for each bucket, in the folder `examples` beside the results: a row of images, and below it a row for each further
copy. Imports TensorFlow. Neighbours: `run` (has them written), `page` (shows them).

    write_examples(train, "runs/d+")                # runs/d+/examples/24x112x1.png
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np
import tensorflow as tf

import keras_mixsize as kms
from keras_mixsize.files import replaced

FOLDER = "examples"
IMAGES, COPIES = 6, 4  # of a bucket, at most


def write_examples(train: kms.MixSizeDataset, output: str | os.PathLike) -> list[pathlib.Path]:
    """Write a PNG for each different bucket of a training set, and return their paths.

    Args:
        train: of images of 1 or 3 channels in [0, 1].
        output: folder of the run.
    """
    folder = pathlib.Path(output) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(train, bucket, folder) for bucket in dict.fromkeys(train.plan.regime.buckets)]


def tiled(images: np.ndarray, copies: int) -> np.ndarray:
    """Return images side by side, each copy in a row of its own.

    Args:
        images: `[D*B, S, S, C]` float in [0, 1], all images' first copies first.
        copies: D.

    Returns:
        uint8 `[D*S, B*S, C]`.
    """
    rows = np.split(np.clip(images, 0, 1), copies)
    return np.round(255 * np.concatenate([np.concatenate(list(row), axis=1) for row in rows])).astype(np.uint8)


def _write(train: kms.MixSizeDataset, bucket: kms.Bucket, folder: pathlib.Path) -> pathlib.Path:
    few = dataclasses.replace(
        bucket, batch=min(bucket.batch, IMAGES), duplicates=min(bucket.duplicates, COPIES), probability=1.0
    )
    plan = kms.Plan(kms.Regime((few,)), num_examples=train.source.num_examples, seed=train.plan.seed)
    images, _ = next(iter(kms.MixSizeDataset(train.source, plan, train.transform)))
    path = folder / f"{bucket.size}x{bucket.batch}x{bucket.duplicates}.png"
    with replaced(path) as stream:
        stream.write(tf.io.encode_png(tiled(images.numpy(), few.duplicates)).numpy())
    return path
