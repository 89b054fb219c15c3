"""Runs the Python blocks of a documentation page, top to bottom in one session, with the files that they expect."""

import gzip
import os
import pathlib
import re
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow_datasets as tfds


def make_files():
    """Write small folders of pictures and the four Fashion-MNIST files into the working directory."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            directory = pathlib.Path("photos", split, name)
            directory.mkdir(parents=True)
            for number in range(20):
                keras.utils.save_img(directory / f"{number}.png", rng.integers(0, 256, (40 + number, 60, 3)))
    directory = pathlib.Path("fashion-mnist")
    directory.mkdir()
    for prefix, count in (("train", 64), ("t10k", 32)):
        images, labels = bytes(16) + bytes(count * 784), bytes(8) + bytes(number % 10 for number in range(count))
        (directory / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (directory / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def main(page: pathlib.Path):
    """Run every block; an exception ends the process."""
    text = page.read_text()
    os.chdir(tempfile.mkdtemp())
    make_files()
    names = {}
    with tfds.testing.mock_data(num_examples=64):
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            line = text[: match.start(1)].count("\n")
            exec(compile("\n" * line + match[1], page.name, "exec"), names)
    print("blocks ran:", len(re.findall(r"^```python", text, re.MULTILINE)))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
