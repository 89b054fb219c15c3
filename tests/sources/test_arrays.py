"""Arrays: held once or read by index, and refused where they do not fit."""

import copy
import pickle
import tracemalloc

import h5py
import numpy as np
import pytest
from pictures import gradient, render

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.sources.arrays import aligned_empty


def pictures(count=6, channels=3, dtype=np.uint8):
    """Return images that differ: `[count, 12, 14, channels]`."""
    images = np.stack([gradient(12, 14, 9 * number)[..., :channels] for number in range(count)])
    return images / np.float32(255) if dtype == np.float32 else images


def test_array_images_may_lack_channels_or_be_floats():
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 12)).astype(np.uint8)
    grey = sources.ArraySource(images, np.arange(4))
    floats = sources.ArraySource(images / np.float32(255), np.arange(4))
    assert grey.channels == 1
    np.testing.assert_allclose(render(grey, [2, 0]), render(floats, [2, 0]), atol=1e-6)


def test_a_source_says_in_a_line_what_it_is():
    source = sources.ArraySource(np.zeros([1200, 8, 9], np.uint8), np.arange(1200) % 3, ("cat", "dog", "fox"))
    assert repr(source) == "ArraySource(1,200 images 8x9x1, 3 classes: cat, dog, fox)"
    assert repr(sources.fashion_mnist("test")).endswith(
        "10 classes: T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, ...)"
    )


# Memory


def shared(source, images):
    """Return whether a source's tensor lies in an array's memory."""
    return np.shares_memory(np.asarray(memoryview(source._pixels)), images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_aligned_array_is_shared_and_any_other_is_held_once(dtype):
    given = pictures(dtype=dtype)
    images = aligned_empty(given.shape, dtype)
    images[:] = given
    source = sources.ArraySource(images, np.arange(6))
    assert source.images is not given and np.shares_memory(source.images, images) and shared(source, images)
    strange = [images[1:], images[:, ::2], images[..., ::-1], np.asfortranarray(images), images[:, :, 1:], images[:1]]
    strange[-1].setflags(write=False)
    for array in strange:
        source = sources.ArraySource(array, np.arange(len(array)))
        assert shared(source, source.images)
        np.testing.assert_array_equal(source.images, array)
        expected = sources.ArraySource(array.copy(), np.arange(len(array)))
        np.testing.assert_array_equal(render(source, range(len(array))), render(expected, range(len(array))))


@pytest.mark.parametrize("again", [lambda value: pickle.loads(pickle.dumps(value)), copy.deepcopy])
def test_a_copied_source_holds_its_images_once_too(again):
    source = again(sources.ArraySource(pictures(), np.arange(6)))
    assert shared(source, source.images)


def on_disk(folder, kind, images):
    """Return the images as an array that is read by index."""
    if kind == "zarr":
        array = pytest.importorskip("zarr").create_array(folder / "images.zarr", shape=images.shape, dtype=images.dtype)
        array[:] = images
        return array
    if kind == "h5py":
        return h5py.File(folder / "images.h5", "w").create_dataset("images", data=images)
    np.save(folder / "images.npy", images)
    return np.load(folder / "images.npy", mmap_mode=kind)


@pytest.mark.parametrize(
    "kind, grey", [("r", True), ("r+", False), ("c", False), ("h5py", False), ("h5py", True), ("zarr", False)]
)
def test_arrays_on_disk_are_read_by_the_indices_of_the_plan(tmp_path, kind, grey):
    images = pictures(20)[..., 0] if grey else pictures(20)
    stored = on_disk(tmp_path, kind, images)
    source = sources.ArraySource(stored, np.arange(20))
    assert source.images is stored and source.channels == (1 if grey else 3)
    one, other = (
        kms.MixSizeDataset.from_source(each, regime=kms.Regime.fixed(12, 8), seed=3)
        for each in (source, sources.ArraySource(images, np.arange(20)))
    )
    for (found, labels), (expected, same) in zip(one.take(4), other.take(4)):
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(labels, same)
    assert repr(source) == f"ArraySource(20 images 12x14x{source.channels}, 20 classes)"


@pytest.mark.parametrize("kind", ["r", "h5py", "zarr"])
def test_of_an_array_larger_than_memory_only_the_rows_of_a_step_are_read(tmp_path, kind):
    shape = (60_000, 64, 64, 3)  # 737 MB; a file of holes, or of chunks that were never written
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        images = zarr.create_array(tmp_path / "a", shape=shape, chunks=(1, *shape[1:]), dtype=np.uint8)
    elif kind == "h5py":
        images = h5py.File(tmp_path / "a", "w").create_dataset("a", shape, np.uint8, chunks=(1, *shape[1:]))
    else:
        images = np.lib.format.open_memmap(tmp_path / "a", "w+", np.uint8, shape)
    images[17], images[59_999] = 17, 99
    tracemalloc.start()
    source = sources.ArraySource(images, np.zeros(shape[0], int)).take(np.arange(shape[0])[::-1])
    found = source._read(np.array([shape[0] - 1 - 17, 0, 5]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found[:, 0, 0, 0].tolist() == [17, 99, 0] and peak < 20e6


def test_floats_on_disk_are_checked_when_they_are_read(tmp_path):
    images = pictures(dtype=np.float32)
    images[4] *= 255
    source = sources.ArraySource(on_disk(tmp_path, "r", images), np.arange(6))
    assert render(source, [0, 5]).shape == (2, 16, 16, 3)
    with pytest.raises(ValueError, match=r"lie in \[0, 1\], got .*; divide by 255"):
        render(source, [3, 4])


# Bad input


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.zeros((3, 8, 8, 2), np.uint8), [0, 1, 2], r"\[N, H, W, C\] with C 1 or 3.*\(3, 8, 8, 2\)"),
        (np.zeros((3, 8, 8, 3), np.int64), [0, 1, 2], "uint8 .* or float32.*int64"),
        (np.full((3, 8, 8, 3), 255, np.float32), [0, 1, 2], r"lie in \[0, 1\], got 255..255; divide by 255"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0, 1], "one per image, got 2 labels for 3 images"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0, -1, 2], "at or above 0, got -1 at index 1"),
        (np.zeros((0, 8, 8, 3), np.uint8), [], "one per image, got 0 labels for 0 images"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        sources.ArraySource(images, np.array(labels))


def test_labels_beyond_the_named_classes_are_refused():
    with pytest.raises(ValueError, match=r"lie in \[0, 2\), got 2 at index 2"):
        sources.ArraySource(np.zeros((3, 8, 8, 1), np.uint8), np.arange(3), ("a", "b"))
