"""write a finished run as one SavedModel that serves several sizes

    mixsize export runs/b+ --sizes=12,16,24,32 --output=exported
    mixsize export runs/b+ --sizes=24 --output=exported --version=2 --convert=onnx,openvino

Each size is calibrated. A size cascade is fitted to half of the test set, and accuracies are those
of the rest. Besides the version it writes export_VERSION.json, with the report, and samples/ for the
web page of `mixsize serve exported`.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from keras_mixsize.cli.progress import doing, each
from keras_mixsize.cli.sizes import define_sizes

if TYPE_CHECKING:
    import keras_mixsize as kms
    from keras_mixsize.cli.finished import Finished
    from keras_mixsize.cli.held_out import Part

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
RUN = flags.DEFINE_string("run", None, "Folder of a finished run; may stand without the flag.", **_OWN)
SIZES = define_sizes("Sizes in pixels; those of the run unless given.", FLAGS)
OUTPUT = flags.DEFINE_string("output", "exported", "Folder of the versions.", **_OWN)
VERSION = flags.DEFINE_integer("version", 1, "Version to write.", lower_bound=1, **_OWN)
CALIBRATION = flags.DEFINE_integer("calibration_batches", 200, "At each size.", lower_bound=1, **_OWN)
CASCADE = flags.DEFINE_integer(
    "cascade_examples", None, "Test examples that fit the cascade, half unless given; 0 for none.", 0, **_OWN
)
ACCURACY = flags.DEFINE_float("cascade_accuracy", None, "That it must reach; the best size's unless given.", **_OWN)
CONVERT = flags.DEFINE_list("convert", None, "Engines to convert each size for: onnx, litert, openvino.", **_OWN)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data lie now, if not where they lay.", **_OWN)
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}
REPRESENTATIVE = 256  # training images that measure the ranges for int8


def main(arguments: Sequence[str]) -> None:
    """Evaluate, export and convert the run that the flags name."""
    export(_check(arguments))


def _check(arguments: Sequence[str]) -> str:
    """Return the folder of the run.

    Raises:
        ValueError: none or several, an unknown engine, or a version that is there already.
    """
    folders, output = [*arguments, *([RUN.value] if RUN.value else [])], pathlib.Path(OUTPUT.value)
    if len(folders) != 1:
        raise ValueError(f"name one finished run, as in `mixsize export runs/train`; got {folders}")
    unknown = set(CONVERT.value or []) - set(SUFFIXES)
    if unknown:
        raise ValueError(f"--convert must name some of {', '.join(SUFFIXES)}, got {', '.join(sorted(unknown))}")
    if (output / str(VERSION.value)).exists():
        raise ValueError(f"{output} holds version {VERSION.value} already; give another --version, or another --output")
    return folders[0]


def export(folder: str) -> None:
    """Evaluate the run in a folder, export it, check its cascade and convert it, as the flags say."""
    import keras_mixsize as kms

    with doing("loading TensorFlow"):
        from keras_mixsize.cli import finished, held_out

    logging.getLogger("absl").setLevel(logging.WARNING)  # it tells the names of all captured weights otherwise
    run = finished.of_run(folder, SIZES.value, DATA_DIR.value)
    fitting, rest = held_out.divide(finished.test_of(run), CASCADE.value if len(run.sizes) > 1 else 0)
    run = dataclasses.replace(run, test=rest)
    report = finished.measure(run, CALIBRATION.value)
    print(report.table(), flush=True)
    with doing(f"calibrating and exporting {len(run.sizes)} sizes"):
        exported = write(run, report, fitting)
    cascade = None
    if fitting is not None:
        with doing("checking the cascade"):
            cascade = held_out.reached(kms.serving.load(exported), rest)
    print("no cascade was fitted" if cascade is None else in_words(cascade), flush=True)
    write_beside(exported, report, cascade, rest)
    for engine, size in each([(engine, size) for engine in CONVERT.value or [] for size in run.sizes], "converting {}"):
        print(f"{size} px for {engine}: {convert(exported, engine, size, run)}", flush=True)
    print(f"exported to {exported}; its model card is {exported / 'assets.extra/MODEL_CARD.md'}")


def write(run: Finished, report: kms.SizeReport, fitting: Part | None) -> pathlib.Path:
    """Write the version and return its folder.

    Args:
        run: what is exported.
        report: of it.
        fitting: examples that fit the cascade; None for no cascade.
    """
    import keras_mixsize as kms
    from keras_mixsize.cli.held_out import classes_of, images_of

    cascade = None
    if fitting is not None:
        cascade = kms.FitCascade(images_of(fitting), classes_of(fitting), ACCURACY.value)
    return kms.export_saved_model(
        run.model,
        OUTPUT.value,
        report=report,
        calibration=run.train,
        batches=CALIBRATION.value,
        cascade=cascade,
        version=VERSION.value,
        progress=False,  # the command says it
    )


def in_words(cascade: dict) -> str:
    """Return what `held_out.reached` found, as a line."""
    from keras_mixsize.evaluation import Accuracy

    fitted = cascade["fitted"]
    return (
        f"cascade: {fitted['small']} px, and {fitted['large']} px below a confidence of {fitted['threshold']:.3f}; "
        f"on other examples {Accuracy(**cascade['accuracy'])}, {cascade['share']:.1%} looked at again"
    )


def write_beside(exported: pathlib.Path, report: kms.SizeReport, cascade: dict | None, rest: Part) -> None:
    """Write export_VERSION.json and the sample images beside the version."""
    from keras_mixsize.cli import held_out
    from keras_mixsize.cli.run import versions
    from keras_mixsize.files import replaced

    results = {"report": json.loads(report.to_json()), "versions": versions()}
    results |= {"cascade": cascade} if cascade is not None else {}
    with replaced(exported.parent / f"export_{exported.name}.json") as stream:
        stream.write(json.dumps(results, indent=1).encode())
    if isinstance(rest.whole, held_out.WITH_IMAGES):
        held_out.write_samples(rest, exported.parent / "samples")


def convert(exported: pathlib.Path, engine: str, size: int, run: Finished) -> pathlib.Path:
    """Write one size for one engine, for LiteRT in int8 as well, and return the file."""
    import keras_mixsize as kms
    from keras_mixsize.cli.held_out import pixels_of

    folder = exported.parent / "converted"
    folder.mkdir(exist_ok=True)
    file = folder / f"{exported.name}_{size}{SUFFIXES[engine]}"
    if engine == "litert":
        kms.converters.to_litert(exported, size, file)
        images = pixels_of(run.train.source, REPRESENTATIVE, size)
        kms.converters.to_litert(exported, size, file.with_stem(f"{file.stem}_int8"), images=images)
    else:
        {"onnx": kms.converters.to_onnx, "openvino": kms.converters.to_openvino}[engine](exported, size, file)
    return file
