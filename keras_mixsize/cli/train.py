"""train a network at mixed image sizes, and report its accuracy at each size

    mixsize train --smoke                   # a run of seconds on the embedded images
    mixsize train photos                    # a folder per class, or train/ and val/ of such
    mixsize train --config=runs/x/run.json  # that run again; flags go before the file
Recipes and their settings: `mixsize train --list`, and `--list --recipe=NAME` for one in full.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from absl import flags

from keras_mixsize import xla_cache
from keras_mixsize.cli.progress import doing
from keras_mixsize.cli.sizes import define_sizes

MODES = ("baseline", "b+", "d+", "bd+")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")
SCALING = ("none", "linear", "sqrt")
SAMPLING = ("shuffled", "independent", "balanced")

FLAGS = flags.FlagValues()
_OWN: dict[str, Any] = {"flag_values": FLAGS}
flags.DEFINE_string("dataset", None, "Folder, folder:PATH, records:PATH, embedded, or a name of tfds.", **_OWN)
flags.DEFINE_string("recipe", None, "Data set, network and mode; a folder gets one of its own.", **_OWN)
flags.DEFINE_string("config", None, "run.json of a run to repeat.", **_OWN)
flags.DEFINE_string("output", None, "Folder for the results. [runs/DATA_NETWORK_MODE]", **_OWN)
flags.DEFINE_float("validation", 0.2, "Share held out of a folder without val/ or test/.", **_OWN)
flags.DEFINE_string("model", None, "Network, such as resnet14.", **_OWN)
flags.DEFINE_enum("mode", None, MODES, "What small sizes spend on.", **_OWN)
flags.DEFINE_string("regime", None, "Preset, text as of mixsize plan, or JSON file.", **_OWN)
flags.DEFINE_float("finish", None, "Share of the last steps, at the base size.", 0.0, 1.0, **_OWN)
flags.DEFINE_integer("base_size", None, "Baseline's size in pixels.", lower_bound=1, **_OWN)
flags.DEFINE_integer("epochs", None, "Epochs; the schedule is stretched.", lower_bound=1, **_OWN)
flags.DEFINE_float("learning_rate", None, "Highest learning rate.", lower_bound=0.0, **_OWN)
define_sizes("Test sizes in pixels.", FLAGS)
flags.DEFINE_boolean("resume", False, "Save the state as training goes; go on from it.", **_OWN)
flags.DEFINE_boolean("list", False, "Print the recipes.", **_OWN)
flags.DEFINE_boolean("smoke", False, "Seconds: 512 examples, one epoch, two sizes.", **_OWN)
flags.DEFINE_string("data_dir", None, "Where the data set lies (tfds: its data_dir).", **_OWN)
flags.DEFINE_integer("base_batch", None, "Baseline's batch.", lower_bound=1, **_OWN)
flags.DEFINE_string("name", None, "Of the run, for tables and pictures; the mode unless given.", **_OWN)
flags.DEFINE_enum("share", "steps", ["steps", "samples"], "What the probabilities of a regime are shares of.", **_OWN)
flags.DEFINE_string("padding", None, "Of the random crops, in pixels; by size as in 16:2,32:6.", **_OWN)
flags.DEFINE_string("dropout_scale", None, "Factor of dropout rates; by size as in 16:0.5,32:1.", **_OWN)
flags.DEFINE_float("ema", None, "Momentum of averaged weights that the run ends with.", 0.0, 1.0, **_OWN)
flags.DEFINE_enum("scaling", None, SCALING, "How the learning rate follows the mean batch.", **_OWN)
flags.DEFINE_float("l2", None, "L2 weight decay.", lower_bound=0.0, **_OWN)
flags.DEFINE_float("smoothing", None, "Momentum of gradient smoothing; negative for none.", **_OWN)
flags.DEFINE_enum("sampling", "shuffled", SAMPLING, "Order of the steps; or every class as often.", **_OWN)
flags.DEFINE_enum("precision", "float32", PRECISIONS, "Keras's dtype policy.", **_OWN)
flags.DEFINE_enum("strategy", "none", STRATEGIES, "Several devices: see tf.distribute.", **_OWN)
flags.DEFINE_integer("calibration_batches", 200, "At each test size.", lower_bound=1, **_OWN)
flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.", lower_bound=0, **_OWN)
flags.DEFINE_boolean("tensorboard", None, "Write TensorBoard logs; they are if it is installed, unless told.", **_OWN)
flags.DEFINE_enum("damage", "raise", ["raise", "skip"], "For damaged images: an error, or skip and list them.", **_OWN)
flags.DEFINE_string("xla_cache", None, "Compile with XLA, and keep its programs in this folder.", **_OWN)
MORE = tuple(list(FLAGS)[list(FLAGS).index("list") :])


def main(arguments: Sequence[str]) -> None:
    """Train what the flags say, or list the recipes."""
    if FLAGS.list:
        print(listing())
        return
    if len(arguments) > 1 or (arguments and FLAGS.dataset):
        raise ValueError(f"name one data set, got {' and '.join(filter(None, [*arguments, FLAGS.dataset]))}")
    from keras_mixsize.cli.config import read_config
    from keras_mixsize.cli.settings import settings

    kept = FLAGS.xla_cache or (read_config(FLAGS.config).xla_cache if FLAGS.config else None)
    if kept is not None:
        xla_cache.use(kept)  # before the settings of a folder load TensorFlow
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # it warns of each program in the cache, of features that are none
    config = settings(FLAGS, arguments[0] if arguments else FLAGS.dataset)
    with doing("loading TensorFlow"):
        from keras_mixsize.cli import run
    report = run.run(config)
    if report is None:
        return  # another worker has written the results
    report.plot(f"{config.output}/report.png", title=config.title)
    run.console.print(f"results in {config.output}/results.json, settings in {config.output}/run.json")


def listing() -> str:
    """Return the recipes, a line each, or the one that --recipe names in full."""
    from keras_mixsize.cli.settings import find_recipe
    from keras_mixsize.recipes import RECIPES

    if FLAGS.recipe is not None:
        return str(find_recipe(FLAGS.recipe))
    width = max(map(len, RECIPES)) + 2
    lines = [
        f"{name:<{width}}{recipe.family:<13}{recipe.epochs} epochs, rate {recipe.schedule}"
        for name, recipe in RECIPES.items()
    ]
    return "\n".join([*lines, "`mixsize train --list --recipe=NAME` shows one in full"])
