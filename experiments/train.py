"""Trains one network with one regime and reports its accuracy at several sizes.

    python experiments/train.py --smoke
    python experiments/train.py --dataset=cifar10 --model=resnet44 --regime=cifar --mode=d+ --epochs=200 --output=runs/d+
    python experiments/train.py --dataset=embedded --model=resnet8 --regime=32:0.5,16:0.5 --mode=b+ --output=runs/mine

Writes results.json (settings, versions, plan fingerprint, history, report), report.csv, report.png, model.keras, log.csv
and TensorBoard logs into the output folder.
"""

from absl import app, flags

import keras_mixsize as kms
from one_run import MODES, RunConfig, choose_regime, console, run

DATASET = flags.DEFINE_string("dataset", "embedded", "embedded, fashion_mnist, folder:PATH, or a tfds data set.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data set lies (tfds: its data_dir).")
MODEL = flags.DEFINE_enum("model", "resnet8", kms.models.names(), "Network.")
REGIME = flags.DEFINE_string("regime", "small", "Preset, text form such as 32:0.5,16:0.5, or a JSON file.")
MODE = flags.DEFINE_enum("mode", "d+", list(MODES), "What small sizes spend their budget on.")
BASE_SIZE = flags.DEFINE_integer("base_size", 32, "Size of the baseline in pixels, for the text form.")
BASE_BATCH = flags.DEFINE_integer("base_batch", 64, "Batch of the baseline, for the text form.")
EPOCHS = flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)
PADDING = flags.DEFINE_integer("padding", 4, "Padding of the random crops of in-memory images, in pixels.")
LEARNING_RATE = flags.DEFINE_float("learning_rate", 0.1, "Peak learning rate.")
L2 = flags.DEFINE_float("l2", 1e-4, "L2 weight decay.")
SMOOTHING = flags.DEFINE_float("smoothing", 0.9, "Momentum of gradient smoothing; negative for none.")
SAMPLING = flags.DEFINE_enum("sampling", "shuffled", ["shuffled", "independent"], "Order of the buckets.")
SIZES = flags.DEFINE_list("sizes", ["16", "24", "32", "48"], "Test sizes in pixels.")
CALIBRATION = flags.DEFINE_integer("calibration_batches", 200, "Batches of calibration at each test size.")
SEED = flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.", lower_bound=0)
OUTPUT = flags.DEFINE_string("output", "runs/train", "Folder for the results.")
TENSORBOARD = flags.DEFINE_boolean("tensorboard", True, "Write TensorBoard logs.")
SMOKE = flags.DEFINE_boolean("smoke", False, "A run of seconds: 512 examples, one epoch, two sizes.")


def main(_):
    solve_options = {} if ":" not in REGIME.value else {"base_size": BASE_SIZE.value, "base_batch": BASE_BATCH.value}
    config = RunConfig(
        name=MODE.value,
        dataset=DATASET.value,
        data_dir=DATA_DIR.value,
        model=MODEL.value,
        regime=choose_regime(REGIME.value, MODE.value, **solve_options),
        epochs=1 if SMOKE.value else EPOCHS.value,
        output=OUTPUT.value,
        padding=PADDING.value,
        learning_rate=LEARNING_RATE.value,
        l2=L2.value,
        smoothing=SMOOTHING.value if SMOOTHING.value >= 0 else None,
        seed=SEED.value,
        sizes=tuple(int(size) for size in SIZES.value)[: 2 if SMOKE.value else None],
        calibration_batches=2 if SMOKE.value else CALIBRATION.value,
        limit=512 if SMOKE.value else None,
        sampling=SAMPLING.value,
        tensorboard=TENSORBOARD.value,
    )
    report = run(config)
    report.plot(f"{config.output}/report.png", title=f"{config.model} on {config.dataset}")
    console.print(f"results in {config.output}/results.json")


if __name__ == "__main__":
    app.run(main)
