"""Convert any source into TFRecord shards that are read by index, with a manifest of counts and checksums.

Images that are small enough are copied byte for byte; larger ones are shrunk and stored as JPEG. Each shard is a
function of the source and the settings alone, and is replaced whole, so a conversion that was killed goes on where it
stopped and gives the same files. Neighbours: `encoded` and `source` (what is read), `shards` (reads the result).

    convert(folder("photos/train"), "shards/train", max_side=500, quality=90)
    train = records("shards/train")
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import threading

import numpy as np
import tensorflow as tf

from keras_mixsize.files import in_parallel, replaced, replacement
from keras_mixsize.images.formats import decode
from keras_mixsize.sources.arrays import ArraySource
from keras_mixsize.sources.damage import BROKEN, FAULTS, GOOD, UNREADABLE, data_fault
from keras_mixsize.sources.encoded import EncodedSource, FileSource, RecordSource
from keras_mixsize.sources.source import Source
from keras_mixsize.sources.tfrecords import MANIFEST

_HASHED = 256  # images whose pixels are held at once to tell sources apart
_KEPT = ("settings", "class_names", "channels", "examples")


def convert(
    source: Source,
    folder: str | pathlib.Path,
    *,
    max_side: int | None = None,
    quality: int = 95,
    examples_per_shard: int = 1024,
    check: bool = True,
    progress: bool = True,
) -> dict:
    """Write a source's examples into TFRecord shards and return the manifest.

    Shards are `data.tfrecord-00000-of-00042` and so on, in the source's order; each record has the features `image`,
    `label` and `index`, its number in the source. The manifest, `manifest.json`, is replaced after every shard; run it
    again to go on after an interruption.

    Args:
        source: what to convert. Images of an `ArraySource` are stored as PNG, without loss.
        folder: where the shards go; made if it does not exist.
        max_side: images with a longer side are shrunk to it, antialiased, and stored as JPEG; unless given, none is.
        quality: of those JPEG files, 1 to 100.
        examples_per_shard: how many examples go into a shard.
        check: decode every image once to see whether it is damaged. Damaged ones are an error, or are left out and
            listed in the manifest, as the source's `damage` policy says.
        progress: show a progress bar on a terminal.

    Returns:
        What `manifest.json` holds: `settings`, `class_names`, `channels`, `examples`, `complete`, `shards` (file,
        count, bytes, sha256 and what was left out of each).

    Raises:
        ValueError: an argument out of range, float images, a damaged image, more of them than `max_share`, or a folder
            that holds the conversion of another source or with other settings.
    """
    _check_arguments(source, max_side, quality, examples_per_shard)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"max_side": max_side, "quality": quality, "examples_per_shard": examples_per_shard, "check": check}
    manifest = {
        "settings": settings | {"source": _fingerprint(source)},
        "class_names": list(source.class_names) if source.class_names is not None else None,
        "channels": source.channels,
        "examples": source.num_examples,
        "complete": False,
        "shards": {},
    }
    done = _resume(folder, manifest)
    starts = range(0, source.num_examples, examples_per_shard)
    names = [f"data.tfrecord-{number:05}-of-{len(starts):05}" for number in range(len(starts))]
    lock = threading.Lock()

    def write(job: tuple[str, int]) -> None:
        name, start = job
        if name in done and _is_whole(folder / name, done[name]):
            entry = done[name]
        else:
            indices = range(start, min(start + examples_per_shard, source.num_examples))
            entry = _write_shard(folder / name, source, indices, max_side, quality, check)
        with lock:
            manifest["shards"][name] = entry
            _save(folder, manifest)

    in_parallel(
        write, list(zip(names, starts)), f"writing {len(names)} shards", progress=progress, threads=os.cpu_count()
    )
    _check_share(source, manifest)
    manifest |= {"complete": True, "shards": dict(sorted(manifest["shards"].items()))}  # they end in any order
    _save(folder, manifest)
    return manifest


# Shards


def _write_shard(path: pathlib.Path, source: Source, indices: range, max_side, quality: int, check: bool) -> dict:
    """Write one shard and return its entry in the manifest."""
    left_out = []
    with replacement(path) as temporary:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for index in indices:
                image, fault = _image(source, index, max_side, quality, check)
                if fault == GOOD:
                    writer.write(_example(image, source.labels[index], index))
                else:
                    left_out.append(_leave_out(source, index, fault))
        with temporary.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = temporary.stat().st_size
    return {"count": len(indices) - len(left_out), "bytes": size, "sha256": digest, "left_out": left_out}


def _image(source: Source, index: int, max_side: int | None, quality: int, check: bool) -> tuple[bytes, int]:
    """Return (encoded image, fault) of an example; the image is empty if it has a fault."""
    if isinstance(source, ArraySource):
        pixels = source.images[index]
        large = max_side is not None and max(pixels.shape[:2]) > max_side
        return (_shrunk(pixels, max_side, quality) if large else tf.io.encode_png(pixels).numpy()), GOOD
    try:
        data = source.read(tf.constant(index, tf.int64))
    except Exception:  # of TensorFlow, or of what gives a `SequenceSource` its items
        return b"", UNREADABLE
    try:
        fault = int(data_fault(data, source.damage.max_pixels)) if check or max_side else GOOD
        if fault != GOOD:
            return b"", fault
        pixels = decode(data, source.channels).numpy() if check or max_side else np.zeros([0, 0, 0])
    except tf.errors.InvalidArgumentError:
        return b"", BROKEN
    if max_side is not None and max(pixels.shape[:2]) > max_side:
        return _shrunk(pixels, max_side, quality), GOOD
    return data.numpy(), GOOD


def _shrunk(pixels: np.ndarray, max_side: int, quality: int) -> bytes:
    """Return pixels, uint8 `[H, W, C]`, as a JPEG file whose longer side is `max_side`."""
    height, width = pixels.shape[:2]
    scale = max_side / max(height, width)
    sides = [max(1, round(height * scale)), max(1, round(width * scale))]
    small = tf.image.resize(pixels, sides, antialias=True)
    return tf.io.encode_jpeg(tf.cast(tf.round(small), tf.uint8), quality=quality).numpy()


def _example(image: bytes, label: np.ndarray, index: int) -> bytes:
    """Return an example as bytes that are always the same, which is not protobuf's default."""
    whole = label.ndim == 0
    kind = (
        {"int64_list": tf.train.Int64List(value=[int(label)])}
        if whole
        else {"float_list": tf.train.FloatList(value=label)}
    )
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(**kind),
        "index": tf.train.Feature(int64_list=tf.train.Int64List(value=[index])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def _leave_out(source: EncodedSource, index: int, fault: int) -> dict:
    """Return what the manifest says of a damaged image, or raise an error, as the source's policy says."""
    name = os.fsdecode(source.describe(tf.constant(index, tf.int64)).numpy())
    if source.damage.action == "raise":
        raise ValueError(
            f"image {name} (index {index}) cannot be used: {FAULTS[fault]}; repair or remove it, or convert with "
            "damage='skip'"
        )
    return {"index": index, "name": name, "fault": FAULTS[fault]}


# Checks and the manifest


def _check_arguments(source: Source, max_side: int | None, quality: int, examples_per_shard: int) -> None:
    if max_side is not None and max_side < 1:
        raise ValueError(f"max_side must be at least 1 pixel, got {max_side!r}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must lie in [1, 100], got {quality!r}")
    if examples_per_shard < 1:
        raise ValueError(f"examples_per_shard must be at least 1, got {examples_per_shard!r}")
    if not isinstance(source, (ArraySource, EncodedSource)):
        raise ValueError(f"source must be an ArraySource or an EncodedSource, got {type(source)}")
    if isinstance(source.labels, dict) or source.sample_weight is not None:
        raise ValueError("source must have labels of one output and no sample_weight to be written, give it without")
    if isinstance(source, ArraySource) and source.images.dtype != np.uint8:
        raise ValueError(f"source must have uint8 images to be stored without loss, got {source.images.dtype}")


def _fingerprint(source: Source) -> str:
    """Return 16 hexadecimal digits that tell sources apart.

    They depend on kind and labels, and on files' names and sizes, records' lengths, or pixels.
    """
    digest = hashlib.sha256(type(source).__name__.encode() + source.labels.tobytes())
    if isinstance(source, ArraySource):
        for low in range(0, source.num_examples, _HASHED):  # an array on disk may be larger than memory
            digest.update(np.ascontiguousarray(source.images[low : low + _HASHED]))
    elif isinstance(source, FileSource):
        sizes = (os.path.getsize(file) if os.path.exists(file) else -1 for file in source.files)
        digest.update(
            "\0".join(f"{os.path.basename(file)} {size}" for file, size in zip(source.files, sizes)).encode(
                "utf-8", "surrogateescape"
            )
        )
    elif isinstance(source, RecordSource):
        digest.update(source.index.lengths.tobytes())
    return digest.hexdigest()[:16]


def _resume(folder: pathlib.Path, manifest: dict) -> dict:
    """Return the shards that an earlier run finished."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    old = json.loads(path.read_text())
    different = [name for name in _KEPT if old.get(name) != manifest[name]]
    if different:
        pairs = ", ".join(f"{name} {old.get(name)} there and {manifest[name]} now" for name in different)
        raise ValueError(f"folder {folder} holds another conversion ({pairs}); use another folder, or delete it")
    return old["shards"]


def _is_whole(path: pathlib.Path, entry: dict) -> bool:
    if not path.exists() or path.stat().st_size != entry["bytes"]:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == entry["sha256"]


def _check_share(source: Source, manifest: dict) -> None:
    count = sum(len(entry["left_out"]) for entry in manifest["shards"].values())
    if count > 0 and count > source.damage.max_share * source.num_examples:
        limit = f"max_share={source.damage.max_share}"
        raise ValueError(
            f"{count} of {source.num_examples} images are damaged, more than {limit} allows; see {MANIFEST}"
        )


def _save(folder: pathlib.Path, manifest: dict) -> None:
    ordered = manifest | {"shards": dict(sorted(manifest["shards"].items()))}
    with replaced(folder / MANIFEST) as stream:
        stream.write((json.dumps(ordered, indent=1) + "\n").encode())
