"""Example pictures of buckets: where each copy stands, and that the files can be read."""

import numpy as np
from matplotlib import image

import keras_mixsize as kms
from keras_mixsize.cli.examples import tiled, write_examples


def test_each_copy_has_its_row_and_each_image_its_column():
    images = np.arange(6, dtype=np.float32).reshape(6, 1, 1, 1) / 10 * np.ones([1, 2, 2, 1], np.float32)
    found = tiled(images, copies=2)  # first copies of three images, then second copies
    expected = np.kron(np.arange(6).reshape(2, 3), np.ones([2, 2]))[..., None] * 25.5
    np.testing.assert_allclose(found, expected, atol=0.51)


def test_every_bucket_has_a_picture_of_its_size(tmp_path):
    images = np.zeros([16, 8, 8, 3], np.uint8)
    regime = kms.Regime.parse("8x8x2:0.5,12x4x1:0.5")
    train = kms.MixSizeDataset.from_arrays(images, np.zeros(16, np.int64), regime=regime)
    files = write_examples(train, tmp_path)
    sizes = {file.name: image.imread(file).shape[1::-1] for file in files}
    assert sizes == {"8x8x2.png": (6 * 8, 2 * 8), "12x4x1.png": (4 * 12, 12)}
