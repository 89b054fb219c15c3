"""One training run as a value and a function: what train.py, evaluate.py and demo.py share.

config = RunConfig(name="D+", dataset="embedded", model="resnet8", regime=regime, epochs=10, output="runs/d+")
report = run(config)         # trains, evaluates every size, writes results.json, model.keras, log.csv, TensorBoard
"""

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import sys
import time

import keras
import numpy as np
import rich.console

import keras_mixsize as kms

console = rich.console.Console(highlight=False, soft_wrap=True)
AUXILIARY_WEIGHT = 0.4  # Real et al., arXiv 1802.01548
MODES = {"baseline": "none", "b+": "batch", "d+": "duplicates", "bd+": "both"}


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Settings of one run.

    Attributes:
        name: for tables and pictures.
        dataset: `embedded`, `fashion_mnist` (full, `data_dir` holds its IDX files), `folder:PATH` (with train/ and test/ in
            it) or the name of a tfds data set.
        model: name in `keras_mixsize.models`.
        regime: buckets.
        epochs: of the regime's own length.
        output: folder for the results; made if it does not exist.
        data_dir: of the data set.
        padding: of the random crops of in-memory images, in pixels.
        learning_rate: peak of the schedule: a linear warm-up over 5 % of the steps, then a cosine to zero.
        l2: weight decay, see `MixSizeModel`.
        smoothing: momentum of the gradient smoothing, or None.
        seed: of weights, order and augmentation.
        sizes: test sizes in pixels.
        calibration_batches: at each test size.
        limit: training examples, at most; None for all.
        sampling: of the plan.
        tensorboard: write TensorBoard logs; needs the extra of that name.
    """

    name: str
    dataset: str
    model: str
    regime: kms.Regime
    epochs: int
    output: str
    data_dir: str | None = None
    padding: int = 4
    learning_rate: float = 0.1
    l2: float = 1e-4
    smoothing: float | None = 0.9
    seed: int = 0
    sizes: tuple[int, ...] = (16, 24, 32, 48)
    calibration_batches: int = 200
    limit: int | None = None
    sampling: str = "shuffled"
    tensorboard: bool = True


def load_source(dataset: str, split: str, data_dir: str | None = None, class_names=None) -> kms.sources.Source:
    """Return the training or test examples of a data set; see `RunConfig.dataset`.

    Args:
        dataset, data_dir: see there.
        split: `train` or `test`.
        class_names: of the training folder, for the test folder's numbers to be the same.
    """
    if dataset == "embedded":
        return kms.sources.fashion_mnist(split)
    if dataset == "fashion_mnist" and data_dir is not None:
        return kms.sources.fashion_mnist(split, path=data_dir)
    if dataset.startswith("folder:"):
        return kms.sources.folder(pathlib.Path(dataset.removeprefix("folder:")) / split, class_names=class_names)
    return kms.sources.tfds_source(dataset, split, data_dir=data_dir)


def first_examples(source: kms.sources.Source, count: int | None) -> kms.sources.Source:
    """Return the first examples of an array source; any other source is returned whole."""
    if count is None or not isinstance(source, kms.sources.ArraySource):
        return source
    return kms.sources.ArraySource(source.images[:count], source.labels[:count], source.class_names)


def choose_regime(text: str, mode: str, **solve_options) -> kms.Regime:
    """Return the regime that the flags name.

    Args:
        text: a preset's family (`cifar`) or full name (`cifar/d+`), the text form, or a JSON file.
        mode: `baseline`, `b+`, `d+` or `bd+`; what small sizes spend their budget on, where `text` does not say.
        **solve_options: for `Regime.solve`.
    """
    if pathlib.Path(text).suffix == ".json":
        return kms.Regime.from_json(pathlib.Path(text).read_text())
    if ":" not in text:
        return kms.Regime.preset(text if "/" in text else f"{text}/{mode}", **solve_options)
    if "x" in text:
        return kms.Regime.parse(text)
    if mode == "baseline":
        return kms.Regime.fixed(solve_options["base_size"], solve_options["base_batch"])
    return kms.Regime.parse(text, grow=MODES[mode], **solve_options)


def build_model(config: RunConfig, source: kms.sources.Source, steps: int) -> kms.MixSizeModel:
    """Return the compiled model of a run of `steps` steps."""
    keras.utils.set_random_seed(config.seed)
    network = kms.models.build(config.model, classes=source.num_classes, channels=source.channels)
    model = kms.MixSizeModel.from_model(network, l2=config.l2, smoothing=config.smoothing)
    warm_up = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=config.learning_rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if len(network.outputs) == 1:
        model.compile(optimizer, loss, ["accuracy"])
    else:  # logits and those of an auxiliary head
        model.compile(optimizer, [loss, loss], [["accuracy"], []], loss_weights=[1.0, AUXILIARY_WEIGHT])
    return model


def run(config: RunConfig) -> kms.SizeReport:
    """Train and evaluate; write results.json, report.csv, model.keras and logs into the output folder."""
    output = pathlib.Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    callbacks = make_callbacks(config)
    source = first_examples(load_source(config.dataset, "train", config.data_dir), config.limit)
    test = load_source(config.dataset, "test", config.data_dir, source.class_names)
    train = make_dataset(config, source)
    console.rule(config.name)
    console.print(config.regime.table(source.num_examples))
    steps = config.epochs * train.steps_per_epoch
    model = build_model(config, source, steps)
    model.check(train)
    for warmed in model.warm_up(config.regime):
        console.print(f"  {warmed}")
    start = time.perf_counter()
    history = model.fit(train, epochs=config.epochs, callbacks=callbacks, verbose=verbosity())
    seconds = time.perf_counter() - start
    model.save(output / "model.keras")
    report = evaluate(model, test, train, config)
    _write_results(config, train, model, history.history, report, seconds)
    return report


def make_dataset(config: RunConfig, source: kms.sources.Source) -> kms.MixSizeDataset:
    """Return the training batches, augmented as the data set's kind asks for."""
    in_memory = isinstance(source, kms.sources.ArraySource)
    augmentation = kms.PadCropFlip(config.padding) if in_memory else kms.RandomResizedCrop()
    options = {"seed": config.seed, "sampling": config.sampling, "augmentation": augmentation}
    return kms.MixSizeDataset.from_source(source, regime=config.regime, **options)


def evaluate(model, test, train, config: RunConfig) -> kms.SizeReport:
    """Return the size report of a trained model."""
    with console.status(f"evaluating {config.name} at {len(config.sizes)} sizes"):
        options = {"calibrate": train, "batches": config.calibration_batches, "name": config.name}
        report = kms.evaluate_sizes(model, test, config.sizes, **options)
    console.print(report.table())
    return report


def verbosity() -> int:
    """Return Keras's `verbose`: a progress bar in a terminal, a line per epoch in a file."""
    return 1 if sys.stdout.isatty() else 2


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on, and the machine."""
    found = {}
    for package in ("tensorflow", "tensorflow-cpu", "keras", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return found | {"keras_mixsize": kms.__version__, "python": platform.python_version(), "machine": machine}


def replace_file(path: pathlib.Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def make_callbacks(config: RunConfig) -> list[keras.callbacks.Callback]:
    """Return the loggers of a run."""
    callbacks = [keras.callbacks.CSVLogger(f"{config.output}/log.csv")]
    if config.tensorboard:
        if importlib.util.find_spec("tensorboard") is None:
            raise SystemExit("TensorBoard logs need the package tensorboard: install it, or give --notensorboard")
        callbacks.append(keras.callbacks.TensorBoard(f"{config.output}/tensorboard", write_graph=False))
    return callbacks


def _write_results(config, train, model, history, report, seconds) -> None:
    output = pathlib.Path(config.output)
    fields = dataclasses.asdict(config) | {"regime": json.loads(config.regime.to_json())}
    results = {
        "command": " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]),
        "config": fields,
        "versions": versions(),
        "plan_fingerprint": train.plan.fingerprint(),
        "steps": model.position,
        "steps_per_epoch": train.steps_per_epoch,
        "train_seconds": round(seconds, 1),
        "history": {name: [float(np.float32(value)) for value in values] for name, values in history.items()},
        "report": json.loads(report.to_json()),
    }
    replace_file(output / "results.json", json.dumps(results, indent=1))
    replace_file(output / "report.json", report.to_json())
    report.to_csv(output / "report.csv")
