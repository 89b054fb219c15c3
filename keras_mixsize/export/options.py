"""Options: what a user asks of an export, and what it then holds when every question is answered.

`ExportOptions` are the keyword arguments of `export_saved_model`, checked by themselves; `settled` checks them against
the model and fills in what was not said. Pure values; neighbours: `saved_model` (who writes), `manifest` (who tells).

    contents = settled(model, ExportOptions(sizes=(24, 32), report=report))
    contents.default_size, contents.preprocessing
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras

from keras_mixsize.arguments import check_count
from keras_mixsize.evaluation.report import SizeReport
from keras_mixsize.evaluation.size_batches import TrainingImages
from keras_mixsize.export.cascade import Cascade, FitCascade
from keras_mixsize.export.preprocessing import Preprocessing
from keras_mixsize.export.signatures import USUAL_LIMITS, Limits
from keras_mixsize.input.dataset import MixSizeDataset


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What a user asks of an export; `export_saved_model` says what each option means.

    Raises:
        ValueError: a count below 1, no sizes, or sizes that are equal.
    """

    sizes: Sequence[int] | None = None
    calibration: TrainingImages | None = dataclasses.field(default=None, repr=False)
    batches: int = 200
    report: SizeReport | None = None
    preprocessing: Preprocessing | None = None
    class_names: Sequence[str] | None = None
    default_size: int | None = None
    cascade: FitCascade | Cascade | None = None
    top: int = 5
    limits: Limits = USUAL_LIMITS
    version: int = 1
    progress: bool = True

    def __post_init__(self):
        for name in ("batches", "top", "version"):
            check_count(name, vars(self)[name])
        sizes = self.sizes
        if sizes is None and self.report is not None:
            sizes = [row.size for row in self.report.rows]
        if sizes is None or not len(sizes):
            raise ValueError("sizes must name at least one size in pixels, got none; give sizes= or report=")
        for size in sizes:
            check_count("sizes", size)
        if len(set(sizes)) < len(sizes):
            raise ValueError(f"sizes must differ from each other, got {list(sizes)}")
        object.__setattr__(self, "sizes", tuple(sorted(int(size) for size in sizes)))


@dataclasses.dataclass(frozen=True)
class Contents:
    """What an export holds, with every question answered.

    Attributes:
        name: of the model.
        sizes: sides in pixels, ascending.
        channels: of the images.
        class_names: a name per class.
        default_size: of encoded images for which no size is asked.
        top: how many of the likeliest classes an answer names.
        preprocessing: in the graph.
        limits: of a request.
        calibration_batches: at each size, at most; None if every size has the model's own statistics.
        report: where accuracies and latencies come from, or None.
        cascade: asked for or, once it is fitted, known; or None.
    """

    name: str
    sizes: tuple[int, ...]
    channels: int
    class_names: tuple[str, ...]
    default_size: int
    top: int
    preprocessing: Preprocessing
    limits: Limits
    calibration_batches: int | None
    report: SizeReport | None
    cascade: FitCascade | Cascade | None

    @property
    def latencies(self) -> dict[int, float]:
        """Measured milliseconds per image of the sizes that have them."""
        rows = self.report.rows if self.report is not None else ()
        return {row.size: row.latency_ms for row in rows if row.latency_ms}


def settled(model: keras.Model, options: ExportOptions) -> Contents:
    """Return what an export of the model holds.

    Raises:
        ValueError: the options do not fit the model or each other.
    """
    about = options.report.about if options.report is not None else {}
    preprocessing = options.preprocessing or Preprocessing.of_report(about)
    _check_model(model, preprocessing)
    class_names = _class_names(model, options)
    contents = Contents(
        name=model.name,
        sizes=options.sizes,
        channels=model.input_shape[-1],
        class_names=class_names,
        default_size=_default_size(options),
        top=min(options.top, len(class_names)),
        preprocessing=preprocessing,
        limits=options.limits,
        calibration_batches=None if options.calibration is None else options.batches,
        report=options.report,
        cascade=options.cascade,
    )
    _check_cascade(contents)
    return contents


def _check_model(model: keras.Model, preprocessing: Preprocessing) -> None:
    shape = getattr(model, "input_shape", None) if isinstance(model, keras.Model) and model.built else None
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1:3] != (None, None) or shape[3] is None:
        raise ValueError(
            f"model must be a built Keras model of one input (None, None, channels), got the shape {shape}"
        )
    preprocessing.check_channels(shape[3])


def _class_names(model: keras.Model, options: ExportOptions) -> tuple[str, ...]:
    output = model.output_shape[0] if isinstance(model.output_shape, list) else model.output_shape
    classes, names = output[-1], options.class_names
    if names is None and isinstance(options.calibration, MixSizeDataset):
        names = options.calibration.source.class_names
    if names is None:
        return tuple(str(number) for number in range(classes))
    if len(names) != classes:
        raise ValueError(f"class_names must be one for each of the model's {classes} outputs, got {len(names)}")
    return tuple(map(str, names))


def _default_size(options: ExportOptions) -> int:
    size, sizes, report = options.default_size, options.sizes, options.report
    if size is not None and size not in sizes:
        raise ValueError(f"default_size must be one of {sizes}, got {size!r}")
    rows = [row for row in report.rows if row.size in sizes] if report is not None else []
    best = max(rows, key=lambda row: row.best.value).size if rows else sizes[-1]
    return size if size is not None else best


def _check_cascade(contents: Contents) -> None:
    cascade, sizes = contents.cascade, contents.sizes
    if cascade is None:
        return
    pair = cascade.sizes_of(sizes)
    if len(pair) < 2 or not set(pair) <= set(sizes):
        raise ValueError(f"cascade must be of two of the exported sizes {sizes}, got {pair}")
    by_latency = isinstance(cascade, FitCascade) and cascade.work == "latency_ms"
    if by_latency and not set(pair) <= set(contents.latencies):
        raise ValueError(f"work must be 'multiply_adds' without a report that has the latency of all sizes {pair}")
