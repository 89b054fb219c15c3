"""Runs the blocks of a documentation page, top to bottom in one session.

    python tests/run_page.py docs/data.md                  # Python, with the files that the pages of the guide expect
    python tests/run_page.py docs/start.md --commands      # `mixsize` of its `sh` blocks too, in an empty folder
    python tests/run_page.py docs/start.md --commands --replace="--epochs=3=>--epochs=1"

Left out are blocks that say `{.no-run}` after their language.
"""

import argparse
import gzip
import os
import pathlib
import re
import shlex
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow_datasets as tfds

from keras_mixsize.cli import main as cli


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


def run_commands(block: str):
    """Run the lines of a `sh` block, which call `mixsize`; any other would be untested, so it is an error."""
    for line in filter(None, block.splitlines()):
        words = shlex.split(line, comments=True)
        if words[0] != "mixsize":
            raise SystemExit(f"{line}: only mixsize can be run here; mark the block `sh {{.no-run}}`")
        if status := cli.run(words):
            raise SystemExit(f"{line}: status {status}")


def replaced(text: str, pairs: list[str]) -> str:
    """Return a page with other words in it, which stand there."""
    for pair in pairs:
        old, new = pair.split("=>")
        if old not in text:
            raise SystemExit(f"the page lacks {old!r}")
        text = text.replace(old, new)
    return text


def main():
    """Run every block; an exception ends the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--commands", action="store_true", help="run `sh` blocks too, and make no files")
    parser.add_argument("--replace", action="append", default=[], help="OLD=>NEW, words of the page")
    options = parser.parse_args()
    text = replaced(options.page.read_text(), options.replace)
    kinds = "python|sh" if options.commands else "python"
    blocks = list(re.finditer(rf"^```({kinds})\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    os.chdir(tempfile.mkdtemp())
    if not options.commands:
        make_files()
    names = {}
    with tfds.testing.mock_data(num_examples=64):
        for match in blocks:
            if match[1] == "sh":
                run_commands(match[2])
                continue
            line = text[: match.start(2)].count("\n")
            exec(compile("\n" * line + match[2], options.page.name, "exec"), names)
    print("blocks ran:", len(blocks))


if __name__ == "__main__":
    main()
