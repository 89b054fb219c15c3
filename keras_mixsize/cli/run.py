"""One training run: what a RunConfig starts. `train`, the demo and the recipe's choice share it.

Imports TensorFlow. Neighbours: `config` (the settings), `data` (the images), `results` (what is left in the folder).

    config = RunConfig(recipe=kms.recipes.find("embedded/resnet8/d+"), output="runs/d+")
    report = run(config)         # trains, evaluates every size, writes run.json, results.json, model.keras, log.csv
"""

from __future__ import annotations

import functools
import importlib.util
import pathlib
import sys
import time
from typing import Any

import keras
import tensorflow as tf

import keras_mixsize as kms
from keras_mixsize import xla_cache
from keras_mixsize.cli.command import nearest
from keras_mixsize.cli.config import FILE, PRECISIONS, STRATEGIES, RunConfig, write_config
from keras_mixsize.cli.data import describe, load_source
from keras_mixsize.cli.examples import write_examples
from keras_mixsize.cli.progress import doing
from keras_mixsize.cli.regime_text import choose_regime
from keras_mixsize.cli.results import console, load_run, replace_file, versions, write_results
from keras_mixsize.distribution.workers import Workers

__all__ = [
    "PRECISIONS",
    "STRATEGIES",
    "RunConfig",
    "build_model",
    "choose_regime",
    "console",
    "evaluate",
    "first_examples",
    "load_run",
    "load_source",
    "make_dataset",
    "replace_file",
    "run",
    "versions",
]


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Return the strategy that a name stands for; it must be made before anything else of TensorFlow."""
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    if name == "multi_worker":
        tf.get_logger().setLevel("WARNING")  # it tells of every collective operation
        return kms.distribution.join_workers()
    return tf.distribute.MirroredStrategy() if name == "mirrored" else tf.distribute.get_strategy()


def first_examples(source: kms.sources.Source, count: int | None) -> kms.sources.Source:
    """Return the first examples of an array source; any other source is returned whole."""
    if count is None or not isinstance(source, kms.sources.ArraySource):
        return source
    return kms.sources.ArraySource(source.images[:count], source.labels[:count], source.class_names)


def load_sources(config: RunConfig) -> tuple[kms.sources.Source, kms.sources.Source]:
    """Return the training and the test examples of a run."""
    options: dict[str, Any] = {"validation": config.validation}
    train = load_source(config.dataset, "train", config.data_dir, damage=config.damage, **options)
    train = first_examples(train, config.limit)
    return train, load_source(config.dataset, "test", config.data_dir, train.class_names, **options)


def make_dataset(config: RunConfig, source: kms.sources.Source) -> kms.MixSizeDataset:
    """Return the training batches."""
    options: dict[str, Any] = {"seed": config.seed, "sampling": config.sampling, **kms.recipes.transform(config.recipe)}
    return kms.MixSizeDataset.from_source(source, regime=config.regime, epochs=config.recipe.epochs, **options)


def build_model(config: RunConfig, train: kms.MixSizeDataset) -> kms.MixSizeModel:
    """Return the compiled model of a run."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    recipe = config.recipe
    options: dict[str, Any] = {"mean": recipe.mean, "std": recipe.std, **recipe.network_options}
    network = kms.models.build(
        recipe.network, classes=train.source.num_classes, channels=train.source.channels, **options
    )
    return kms.recipes.compile_model(network, recipe, train, jit_compile="auto" if config.xla_cache is None else True)


def run(config: RunConfig) -> kms.SizeReport | None:
    """Train and evaluate; write run.json, results.json, report.csv, model.keras and logs into the output folder.

    Of several workers all train, and the first alone writes and evaluates; the others return None when it is done.
    """
    check_network(config.recipe.network)
    output = pathlib.Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    strategy = make_strategy(config.strategy)
    workers = Workers(strategy)
    console.quiet = not workers.is_chief
    callbacks = make_callbacks(config, loggers=workers.is_chief)
    source, test = load_sources(config)
    train = make_dataset(config, source)
    if workers.is_chief:
        write_config(config, output / FILE)
    introduce(config, source, test)
    with strategy.scope():
        model = build_model(config, train)
    model.check(train)
    warmed, epoch_seconds = warm_up(model, train), []
    keep_programs(config, workers)
    callbacks.append(epoch_timer(epoch_seconds))
    if workers.is_chief:
        write_examples(train, output)
    start = time.perf_counter()
    history = model.fit(train, epochs=config.recipe.epochs, callbacks=callbacks, verbose=verbosity(workers))
    seconds = time.perf_counter() - start
    speed = {"warm_up": [_plain(each) for each in warmed], "epoch_seconds": epoch_seconds}
    finish = functools.partial(_finish, config, model, test, train, history.history, seconds, speed)
    report = workers.share(functools.partial(finish, on_its_own=workers.count > 1))
    keep_programs(config, workers)  # those of the evaluation, too
    return report if workers.is_chief else None


def check_network(name: str) -> None:
    """Raise a ValueError with the nearest name if there is no such network, before anything takes time."""
    if name not in kms.models.names():
        hint = nearest(name, kms.models.names())
        raise ValueError(f"no network {name!r}{hint}; there are {', '.join(kms.models.names())}")


def introduce(config: RunConfig, train: kms.sources.Source, test: kms.sources.Source) -> None:
    """Say what the run is going to do: data, recipe and regime."""
    console.rule(config.name)
    console.print(describe(config, train, test))
    console.print(str(config.recipe))
    console.print(config.regime.table(train.num_examples, config.recipe.epochs, config.recipe.by_size))


def warm_up(model: kms.MixSizeModel, train: kms.MixSizeDataset) -> list:
    """Compile the step of every bucket, say what each takes, and return that."""
    with doing(f"compiling the steps of {len(train.plan.regime.buckets)} buckets"):
        return model.warm_up(train, report=lambda warmed: console.print(f"  {warmed}"))


def keep_programs(config: RunConfig, workers: Workers) -> None:
    """Let later runs use what XLA has compiled until now, if it is kept."""
    if config.xla_cache is not None and workers.is_chief:
        xla_cache.seal(pathlib.Path(config.xla_cache, xla_cache.versions_and_machine()))


def epoch_timer(seconds: list[float]) -> keras.callbacks.Callback:
    """Return a callback that appends the seconds of each epoch to a list."""
    begun: list[float] = []
    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: begun.append(time.perf_counter()),
        on_epoch_end=lambda epoch, logs: seconds.append(round(time.perf_counter() - begun[-1], 3)),
    )


def _plain(warmed) -> dict[str, float]:
    """Return what the warm-up measured of a bucket as plain values, for JSON."""
    bucket = warmed.bucket
    shape = {"size": bucket.size, "batch": bucket.batch, "duplicates": bucket.duplicates}
    times = {"compile_seconds": warmed.compile_seconds, "step_seconds": warmed.step_seconds}
    return shape | times | {"peak_bytes": warmed.peak_bytes}


def _finish(config, model, test, train, history, seconds, speed, on_its_own=False) -> kms.SizeReport:
    """Save, evaluate and write the results; on its own means without the other workers, who do not take part."""
    path = pathlib.Path(config.output) / "model.keras"
    model.save(path)
    if on_its_own:
        model = keras.models.load_model(path)
    report = evaluate(model, test, train, config)
    write_results(config, train, model, history, report, seconds, speed)
    return report


def evaluate(model, test, train, config: RunConfig) -> kms.SizeReport:
    """Return the size report of a trained model."""
    options = {"calibrate": train, "batches": config.calibration_batches, "name": config.name}
    options["window"] = kms.recipes.test_window(config.recipe)
    report = kms.evaluate_sizes(model, test, config.sizes, **options)
    console.print(report.table())
    return report


def verbosity(workers: Workers | None = None) -> int:
    """Return Keras's `verbose`: a bar in a terminal, a line per epoch in a file, nothing from later workers."""
    if workers is not None and not workers.is_chief:
        return 0
    return 1 if sys.stdout.isatty() else 2


def make_callbacks(config: RunConfig, loggers: bool = True) -> list[keras.callbacks.Callback]:
    """Return what lets a run go on, and its loggers unless another worker has them."""
    callbacks = [kms.callbacks.Resume(f"{config.output}/checkpoints")] if config.resume else []
    if not loggers:
        return callbacks
    callbacks.append(keras.callbacks.CSVLogger(f"{config.output}/log.csv", append=config.resume))
    if config.tensorboard:
        if not has_tensorboard():
            raise ValueError("TensorBoard logs need the package tensorboard: install it, or give --notensorboard")
        callbacks.append(keras.callbacks.TensorBoard(f"{config.output}/tensorboard", write_graph=False))
    return callbacks


def has_tensorboard() -> bool:
    """Return whether the package that Keras's TensorBoard callback needs is installed."""
    return importlib.util.find_spec("tensorboard") is not None
