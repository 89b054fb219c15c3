"""Fashion-MNIST: the subset in the package and the full set."""

import gzip

import numpy as np
import pytest

from keras_mixsize import sources


def test_embedded_images_are_balanced_and_padded_to_32():
    for split, count in [("train", 1000), ("test", 200)]:
        source = sources.fashion_mnist(split)
        assert source.images.shape == (10 * count, 32, 32, 1) and source.images.dtype == np.uint8
        np.testing.assert_array_equal(np.bincount(source.labels), [count] * 10)
        border = source.images.copy()
        border[:, 2:-2, 2:-2] = 0
        assert not border.any() and source.images[:, 2:-2, 2:-2].any(axis=(1, 2, 3)).all()
        assert source.num_classes == 10 and source.channels == 1


def test_full_fashion_mnist_is_read_from_idx_files(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes([3, 1, 4])))
    source = sources.fashion_mnist("test", path=tmp_path)
    np.testing.assert_array_equal(source.images[:, 2:-2, 2:-2, 0], images)
    np.testing.assert_array_equal(source.labels, [3, 1, 4])
    with pytest.raises(FileNotFoundError, match="train-images.*dataset-fashion-mnist"):
        sources.fashion_mnist("train", path=tmp_path)


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="split must be one of 'train', 'test', got 'tset'; did you mean 'test'"):
        sources.fashion_mnist("tset")
