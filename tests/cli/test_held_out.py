"""Held-out examples in two parts."""

import numpy as np
import pytest
import tensorflow as tf
from pictures import render

import keras_mixsize as kms
from keras_mixsize.cli import held_out


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return kms.sources.ArraySource(rng.integers(0, 256, (30, 8, 8, 1)).astype("uint8"), np.repeat([0, 1, 2], 10))


@pytest.fixture(scope="module")
def files(arrays):
    encoded = [tf.io.encode_png(image).numpy() for image in arrays.images]
    return kms.sources.BytesSource(encoded, arrays.labels, ("a", "b/c", "d"), channels=1)


@pytest.mark.parametrize("kind", ["arrays", "files"])
@pytest.mark.parametrize(("count", "expected"), [(None, 15), (7, 7), (29, 29)])
def test_every_example_is_in_one_part(request, kind, count, expected):
    test = request.getfixturevalue(kind)
    fitting, rest = held_out.divide(test, count)
    assert fitting.num_examples == expected
    assert sorted([*fitting.indices, *rest.indices]) == list(range(30))
    np.testing.assert_array_equal(rest.labels, test.labels[rest.indices])


def test_files_that_lie_in_the_order_of_their_classes_fit_all_classes(files):
    fitting, rest = held_out.divide(files, None)
    assert set(fitting.labels) == set(rest.labels) == {0, 1, 2}
    again, _ = held_out.divide(files, None)
    np.testing.assert_array_equal(fitting.indices, again.indices)


def test_a_part_renders_its_own_examples(arrays, files):
    for test in (arrays, files):
        _, rest = held_out.divide(test, 20)
        np.testing.assert_allclose(render(rest, [3, 0]), render(test, rest.indices[[3, 0]]), atol=1e-6)


def test_images_come_as_they_are(arrays, files):
    _, rest = held_out.divide(arrays, 20)
    np.testing.assert_array_equal(held_out.images_of(rest, slice(2, 4)), arrays.images[22:24])
    _, rest = held_out.divide(files, 20)
    assert held_out.images_of(rest, slice(1)) == [files.read(tf.constant(rest.indices[0])).numpy()]


def test_samples_are_the_first_file_of_each_class(files, tmp_path):
    part = held_out.divide(files, 0)[1]
    held_out.write_samples(part, tmp_path / "samples")
    names = sorted(file.name for file in (tmp_path / "samples").iterdir())
    assert names == ["0000_a.png", "0001_b c.png", "0002_d.png"]
    assert (tmp_path / "samples/0001_b c.png").read_bytes() == files.read(tf.constant(10, tf.int64)).numpy()


def test_pixels_are_whole_images_of_all_classes(arrays, files):
    pixels = held_out.pixels_of(files, 4, 6)
    assert pixels.shape == (4, 6, 6, 1) and pixels.dtype == np.float32 and pixels.max() <= 1
    np.testing.assert_allclose(pixels[3], kms.images.resize(arrays.images[29:], 6)[0], atol=1e-5)
    assert len(held_out.pixels_of(files, 256, 6)) == 30


class Opaque(kms.sources.Source):
    """A source whose images cannot be had as they are."""

    labels, class_names, channels = np.zeros(4, np.int64), None, 1

    def render(self, indices, seeds, size, transform):
        """See `Source.render`."""


def test_a_source_without_images_has_no_cascade(arrays):
    fitting, rest = held_out.divide(Opaque(), None)
    assert fitting is None and rest.num_examples == 4
    with pytest.raises(ValueError, match="cascade_examples must be 0 for a Opaque, got 2"):
        held_out.divide(Opaque(), 2)
    with pytest.raises(ValueError, match=r"cascade_examples must lie in \[0, 30\), the test set, got 30"):
        held_out.divide(arrays, 30)
