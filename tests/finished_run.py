"""A folder as `mixsize train` leaves it, of a network that was not trained, in a second."""

import json
import pathlib

import keras
from networks import compiled, tiny_network
from pictures import write_image

import keras_mixsize as kms
from keras_mixsize.cli.run import RunConfig


def write_run(folder: pathlib.Path, *, name="tiny", sizes=(8, 12), channels=1, classes=10, **settings) -> pathlib.Path:
    """Write results.json and model.keras and return the folder.

    Args:
        folder: made if it does not exist.
        name: of the run.
        sizes: test sizes in pixels.
        channels, classes: of the network.
        **settings: of `RunConfig`, such as the data set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(1)
    recipe = kms.recipes.find("embedded/resnet8/b+")
    options = {"limit": 128, "calibration_batches": 1, "regime": kms.Regime.parse("12x8:0.5,16x8:0.5")} | settings
    config = RunConfig(recipe=recipe, output=str(folder), name=name, sizes=sizes, **options)
    compiled(tiny_network(channels, classes)).save(folder / "model.keras")
    accuracy = {"value": 0.5, "low": 0.4, "high": 0.6}
    row = {"accuracy": accuracy, "loss": 1.0, "calibrated": None, "calibrated_loss": None, "multiply_adds": 9}
    rows = [row | {"size": size, "latency_ms": None} for size in sizes]
    report = {"name": name, "rows": rows, "about": {}}
    (folder / "results.json").write_text(json.dumps({"config": config.to_dict(), "report": report}))
    return folder


def write_photos(folder: pathlib.Path, train=8, test=6) -> pathlib.Path:
    """Write JPEG and PNG files of several shapes in train/ and test/, two classes in each, and return the folder."""
    for split, count in (("train", train), ("test", test)):
        for number in range(2 * count):
            suffix = ".png" if number % 3 == 0 else ".jpg"
            path = folder / split / ("cat", "dog")[number % 2] / f"{number:02}{suffix}"
            write_image(path, 20 + number, 30, 10 * number)
    return folder
