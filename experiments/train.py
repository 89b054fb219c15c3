"""Trains a recipe and reports the network's accuracy at several sizes.

    python experiments/train.py --smoke
    python experiments/train.py --recipe=cifar10/resnet44/b+ --output=runs/cifar10_resnet44_b+
    python experiments/train.py --recipe=imagenet2012/resnet50/d+ --data_dir=DIR --precision=mixed_bfloat16
    python experiments/train.py --recipe=cifar10/resnet44/d+ --dataset=folder:PATH --epochs=90
    python experiments/train.py --recipe=cifar10/resnet44/b+ --output=runs/long --resume       # again after a stop
    python experiments/train.py --list

A recipe is data set, network and mode; `--list` prints them all, and each other flag changes one of its settings. ImageNet must
be fetched by hand: make an account on image-net.org, put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar into
DIR/downloads/manual, and tensorflow-datasets prepares them on the first start (some hours, 300 GB). PATH holds train/ and test/
with a folder per class.

Writes results.json (settings, versions, plan fingerprint, history, report), report.csv, report.png, model.keras, log.csv
and TensorBoard logs into the output folder.
"""

import dataclasses

from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import PRECISIONS, STRATEGIES, RunConfig, choose_regime, console, run

RECIPE = flags.DEFINE_string("recipe", "embedded/resnet8/d+", "Data set, network and mode; --list shows them.")
LIST = flags.DEFINE_boolean("list", False, "Print every recipe and stop.")
DATASET = flags.DEFINE_string(
    "dataset", None, "embedded, fashion_mnist, clipart, folder:PATH, records:PATH, or tfds's."
)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data set lies (tfds: its data_dir).")
MODEL = flags.DEFINE_enum("model", None, kms.models.names(), "Network.")
REGIME = flags.DEFINE_string("regime", None, "Preset, text form such as 32:0.5,16:0.5, or a JSON file.")
SHARE = flags.DEFINE_enum("share", "steps", ["steps", "samples"], "What the probabilities of a preset are shares of.")
BASE_SIZE = flags.DEFINE_integer("base_size", 32, "Size of the baseline in pixels, for the text form.")
BASE_BATCH = flags.DEFINE_integer("base_batch", 64, "Batch of the baseline, for the text form.")
EPOCHS = flags.DEFINE_integer("epochs", None, "Epochs; the schedule is stretched to them.", lower_bound=1)
PADDING = flags.DEFINE_integer("padding", None, "Padding of the random crops, in pixels.", lower_bound=0)
LEARNING_RATE = flags.DEFINE_float("learning_rate", None, "Highest learning rate.", lower_bound=0.0)
SCALING = flags.DEFINE_enum("scaling", None, kms.recipes.SCALING, "How the learning rate follows the mean batch.")
L2 = flags.DEFINE_float("l2", None, "L2 weight decay.", lower_bound=0.0)
SMOOTHING = flags.DEFINE_float("smoothing", None, "Momentum of gradient smoothing; negative for none.")
SAMPLING = flags.DEFINE_enum("sampling", "shuffled", ["shuffled", "independent"], "Order of the buckets.")
PRECISION = flags.DEFINE_enum("precision", "float32", PRECISIONS, "Keras's dtype policy.")
STRATEGY = flags.DEFINE_enum("strategy", "none", STRATEGIES, "Several devices: see tf.distribute.")
SIZES = flags.DEFINE_list("sizes", None, "Test sizes in pixels; the family's unless given.")
CALIBRATION = flags.DEFINE_integer("calibration_batches", 200, "Batches of calibration at each test size.")
SEED = flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.", lower_bound=0)
OUTPUT = flags.DEFINE_string("output", "runs/train", "Folder for the results.")
TENSORBOARD = flags.DEFINE_boolean("tensorboard", True, "Write TensorBoard logs.")
RESUME = flags.DEFINE_boolean("resume", False, "Save the state as training goes, and go on from it if it is there.")
DAMAGE = flags.DEFINE_enum("damage", "raise", ["raise", "skip"], "For damaged images: an error, or skip and list them.")
SMOKE = flags.DEFINE_boolean("smoke", False, "A run of seconds: 512 examples, one epoch, two sizes.")


def choose_recipe() -> kms.presets.Recipe:
    """Return the recipe with the settings that flags change."""
    recipe = kms.recipes.find(RECIPE.value)
    changes = {"network": MODEL.value, "padding": PADDING.value, "l2": L2.value, "scaling": SCALING.value}
    changes = {name: value for name, value in changes.items() if value is not None}
    if MODEL.value not in (None, recipe.network):
        changes |= {"network_options": {}, "auxiliary_weight": 0.4 if "amoebanet" in MODEL.value else 0.0}
    if SMOOTHING.value is not None:
        changes["smoothing"] = SMOOTHING.value if SMOOTHING.value >= 0 else None
    if LEARNING_RATE.value is not None:
        changes["schedule"] = dataclasses.replace(recipe.schedule, learning_rate=LEARNING_RATE.value)
    recipe = dataclasses.replace(recipe, **changes)
    epochs = 1 if SMOKE.value else EPOCHS.value
    return recipe if epochs is None else recipe.lasting(epochs)


def make_regime(recipe: kms.presets.Recipe) -> kms.Regime:
    """Return the recipe's regime, or the one that --regime names."""
    text = REGIME.value or recipe.family
    options = {"share": SHARE.value}
    if ":" in text:
        options |= {"base_size": BASE_SIZE.value, "base_batch": BASE_BATCH.value}
    return choose_regime(text, recipe.mode, **options)


def main(_):
    if LIST.value:
        print("\n".join(map(str, kms.presets.RECIPES.values())))
        return
    recipe = choose_recipe()
    config = RunConfig(
        recipe=recipe,
        output=OUTPUT.value,
        dataset=DATASET.value,
        data_dir=DATA_DIR.value,
        regime=make_regime(recipe),
        seed=SEED.value,
        sizes=tuple(map(int, SIZES.value or ())),
        calibration_batches=2 if SMOKE.value else CALIBRATION.value,
        limit=512 if SMOKE.value else None,
        sampling=SAMPLING.value,
        precision=PRECISION.value,
        strategy=STRATEGY.value,
        tensorboard=TENSORBOARD.value,
        resume=RESUME.value,
        damage=DAMAGE.value,
    )
    if SMOKE.value:
        config = dataclasses.replace(config, sizes=config.sizes[:2])
    report = run(config)
    if report is None:
        return  # another worker has written the results
    report.plot(f"{config.output}/report.png", title=recipe.name)
    console.print(f"results in {config.output}/results.json")


if __name__ == "__main__":
    app.run(main)
