"""Makes training images with another framework's loader, and tells how many per second for every line that it reads.

Run by `other_loaders.py` with a Python that has the framework, NumPy and Pillow; it imports nothing of this project.

    VENV/bin/python benchmarks/loader_program.py grain FOLDER 128         # ready; then a rate for a line such as "2.0"

The images are torchvision's usual training images, random resized crop and flip, written out with Pillow as torchvision
itself makes them.
"""

import functools
import glob
import math
import sys
import time

import numpy as np
from PIL import Image

BATCH = 32


def load(file: str, draws: np.random.Generator, size: int) -> np.ndarray:
    """Return a training image of a file: `[S, S, 3]` float32 in [0, 1]."""
    image = Image.open(file).convert("RGB")
    area = draws.uniform(0.08, 1) * image.width * image.height
    ratio = math.exp(draws.uniform(math.log(3 / 4), math.log(4 / 3)))
    w, h = min(round((area * ratio) ** 0.5), image.width), min(round((area / ratio) ** 0.5), image.height)
    x, y = draws.integers(0, image.width - w + 1), draws.integers(0, image.height - h + 1)
    image = image.crop((x, y, x + w, y + h)).resize((size, size), Image.BILINEAR)
    image = image.transpose(Image.FLIP_LEFT_RIGHT) if draws.random() < 0.5 else image
    return np.asarray(image, np.float32) / 255


class Photographs:
    """An endless map-style dataset for PyTorch."""

    def __init__(self, files: list[str], size: int):
        self.files, self.size = files, size

    def __len__(self):
        return 10**7

    def __getitem__(self, number):
        import torch

        image = load(self.files[number % len(self.files)], np.random.default_rng(number), self.size)
        return torch.from_numpy(image.transpose(2, 0, 1).copy())


def torch_loader(files: list[str], size: int):
    """Return PyTorch's loader, with one worker."""
    import torch

    torch.set_num_threads(1)
    return torch.utils.data.DataLoader(Photographs(files, size), BATCH, num_workers=1)


def grain_loader(files: list[str], size: int):
    """Return grain's loader, with one thread."""
    import grain

    data = grain.MapDataset.source(files).seed(0).shuffle().repeat().random_map(functools.partial(load, size=size))
    return data.batch(BATCH).to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2))


LOADERS = {"torch": torch_loader, "grain": grain_loader}


def rate(iterator, seconds: float) -> float:
    """Return images per second of wall time, after 0.3 s in which the buffers empty."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < 0.3:
        next(iterator)
    begun, made = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        made += len(next(iterator))
    return made / (time.perf_counter() - begun)


def main(name: str, folder: str, size: str) -> None:
    """Answer every line on standard input, the seconds to measure, with a rate."""
    iterator = iter(LOADERS[name](sorted(glob.glob(f"{folder}/*.jpg")), int(size)))
    for _ in range(4):
        next(iterator)
    print("ready", flush=True)
    for line in sys.stdin:
        found = rate(iterator, float(line))
        time.sleep(1)  # until its buffers are full
        print(found, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
