"""Golden files: small files of every kind that the package writes, which later versions must read.

    python tests/golden/make.py OUTPUT          # with the version that is wanted on PYTHONPATH

`v0_1_0` was made by version 0.1.0 and is never made again; a version that writes another format adds a folder of its
own. The same version gives equal files, but for the export, whose nodes TensorFlow numbers as it likes. Only public
names are used here, and `tests/test_golden.py`, which reads the files, takes its settings from here.

    model.keras         a compiled MixSizeModel after 8 steps of `train_data`
    checkpoint.zip      folder of callbacks.Resume: 7 of 10 steps, in the middle of the second epoch
    export.zip          export_saved_model at 8 and 12 px, with report, cascade and files of images
    photos.zip          a folder of images with its manifest
    records.zip         the same images, converted, with the index of their records
    array_records.zip   the same images in an ArrayRecord file, with the labels that are kept beside it
    run.zip             what 0.1.0's experiments/train.py leaves of a run
    texts.json          regimes and a report as JSON, fingerprints of plans
    expected.npz        what comes out: answers, weights, steps, batches
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import sys
import tempfile
import types
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import keras_mixsize as kms

TIME = 1_700_000_000 * 10**9  # of every file, in nanoseconds: caches hold the times of what they were made of
REGIME = kms.Regime.parse("8x8x2:0.5,12x8x1:0.5")
SIZES, CLASSES = (8, 12), ("ant", "bee", "cat")
MODEL_STEPS, STOP, EPOCHS = 8, 7, 2  # an epoch has 5 steps
PLANS = {"shuffled": (0, 1, 99_999), "independent": (0, 1, 999)}
ARRAY_RECORD = "data.array_record"


# What everything is made of


def examples(count: int = 40, side: int = 16, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 `[count, side, side, channels]` and labels int64 `[count]`: arithmetic, no random numbers."""
    number, row, column, channel = np.ogrid[:count, :side, :side, :channels]
    label = number % len(CLASSES)
    images = (60 * label + (3 + 5 * label) * row + 4 * column + 50 * channel + 11 * number) % 256
    return images.astype(np.uint8), label.ravel().astype(np.int64)


def network(dropout: float) -> keras.Model:
    """Return a network with batch norm, both kinds of dropout, and means: of stride 2, for grey images."""
    layers = keras.layers
    inputs = keras.Input((None, None, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.Dropout(dropout)(layers.ReLU()(layers.BatchNormalization()(x)))
    branch = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x))
    branch = keras.saving.get_registered_object("keras_mixsize>DropPath")(dropout)(branch)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.add([x, branch])))
    inner = keras.Model(inputs, layers.Dense(len(CLASSES))(x), name="golden")
    return kms.models.normalized(inner, mean=[0.5], std=[0.25])


def compiled(dropout: float = 0.3) -> kms.MixSizeModel:
    """Return the network as an untrained MixSizeModel that has no option at its default."""
    keras.utils.set_random_seed(1)
    options = {"smoothing": 0.8, "l2": 1e-3, "l2_filter": "no_depthwise", "max_skipped": 5}
    model = kms.MixSizeModel.from_model(network(dropout), **options)
    rate = keras.optimizers.schedules.CosineDecay(0.1, 60)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), kms.recipes.SmoothedCrossEntropy(0.1), ["accuracy"])
    return model


def train_data(**options) -> kms.MixSizeDataset:
    """Return the training batches, 5 steps an epoch."""
    return kms.MixSizeDataset.from_arrays(*examples(), regime=REGIME, **{"seed": 7} | options)


def state_of(model: kms.MixSizeModel) -> np.ndarray:
    """Return weights, place in the plan, random state and optimizer state, one after the other: float64 `[N]`."""
    variables = [*model.variables, *model.optimizer.variables]
    return np.concatenate([variable.numpy().ravel().astype(np.float64) for variable in variables])


# Opening what is on the disk; each returns a source of the same images


def open_photos(folder: pathlib.Path) -> kms.sources.Source:
    """Return the images of the folder."""
    return kms.sources.folder(folder)


def open_records(folder: pathlib.Path) -> kms.sources.Source:
    """Return the images of the shards."""
    return kms.sources.records(folder)


def open_array_records(folder: pathlib.Path) -> kms.sources.Source:
    """Return the images of the ArrayRecord file."""
    count = len(photo_files())
    part = types.SimpleNamespace(filename=str(folder / ARRAY_RECORD), skip=0, take=count, examples_in_shard=count)
    return kms.sources.ArrayRecordSource([part], CLASSES)


OPENERS = {"photos": open_photos, "records": open_records, "array_records": open_array_records}


def rendered(source: kms.sources.Source) -> np.ndarray:
    """Return two augmented copies of each image: uint8 `[2 * N, 12, 12, 3]`."""
    indices = tf.range(source.num_examples, dtype=tf.int64)
    seeds = tf.cast(tf.range(2 * source.num_examples), tf.uint32)
    transform = kms.images.Transform(kms.RandomResizedCrop(), dtype="uint8")
    images = source.render(indices, seeds, tf.constant(12), transform)
    return transform.finish(images, tf.constant(source.labels), seeds)[0].numpy()


# The files


def stamp(folder: pathlib.Path) -> None:
    """Give all files of a folder the time that the caches in it know."""
    for path in folder.rglob("*"):
        os.utime(path, ns=(TIME, TIME))


def pack(folder: pathlib.Path, archive: pathlib.Path) -> None:
    """Write a folder into a .zip file, sorted by name."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, path.relative_to(folder))


def photo_files() -> dict[str, bytes]:
    """Return the image files by path: two of each class, one of them a JPEG."""
    images, labels = examples(6, 20, 3)
    encoders = {".png": tf.io.encode_png, ".jpg": tf.io.encode_jpeg}
    suffixes = [".png"] * 3 + [".jpg"] * 3
    names = [f"{CLASSES[label]}/{number}{suffix}" for number, (label, suffix) in enumerate(zip(labels, suffixes))]
    return dict(sorted((name, encoders[name[-4:]](image).numpy()) for name, image in zip(names, images)))


def make_photos(folder: pathlib.Path) -> None:
    """Write the images, and let their headers be read."""
    for name, content in photo_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    stamp(folder)
    open_photos(folder)


def make_records(folder: pathlib.Path) -> None:
    """Convert the images into two shards, and let these be indexed."""
    convert(open_photos(folder.parent / "photos"), folder)
    stamp(folder)
    open_records(folder)


def convert(source: kms.sources.Source, folder: pathlib.Path) -> dict:
    """Convert with the settings of the golden shards and return the manifest."""
    return kms.sources.convert(source, folder, examples_per_shard=4)


def make_array_records(folder: pathlib.Path) -> None:
    """Write the images into an ArrayRecord file, and let their labels be read."""
    from array_record.python.array_record_module import ArrayRecordWriter

    folder.mkdir()
    writer = ArrayRecordWriter(str(folder / ARRAY_RECORD), "group_size:1")
    for name, content in photo_files().items():
        image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
        label = tf.train.Feature(int64_list=tf.train.Int64List(value=[CLASSES.index(name.split("/")[0])]))
        example = tf.train.Example(features=tf.train.Features(feature={"image": image, "label": label}))
        writer.write(example.SerializeToString(deterministic=True))
    writer.close()
    stamp(folder)
    open_array_records(folder)


def make_model(folder: pathlib.Path) -> dict:
    """Train and save the model; return its answers and state, and its state after another step."""
    model = compiled(dropout=0.0)  # Keras does not save the random state of dropout; Resume does
    model.fit(train_data(), epochs=1, steps_per_epoch=MODEL_STEPS, verbose=0)
    model.save(folder / "model.keras")
    images = examples()[0]
    found = {"logits": model.predict(images, verbose=0), "model_state": state_of(model)}
    found |= {
        "smoothing_norm": model.smoothing_state.norm.numpy(),
        "smoothing_steps": model.smoothing_state.steps.numpy(),
    }
    model.fit(train_data(), epochs=1, steps_per_epoch=1, verbose=0)
    return found | {"model_state_later": state_of(model)}


class StopError(Exception):
    """What ends a training here."""


class StopAt(keras.callbacks.Callback):
    """Ends the training when a step is about to run, before Resume has saved what is before it."""

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def on_train_batch_begin(self, batch, logs=None):
        """Raise the error, if it is time to."""
        if self.model.position == self.step:
            raise StopError


def resume(model: kms.MixSizeModel, folder: pathlib.Path, *callbacks, data=None) -> keras.callbacks.History | None:
    """Train for all epochs, from the newest checkpoint of the folder on; return None if a callback stopped it."""
    callbacks = [*callbacks, kms.callbacks.Resume(folder, every_steps=1, keep=1)]
    with contextlib.suppress(StopError):
        return model.fit(data or train_data(), epochs=EPOCHS, verbose=0, callbacks=callbacks)


def make_checkpoint(folder: pathlib.Path) -> dict:
    """Train until the stop; return state and last logs of a run that was not stopped."""
    resume(compiled(), folder, StopAt(STOP + 1))
    model = compiled()
    history = model.fit(train_data(), epochs=EPOCHS, verbose=0).history
    logs = {f"log_{name}": values[-1] for name, values in history.items()}
    return {"resumed_state": state_of(model)} | logs


def make_export(folder: pathlib.Path) -> tuple[dict, kms.SizeReport]:
    """Export the saved model; return what the export answers, and the report in it."""
    model = keras.saving.load_model(folder.parent / "model.keras")
    images, labels = examples()
    report = kms.evaluate_sizes(model, (images, labels), SIZES, calibrate=train_data(), batches=3, latency=False)
    options = {"calibration": train_data(), "batches": 3, "class_names": CLASSES, "report": report}
    cascade = kms.FitCascade(images, labels)
    kms.export_saved_model(model, folder, SIZES, cascade=cascade, **options)
    return answers(kms.serving.load(folder)), report


def answers(served) -> dict:
    """Return what an export answers, in each way in which it can be asked."""
    images, _ = examples()
    files = [tf.io.encode_png(image).numpy() for image in images[:4]]
    found = {f"served_{size}": served.predict(images, size=size).logits for size in SIZES}
    found["served_files"] = served.predict(files).logits
    found["served_cascade"] = served.predict_cascade(images).logits
    return found


def make_run(folder: pathlib.Path) -> None:
    """Leave a folder as experiments/train.py of version 0.1.0 does, of a small network and few images."""
    sys.path.insert(0, str(pathlib.Path(kms.__file__).parents[1] / "experiments"))
    from keras_mixsize.cli.run import RunConfig, run

    recipe = dataclasses.replace(kms.recipes.find("embedded/resnet8/b+"), network_options={"width": 2}).lasting(1)
    options = {"regime": kms.Regime.parse("8x32x1:0.5,12x16x1:0.5"), "sizes": SIZES, "limit": 160}
    options |= {"calibration_batches": 2, "tensorboard": False}
    with contextlib.chdir(folder.parent):
        run(RunConfig(recipe=recipe, output=folder.name, **options))


def plan_of(sampling: str) -> kms.Plan:
    """Return a plan with every part of a regime."""
    return kms.Plan(kms.Regime.preset("cifar/bd+", share="samples"), 50_000, seed=3, sampling=sampling)


def texts(report: kms.SizeReport) -> dict:
    """Return what is text: regimes, a report, fingerprints of plans."""
    regimes = {name: kms.Regime.preset(name) for name in kms.presets.preset_names()}
    return {
        "version": kms.__version__,
        "regimes": {name: regime.to_json() for name, regime in regimes.items()},
        "report": report.to_json(),
        "fingerprints": {sampling: plan_of(sampling).fingerprint() for sampling in PLANS},
    }


def drawn() -> dict:
    """Return steps of the plans, and the first batches of the training data."""
    steps = {f"{kind}_{step}": plan_of(kind).at(step) for kind, steps in PLANS.items() for step in steps}
    found = {
        f"plan_{name}": np.append(step.indices, [step.bucket_index, step.first_sample]) for name, step in steps.items()
    }
    return found | {f"batch_{number}": batch[0].numpy() for number, batch in enumerate(train_data().take(5))}


def make(output: pathlib.Path) -> None:
    """Write every golden file into a folder."""
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        expected = drawn() | make_model(place) | make_checkpoint(place / "checkpoint")
        answered, report = make_export(place / "export")
        for name, build in {
            "photos": make_photos,
            "records": make_records,
            "array_records": make_array_records,
        }.items():
            build(place / name)
            expected[f"{name}_labels"] = OPENERS[name](place / name).labels
        expected["rendered"] = rendered(open_photos(place / "photos"))
        make_run(place / "run")
        stamp(place)
        shutil.copy2(place / "model.keras", output)
        for name in ("checkpoint", "export", "run", *OPENERS):
            pack(place / name, output / f"{name}.zip")
    np.savez_compressed(output / "expected.npz", **expected, **answered)
    (output / "texts.json").write_text(json.dumps(texts(report), indent=1) + "\n")


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
