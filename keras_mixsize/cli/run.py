"""One training run as a value and a function: what train.py, evaluate.py and demo.py share.

config = RunConfig(recipe=kms.recipes.find("embedded/resnet8/d+"), output="runs/d+")
report = run(config)         # trains, evaluates every size, writes results.json, model.keras, log.csv, TensorBoard
"""

import dataclasses
import functools
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
import tensorflow as tf

import keras_mixsize as kms
from keras_mixsize.arguments import check_choice
from keras_mixsize.distribution.workers import Workers

console = rich.console.Console(highlight=False, soft_wrap=True)
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Settings of one run.

    Attributes:
        recipe: network, optimisation, augmentation, epochs and the name of the regime and of the data set.
        output: folder for the results; made if it does not exist.
        name: for tables and pictures; the recipe's mode unless given.
        dataset: another one than the recipe's; see `load_source`.
        data_dir: of the data set.
        regime: another one than the recipe's.
        seed: of weights, order and augmentation.
        sizes: test sizes in pixels; the regime's and the base's unless given.
        calibration_batches: at each test size.
        limit: training examples, at most; None for all.
        sampling: of the plan.
        precision: Keras's dtype policy.
        strategy: `none`, `mirrored` (all GPUs of this machine), `multi_worker` (TF_CONFIG says which machines) or `tpu`.
        tensorboard: write TensorBoard logs; needs the extra of that name.
        resume: save the state of the run every five minutes and at SIGTERM, and go on from it if it is there.
        damage: what to do with training images that cannot be used: `raise`, or `skip` and list them at the end.
    """

    recipe: kms.presets.Recipe
    output: str
    name: str | None = None
    dataset: str | None = None
    data_dir: str | None = None
    regime: kms.Regime | None = None
    seed: int = 0
    sizes: tuple[int, ...] | None = None
    calibration_batches: int = 200
    limit: int | None = None
    sampling: str = "shuffled"
    precision: str = "float32"
    strategy: str = "none"
    tensorboard: bool = True
    resume: bool = False
    damage: str = "raise"

    def __post_init__(self):
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("strategy", self.strategy, STRATEGIES)
        regime = self.regime or kms.Regime.preset(self.recipe.regime)
        sizes = self.sizes or tuple(sorted({*kms.presets.FAMILIES[self.recipe.family].sizes, *regime.sizes}))
        filled = {"regime": regime, "sizes": sizes, "name": self.name or self.recipe.mode}
        for name, value in (filled | {"dataset": self.dataset or self.recipe.dataset}).items():
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict:
        """Return plain values, for JSON."""
        regime = json.loads(self.regime.to_json())
        return vars(self) | {"recipe": self.recipe.to_dict(), "regime": regime, "sizes": list(self.sizes)}

    @classmethod
    def from_dict(cls, fields: dict) -> "RunConfig":
        """Return the settings that `to_dict` gave."""
        regime = kms.Regime.from_json(json.dumps(fields["regime"]))
        recipe = kms.presets.Recipe.from_dict(fields["recipe"])
        return cls(**fields | {"recipe": recipe, "regime": regime, "sizes": tuple(fields["sizes"])})


TEST_SPLITS = {"imagenet2012": "validation"}  # its test split has no labels


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Return the strategy that a name stands for; it must be made before anything else of TensorFlow."""
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    if name == "multi_worker":
        tf.get_logger().setLevel("WARNING")  # it tells of every collective operation
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.MirroredStrategy() if name == "mirrored" else tf.distribute.get_strategy()


def load_source(
    dataset: str, split: str, data_dir: str | None = None, class_names=None, damage: str = "raise"
) -> kms.sources.Source:
    """Return the training or test examples of a data set.

    Args:
        dataset: `embedded`; `fashion_mnist` (with `data_dir` the full set's IDX files, else tfds's); `clipart` (`data_dir` is
            the folder that make_clipart.py made); `folder:PATH` (with train/ and test/ in it, a folder per class in each);
            `records:PATH` (with train/ and test/ in it, as convert.py writes them); or a tfds name.
        split: `train` or `test`.
        data_dir: of the data set.
        class_names: of the training folder, for the test folder's numbers to be the same.
        damage: `raise` or `skip`, for encoded images.
    """
    if dataset == "embedded":
        return kms.sources.fashion_mnist(split)
    if dataset == "fashion_mnist" and data_dir is not None:
        return kms.sources.fashion_mnist(split, path=data_dir)
    if dataset == "clipart" and data_dir is None:
        raise ValueError("data_dir must be given for clipart: the folder that experiments/make_clipart.py made")
    if dataset == "clipart" or dataset.startswith("folder:"):
        root = data_dir if dataset == "clipart" else dataset.removeprefix("folder:")
        return kms.sources.folder(pathlib.Path(root) / split, class_names=class_names, damage=damage)
    if dataset.startswith("records:"):
        return kms.sources.records(pathlib.Path(dataset.removeprefix("records:")) / split, damage=damage)
    split = TEST_SPLITS.get(dataset, split) if split == "test" else split
    return kms.sources.tfds_source(dataset, split, data_dir=data_dir, damage=damage)


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
    return kms.Regime.parse(text, grow=kms.presets.MODES[mode], **solve_options)


def make_dataset(config: RunConfig, source: kms.sources.Source) -> kms.MixSizeDataset:
    """Return the training batches."""
    options = {"seed": config.seed, "sampling": config.sampling, **kms.recipes.transform(config.recipe)}
    return kms.MixSizeDataset.from_source(source, regime=config.regime, **options)


def build_model(config: RunConfig, train: kms.MixSizeDataset) -> kms.MixSizeModel:
    """Return the compiled model of a run."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    recipe = config.recipe
    options = {"mean": recipe.mean, "std": recipe.std, **recipe.network_options}
    network = kms.models.build(
        recipe.network, classes=train.source.num_classes, channels=train.source.channels, **options
    )
    return kms.recipes.compile_model(network, recipe, train)


def run(config: RunConfig) -> kms.SizeReport | None:
    """Train and evaluate; write results.json, report.csv, model.keras and logs into the output folder.

    Of several workers all train, and the first alone writes and evaluates; the others return None when it is done.
    """
    output = pathlib.Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    strategy = make_strategy(config.strategy)
    workers = Workers(strategy)
    console.quiet = not workers.is_chief
    callbacks = make_callbacks(config, loggers=workers.is_chief)
    source = first_examples(load_source(config.dataset, "train", config.data_dir, damage=config.damage), config.limit)
    test = load_source(config.dataset, "test", config.data_dir, source.class_names)
    train = make_dataset(config, source)
    console.rule(config.name)
    console.print(str(config.recipe))
    console.print(config.regime.table(source.num_examples))
    with strategy.scope():
        model = build_model(config, train)
    model.check(train)
    for warmed in model.warm_up(train):
        console.print(f"  {warmed}")
    start = time.perf_counter()
    history = model.fit(train, epochs=config.recipe.epochs, callbacks=callbacks, verbose=verbosity(workers))
    seconds = time.perf_counter() - start
    finish = functools.partial(_finish, config, model, test, train, history.history, seconds)
    report = workers.share(functools.partial(finish, on_its_own=workers.count > 1))
    return report if workers.is_chief else None


def _finish(config, model, test, train, history, seconds, on_its_own=False) -> kms.SizeReport:
    """Save, evaluate and write the results; on its own means without the other workers, who do not take part."""
    path = pathlib.Path(config.output) / "model.keras"
    model.save(path)
    if on_its_own:
        model = keras.models.load_model(path)
    report = evaluate(model, test, train, config)
    _write_results(config, train, model, history, report, seconds)
    return report


def evaluate(model, test, train, config: RunConfig) -> kms.SizeReport:
    """Return the size report of a trained model."""
    with console.status(f"evaluating {config.name} at {len(config.sizes)} sizes"):
        options = {"calibrate": train, "batches": config.calibration_batches, "name": config.name}
        options["window"] = kms.recipes.test_window(config.recipe)
        report = kms.evaluate_sizes(model, test, config.sizes, **options)
    console.print(report.table())
    return report


def verbosity(workers: Workers | None = None) -> int:
    """Return Keras's `verbose`: a progress bar in a terminal, a line per epoch in a file, nothing from later workers."""
    if workers is not None and not workers.is_chief:
        return 0
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


def make_callbacks(config: RunConfig, loggers: bool = True) -> list[keras.callbacks.Callback]:
    """Return what lets a run go on, and its loggers unless another worker has them."""
    callbacks = [kms.callbacks.Resume(f"{config.output}/checkpoints")] if config.resume else []
    if not loggers:
        return callbacks
    callbacks.append(keras.callbacks.CSVLogger(f"{config.output}/log.csv", append=config.resume))
    if config.tensorboard:
        if importlib.util.find_spec("tensorboard") is None:
            raise SystemExit("TensorBoard logs need the package tensorboard: install it, or give --notensorboard")
        callbacks.append(keras.callbacks.TensorBoard(f"{config.output}/tensorboard", write_graph=False))
    return callbacks


def _write_results(config, train, model, history, report, seconds) -> None:
    output = pathlib.Path(config.output)
    results = {
        "command": " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]),
        "config": config.to_dict(),
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
