"""Where examples come from: arrays, folders of image files, tfds, the embedded Fashion-MNIST.

A source is addressed by index and renders the windows that an augmentation asks for, so shuffling moves indices and
never images. Imports `images`; `dataset` turns a source and a plan into batches.

    source = fashion_mnist("train")
    source.num_examples, source.num_classes, source.channels
"""

from __future__ import annotations

import abc
import concurrent.futures
import gzip
import math
import pathlib
from importlib import resources

import numpy as np
import tensorflow as tf

from keras_mixsize import images as images_lib

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_MEMORY_LIMIT = 16 * 2**30  # bytes of encoded images that `from_tfds` holds in memory


class Source(abc.ABC):
    """Examples addressed by index.

    Attributes:
        labels: int64 `[num_examples]`, or float32 `[num_examples, classes]` (one-hot or soft).
        class_names: a name per class, or None.
        channels: 1 or 3.
    """

    labels: np.ndarray
    class_names: tuple[str, ...] | None
    channels: int

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """Classes: named ones, one-hot columns, or the largest label plus one."""
        if self.class_names is not None:
            return len(self.class_names)
        return self.labels.shape[1] if self.labels.ndim == 2 else int(self.labels.max()) + 1

    @abc.abstractmethod
    def render(
        self, indices: tf.Tensor, seeds: tf.Tensor, size: tf.Tensor, transform: images_lib.Transform
    ) -> tf.Tensor:
        """Return the augmented images of some examples, duplicate-major.

        Args:
            indices: int64 `[B]`.
            seeds: uint32 `[D*B]`; number n is for a copy of example `indices[n % B]`.
            size: int32 scalar, side of the result in pixels.
            transform: what to do with each image.

        Returns:
            `[D*B, size, size, channels]` float32 in [0, 1].
        """


class ArraySource(Source):
    """Images of one size in memory.

    Args:
        images: uint8 (0..255) or float32 (in [0, 1]), `[N, H, W, C]` or `[N, H, W]`.
        labels: integers `[N]` at or above 0, or floats `[N, classes]`.
        class_names: a name per class.

    Raises:
        ValueError: shapes, dtypes or label values that do not fit.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...] | None = None):
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim == 3:
            images = images[..., None]
        if images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise ValueError(f"images must be [N, H, W, C] with C 1 or 3, or [N, H, W], got the shape {images.shape}")
        if images.dtype not in (np.uint8, np.float32):
            raise ValueError(f"images must be uint8 (0..255) or float32 (in [0, 1]), got {images.dtype}")
        if images.dtype == np.float32 and images.size and not (images.min() >= 0 and images.max() <= 1):
            raise ValueError(f"float images must lie in [0, 1], got {images.min():g}..{images.max():g}; divide by 255?")
        self.images = images
        self._pixels = _on_host(images)
        self.labels = check_labels(labels, len(images), class_names)
        self.class_names = class_names
        self.channels = images.shape[-1]

    def render(self, indices, seeds, size, transform):
        """See `Source.render`."""
        images = tf.gather(self._pixels, indices)
        height, width = (tf.fill(tf.shape(seeds), float(side)) for side in self.images.shape[1:3])
        windows = transform.augmentation.windows(height, width, seeds)
        options = {"interpolation": transform.interpolation, "antialias": transform.antialias}
        return images_lib.render(images, windows, size, **options)


class EncodedSource(Source):
    """JPEG and PNG images of any size, as files or as bytes in memory; decoded once for all copies in a step.

    Args:
        items: paths, or the encoded bytes themselves.
        labels: integers `[N]` at or above 0, or floats `[N, classes]`.
        class_names: a name per class.
        channels: 1 or 3; every image is converted.
        are_paths: whether `items` are paths.
    """

    def __init__(self, items, labels, class_names=None, *, channels: int = 3, are_paths: bool = True):
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {channels!r}")
        self._items = _on_host([str(item) for item in items] if are_paths else items)
        self.labels = check_labels(np.asarray(labels), len(items), class_names)
        self.class_names = class_names
        self.channels = channels
        self.are_paths = are_paths

    def render(self, indices, seeds, size, transform):
        """See `Source.render`."""
        items = tf.gather(self._items, indices)
        batch = tf.shape(indices)[0]
        by_image = tf.transpose(tf.reshape(seeds, [-1, batch]))  # [B, D]
        options = {"interpolation": transform.interpolation, "antialias": transform.antialias}

        def render_one(pair):
            item, copies = pair
            image = images_lib.decode(tf.io.read_file(item) if self.are_paths else item, self.channels)
            sides = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
            height, width = (tf.fill(tf.shape(copies), side) for side in sides)
            windows = transform.augmentation.windows(height, width, copies)
            return images_lib.render_windows(image, windows, size, **options)

        spec = tf.TensorSpec([None, None, None, self.channels], tf.float32)
        images = tf.map_fn(render_one, (items, by_image), fn_output_signature=spec)
        return tf.reshape(tf.transpose(images, [1, 0, 2, 3, 4]), [-1, size, size, self.channels])


def _on_host(values) -> tf.Tensor:
    """Return values as a tensor that graphs refer to; a constant inside them would be copied, and limited to 2 GiB."""
    with tf.device("CPU:0"):
        return tf.constant(values)


def check_labels(labels: np.ndarray, count: int, class_names: tuple[str, ...] | None = None) -> np.ndarray:
    """Return labels as int64 `[N]` or float32 `[N, classes]`.

    Raises:
        ValueError: another number of labels than images, negative or too large ones, another dtype; names the index.
    """
    if len(labels) != count or not count:
        raise ValueError(f"labels must be one per image, got {len(labels)} labels for {count} images")
    if labels.ndim == 2 and np.issubdtype(labels.dtype, np.floating):
        return labels.astype(np.float32)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # keras.datasets.cifar10 gives a column
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers [N] or floats [N, classes], got {labels.dtype} {labels.shape}")
    check_label_range(labels, len(class_names) if class_names is not None else None)
    return labels.astype(np.int64)


def check_label_range(labels: np.ndarray, classes: int | None) -> None:
    """Raise a ValueError that names the first label outside [0, classes)."""
    wrong = np.flatnonzero((labels < 0) | (labels >= (math.inf if classes is None else classes)))
    if wrong.size:
        bound = "at or above 0" if classes is None else f"in [0, {classes})"
        first = f"{labels[wrong[0]]} at index {wrong[0]}"
        raise ValueError(f"labels must lie {bound}, got {first} and {wrong.size - 1} more outside")


# Folders


def folder(path: str | pathlib.Path, *, channels: int = 3, class_names: tuple[str, ...] | None = None) -> EncodedSource:
    """Return the images of a folder that has one sub-folder per class; classes are numbered in sorted order.

    Args:
        path: the folder; its sub-folders hold .jpg, .jpeg and .png files, at any depth.
        channels: 1 or 3; every image is converted.
        class_names: number the classes in this order instead, as for a test folder that may lack some.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no class folder, one that is not among `class_names`, a class without images, or a file that is no JPEG or PNG (named, with its index).
    """
    root = pathlib.Path(path)
    if not root.exists():
        raise FileNotFoundError(f"folder {root} does not exist")
    if not root.is_dir():
        raise NotADirectoryError(f"folder {root} is no directory")
    classes = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise ValueError(f"folder {root} has no sub-folders; make one per class, with its images in it")
    names = tuple(class_names) if class_names is not None else tuple(entry.name for entry in classes)
    files, labels = [], []
    for directory in classes:
        if directory.name not in names:
            raise ValueError(f"class folder {directory} is none of the classes {names}; remove it or name it")
        found = sorted(file for file in directory.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise ValueError(f"class folder {directory} has no {', '.join(IMAGE_SUFFIXES)} files")
        files += found
        labels += [names.index(directory.name)] * len(found)
    _check_signatures(files)
    return EncodedSource(files, np.array(labels), names, channels=channels)


def _check_signatures(files: list[pathlib.Path]) -> None:
    """Raise a ValueError that names the first file that does not begin as a JPEG or PNG does."""

    def begins_well(file: pathlib.Path) -> bool:
        with file.open("rb") as stream:
            return stream.read(8).startswith(_SIGNATURES)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for index, good in enumerate(pool.map(begins_well, files)):
            if not good:
                raise ValueError(f"file {files[index]} (index {index}) is neither a JPEG nor a PNG image; remove it")


# Data sets by name


def tfds_source(name: str, split: str = "train", *, data_dir: str | None = None) -> Source:
    """Return a data set of tensorflow-datasets that has an `image` and a `label`.

    Images of one size become an `ArraySource`; images of many sizes stay encoded, in memory.

    Args:
        name: such as `"cifar10"`.
        split: such as `"train"` or `"test[:500]"`.
        data_dir: where tfds keeps its data.

    Raises:
        ValueError: no image or label feature, or more encoded bytes than fit in memory (16 GiB).
    """
    import tensorflow_datasets as tfds  # here, because importing it takes a second and arrays do not need it

    builder = tfds.builder(name, data_dir=data_dir)
    features = builder.info.features
    if not {"image", "label"} <= set(features):
        raise ValueError(f"data set {name!r} must have the features image and label, got {sorted(features)}")
    class_names = tuple(features["label"].names) if features["label"].names else None
    height, width, channels = features["image"].shape
    builder.download_and_prepare()
    if height and width:
        parts = list(tfds.as_numpy(builder.as_dataset(split=split, batch_size=1024)))
        images, labels = (np.concatenate([part[field] for part in parts]) for field in ("image", "label"))
        return ArraySource(images, labels, class_names)
    if builder.info.dataset_size > _MEMORY_LIMIT:
        raise ValueError(
            f"data set {name!r} is larger than {_MEMORY_LIMIT // 2**30} GiB and its images have many sizes; "
            "write its images to class folders and use from_folder"
        )
    decoders = {"image": tfds.decode.SkipDecoding()}
    examples = list(tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders)))
    items, labels = [example["image"] for example in examples], [example["label"] for example in examples]
    return EncodedSource(items, np.array(labels), class_names, channels=channels or 3, are_paths=False)


FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def fashion_mnist(split: str = "train", *, path: str | pathlib.Path | None = None) -> ArraySource:
    """Return Fashion-MNIST, padded with black from 28 to 32 px: the subset inside the package, or the full set.

    Args:
        split: `"train"` (10,000 images in the package, 60,000 in full) or `"test"` (2,000 and 10,000).
        path: folder with the full set's four `*-ubyte.gz` files, as Debian's dataset-fashion-mnist installs them; None
            for the subset. `tfds_source("fashion_mnist")` reads the full set through tfds.

    Returns:
        Grey images `[N, 32, 32, 1]` uint8 of 10 classes.

    Source: Xiao, Rasul, Vollgraf, arXiv 1708.07747; MIT licence, beside the data.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    images, labels = _embedded_arrays(split) if path is None else read_idx(pathlib.Path(path), split)
    images = np.pad(images, [(0, 0), (2, 2), (2, 2)])
    return ArraySource(images, labels.astype(np.int64), FASHION_CLASSES)


def _embedded_arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
    packed = resources.files("keras_mixsize") / "data" / "fashion_mnist.npz"
    with resources.as_file(packed) as file, np.load(file) as data:
        return data[f"{split}_images"], data[f"{split}_labels"]


def read_idx(path: pathlib.Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (images uint8 `[N, 28, 28]`, labels uint8 `[N]`) from a folder of gzipped IDX files.

    Raises:
        FileNotFoundError: a file is missing; says which and where it comes from.
    """
    prefix = {"train": "train", "test": "t10k"}[split]
    images, labels = path / f"{prefix}-images-idx3-ubyte.gz", path / f"{prefix}-labels-idx1-ubyte.gz"
    for file in (images, labels):
        if not file.exists():
            raise FileNotFoundError(f"{file} does not exist; Debian's package dataset-fashion-mnist holds it")
    with gzip.open(images) as image_stream, gzip.open(labels) as label_stream:
        pixels = np.frombuffer(image_stream.read()[16:], np.uint8).reshape(-1, 28, 28)
        return pixels, np.frombuffer(label_stream.read()[8:], np.uint8)
