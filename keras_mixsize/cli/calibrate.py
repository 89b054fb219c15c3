"""fit the batch-norm statistics of a finished run to one test size

    mixsize calibrate runs/d+ --size=24 --output=model_24.keras

Writes the network with these statistics; its weights stay as they are. Prints how far the
statistics moved, and the accuracy at that size before and after. A network serves one size best with the
statistics of that size; `mixsize export` keeps those of several sizes in one file.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from keras_mixsize.cli.progress import doing

if TYPE_CHECKING:
    from keras_mixsize.cli.finished import Finished
    from keras_mixsize.evaluation import Accuracy
    from keras_mixsize.evaluation.statistics import Statistics

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
SIZE = flags.DEFINE_integer("size", None, "Test size in pixels.", lower_bound=1, **_OWN)
OUTPUT = flags.DEFINE_string("output", None, "File for the network; RUN/model_SIZE.keras unless given.", **_OWN)
BATCHES = flags.DEFINE_integer("batches", 200, "Training batches to take the statistics of.", lower_bound=1, **_OWN)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data lie now, if not where they lay.", **_OWN)


def main(arguments: Sequence[str]) -> None:
    """Calibrate the run's network, say what changed, and write it."""
    if len(arguments) != 1 or SIZE.value is None:
        raise ValueError("name one finished run and a --size, as in `mixsize calibrate runs/train --size=24`")
    folder, size = pathlib.Path(arguments[0]), SIZE.value
    output = pathlib.Path(OUTPUT.value or folder / f"model_{size}.keras")
    if output.suffix != ".keras":
        raise ValueError(f"--output must have the suffix .keras, got {output}")
    import keras_mixsize as kms

    with doing("loading TensorFlow"):
        from keras_mixsize.cli import finished
        from keras_mixsize.evaluation.statistics import get_statistics

    run = finished.of_run(folder, (size,), DATA_DIR.value)
    before = run.test and accuracy(run, "before")
    with doing(f"calibrating for {size} px"):
        previous = kms.calibrate(run.model, run.train, size, batches=BATCHES.value)
    if not previous:
        raise ValueError(f"the network of {folder} has no batch norm that can be trained, so nothing to calibrate")
    print(moved(previous, get_statistics(run.model)))
    if before is not None:
        print(f"accuracy at {size} px: {before} before, {accuracy(run, 'after')} after")
    write(run, output)
    print(f"network for {size} px in {output}")


def accuracy(run: Finished, when: str) -> Accuracy:
    """Return the accuracy at the run's size with the statistics that the network has now."""
    import keras_mixsize as kms

    with doing(f"evaluating at {run.sizes[0]} px, {when} calibrating"):
        report = kms.evaluate_sizes(run.model, run.test, run.sizes, window=run.window, latency=False, progress=False)
    return report.rows[0].accuracy


def moved(before: Sequence[Statistics], after: Sequence[Statistics]) -> str:
    """Return how far the statistics moved, in words: means in standard deviations, variances as factors.

    Args:
        before, after: one for each layer of batch norm; the standard deviations are those of before.
    """
    import numpy as np

    tiny = 1e-12  # a channel that is always zero has no variance
    shifts = [np.abs(new.mean - old.mean) / np.sqrt(old.variance + tiny) for old, new in zip(before, after)]
    factors = [np.exp(np.abs(np.log((new.variance + tiny) / (old.variance + tiny)))) for old, new in zip(before, after)]
    shift, factor = np.concatenate(shifts), np.concatenate(factors)
    furthest = int(np.argmax([np.median(values) for values in shifts]))
    return (
        f"statistics of {len(shift)} channels in {len(before)} layers moved: means by {np.median(shift):.2f} standard "
        f"deviations (median; {np.quantile(shift, 0.9):.2f} at the ninth decile), variances by a factor of "
        f"{np.median(factor):.2f} ({np.quantile(factor, 0.9):.2f}); furthest in layer {furthest + 1}"
    )


def write(run: Finished, output: pathlib.Path) -> None:
    """Write the network whole or not at all."""
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.stem}.tmp.keras")
    try:
        run.model.save(temporary)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
