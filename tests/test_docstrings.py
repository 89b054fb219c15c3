"""The synopsis in each module's docstring runs, with small real objects for the names that it takes as given."""

import ast
import glob
import importlib
import os
import pathlib
import re
import shutil
import socket
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from networks import compiled, tiny_network
from pictures import write_image, write_shards

import keras_mixsize as kms
from keras_mixsize.evaluation.statistics import batch_norm_layers
from keras_mixsize.images.batch_headers import START, parse_headers
from keras_mixsize.images.transform import Transform
from keras_mixsize.training.gradients import initial_state

ROOT = pathlib.Path(kms.__file__).parent
ELSEWHERE = {  # synopses that need several processes, another engine or minutes, and the tests of their lines
    "distribution/replicas.py": "tests/distribution/test_replicas.py",
    "export/converters.py": "tests/export/test_converters.py",
    "input/service.py": "tests/input/test_service.py",
    "recipes/build.py": "tests/recipes/test_build.py",
    "serving/answering.py": "tests/serving/test_answering.py",
    "serving/asking.py": "tests/serving/test_asking.py",
    "serving/bodies.py": "tests/serving/test_bodies.py",
    "serving/grpc.py": "tests/serving/test_grpc.py",
    "serving/page.py": "tests/serving/test_page.py",
    "serving/readers.py": "tests/serving/test_readers.py",
    "serving/records.py": "tests/serving/test_records.py",
    "serving/routes.py": "tests/serving/test_routes.py",
    "serving/served_model.py": "tests/serving/test_served_model.py",
    "serving/server.py": "tests/serving/test_server.py",
    "serving/v1.py": "tests/serving/test_v1.py",
    "serving/v2.py": "tests/serving/test_v2.py",
    "serving/versions.py": "tests/serving/test_versions.py",
    "sources/array_records.py": "tests/sources/test_array_records.py",
    "training/several_steps.py": "tests/training/test_several_steps.py",
    "xla_cache.py": "tests/test_xla_cache.py",
}
OTHERWISE = {"training/size_metrics.py": {"loss": 0.5}}  # where a name stands for another thing than elsewhere
SHELL = re.compile(r"(mixsize|python|make|curl) ")


def synopsis(path):
    """Return the indented lines of a module's docstring that are Python."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    blocks = re.findall(r"^(?: {4}.*\n|\n)+", text + "\n", re.MULTILINE)
    lines = [line[4:] for block in blocks for line in block.splitlines()]
    return "\n".join(line for line in lines if not SHELL.match(line) and not re.match(r"exported/1/", line))


FILES = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.rglob("*.py")
    if synopsis(path).strip() and path.parent.name != "cli" and str(path.relative_to(ROOT)) not in ELSEWHERE
)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, fashion):
    """A folder with pictures, shards and an export under the names that synopses use."""
    folder = tmp_path_factory.mktemp("synopses")
    for number in range(60):
        write_image(folder / f"photos/train/{('cat', 'dog')[number % 2]}/{number}.jpg", 40 + number, 60)
    write_image(folder / "photo.jpg", 375, 500)
    write_image(folder / "cat.jpg", 40, 40)
    kms.sources.convert(kms.sources.folder(folder / "photos/train"), folder / "shards/train", max_side=500, quality=90)
    write_shards(folder, [30])
    (folder / "grey.png").write_bytes(tf.io.encode_png(fashion.images[0]).numpy())
    model, test = compiled(tiny_network()), (fashion.images[:64], fashion.labels[:64])
    report = kms.evaluate_sizes(model, test, [24, 48])
    kms.export_saved_model(model, folder / "exported", report=report)
    (folder / "kept.json").write_text(report.to_json())
    return folder


@pytest.fixture(scope="module")
def lasting(photographs, fashion):
    """What synopses take as given and do not change."""
    images, labels = fashion.images[:96], fashion.labels[:96]
    regime = kms.Regime.parse("16x8x2:0.5,32x4x1:0.5")
    train = kms.MixSizeDataset.from_arrays(images, labels, regime=regime)
    logits = tf.one_hot(labels, 10) * 3.0
    windows = kms.PadCropFlip(4).windows(tf.fill([96], 32.0), tf.fill([96], 32.0), tf.cast(tf.range(96), tf.uint32))
    files = sorted(str(path.relative_to(photographs)) for path in (photographs / "photos").rglob("*.jpg"))
    data = tf.io.read_file(str(photographs / "photo.jpg"))
    starts = tf.strings.substr(data, 0, START)[None]
    jpeg_sides = tf.io.extract_jpeg_shape(data)[None, :2]
    headers = parse_headers(starts, jpeg_sides)
    return {
        **{name: getattr(kms, name) for name in kms.__all__},
        **{"kms": kms, "keras": keras, "np": np, "pathlib": pathlib, "socket": socket, "tf": tf, "sys": sys},
        **{"images": images, "x": images, "test_images": images, "training_images": images, "test": (images, labels)},
        **{
            "labels": labels,
            "y": labels,
            "test_labels": labels,
            "test_24": (keras.ops.image.resize(images, (24, 24)), labels),
        },
        **{"regime": regime, "train": train, "plan": train.plan, "stream": tf.range(8, dtype=tf.int64)},
        **{"strategy": tf.distribute.get_strategy(), "finite": tf.constant(True), "logits": logits},
        **{"predictions": logits, "probabilities_24": tf.nn.softmax(logits).numpy(), "seed": np.uint32([7])},
        **{"probabilities_48": tf.nn.softmax(logits / 2).numpy()},
        **{
            "windows": windows,
            "heights": tf.fill([4], 32.0),
            "widths": tf.fill([4], 32.0),
            "seeds": tf.cast(tf.range(4), tf.uint32),
        },
        **{"size": 16, "data": data, "files": files, "read": lambda index: data, "indices": tf.zeros([4], tf.int64)},
        **{"class_names": ("cat", "dog"), "directory": "checkpoints", "read_from_disk": lambda: 0},
        **{"function": lambda batch: batch[0], "read_header_of": os.path.getsize, "mirrored": tf.fill([96], True)},
        **{
            "shortcut": keras.Input((8, 8, 4)),
            "branch": keras.Input((8, 8, 4)),
            "STREAM": 1,
            "epoch": 0,
            "index": np.uint32([3]),
        },
        **{"count": 10, "glob": glob, "file_labels": np.arange(len(files)) % 2, "transform": Transform()},
        **{
            "starts": starts,
            "jpeg_sides": jpeg_sides,
            "headers": headers,
            "sides": headers.sides,
            "stored_sides": headers.sides,
        },
        **{"orientations": headers.orientations, "pixels": tf.zeros([1, 8, 8, 3])},
        **{"folder": kms.sources.folder, "records": kms.sources.records, "source": fashion},
    }


@pytest.fixture
def given(lasting, photographs, monkeypatch):
    """What synopses take as given: real objects, small."""
    monkeypatch.chdir(photographs)
    for version in pathlib.Path("exported").glob("[2-9]"):
        shutil.rmtree(version)
    model, network, report = compiled(tiny_network()), tiny_network(), report_of(photographs)
    gradients = [tf.ones(variable.shape) for variable in model.trainable_variables]
    stopping = keras.callbacks.EarlyStopping()
    stopping.on_train_begin()
    return {
        **lasting,
        **{"model": model, "network": network, "optimizer": model.optimizer, "loss": model.loss},
        **{"report": report, "baseline_report": report, "mixed_report": report, "state": initial_state()},
        **{"gradients": gradients, "weights": model.trainable_variables, "layers": batch_norm_layers(model)},
        **{
            "build_index": lambda old: {"offsets": np.arange(3)},
            "forward_backward": lambda *batch: (gradients, lasting["logits"], lasting["logits"]),
        },
        **{"arrays": [np.zeros(3)], "callbacks": [stopping]},
    }


def report_of(folder):
    """Return the report, written anew to where synopses read and write it."""
    text = (folder / "kept.json").read_text()
    (folder / "report.json").write_text(text)
    return kms.SizeReport.from_json(text)


@pytest.mark.parametrize("file", FILES)
def test_the_synopsis_runs(file, given):
    dotted = file.removesuffix(".py").removesuffix("__init__").rstrip("/").replace("/", ".")
    module = importlib.import_module(f"keras_mixsize.{dotted}".rstrip("."))
    source = re.sub(r'epochs(=|": )(\d+|recipe\.epochs)', r"epochs\g<1>1", synopsis(ROOT / file))
    source = re.sub(r"\[(?:16, )?24, 32, 48\]", "[24, 48]", source)  # a size takes a second
    with tfds.testing.mock_data(num_examples=8):
        exec(compile(source, file, "exec"), vars(module) | given | OTHERWISE.get(file, {}))
