"""A source of any examples by number gives what they give, whoever made them."""

import collections
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, gradient, render, write_image
from PIL import Image

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.images.formats import decode


def pictures(count=6, height=12, width=14):
    return np.stack([gradient(height, width, 9 * number) for number in range(count)])


class Mapped:
    """A map-style data set, as of grain or PyTorch, that counts what is read of it."""

    def __init__(self, examples):
        self.examples = examples
        self.read = collections.Counter()

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        assert type(index) is int
        self.read[index] += 1
        return self.examples[index]


class Batches(keras.utils.PyDataset):
    """A PyDataset of batches of three, the last one smaller."""

    def __init__(self, images, labels, weights=None):
        super().__init__()
        self.images, self.given, self.weights = images, labels, weights

    def __len__(self):
        return -(-len(self.images) // 3)

    def __getitem__(self, batch):
        rows = slice(3 * batch, 3 * batch + 3)
        labels = {name: of[rows] for name, of in self.given.items()} if type(self.given) is dict else self.given[rows]
        weights = () if self.weights is None else (self.weights[rows],)
        return self.images[rows], labels, *weights


class Frame:
    """A table of columns, as a frame of pandas: `len` counts rows, and `[name]` gives a column."""

    def __init__(self, **columns):
        self.data, self.columns = columns, list(columns)

    def __len__(self):
        return len(self.data[self.columns[0]])

    def __getitem__(self, name):
        return self.data[name]


class Stored:
    """A feature of images, as `datasets.Image`."""

    def __init__(self, decode=True):
        self.decode = decode


class Classes:
    """A feature of classes, as `datasets.ClassLabel`."""

    names = ["cat", "dog"]


class Rows:
    """Rows and columns, as a set of Hugging Face's `datasets`."""

    column_names = ["image", "label"]

    def __init__(self, files, labels, feature=None):
        self.files, self.given, self.features = files, labels, {"image": feature or Stored(), "label": Classes()}

    def cast_column(self, name, feature):
        assert name == "image" and not feature.decode
        return Rows(self.files, self.given, feature)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, key):
        if key == "label":
            return self.given
        assert not self.features["image"].decode, "decoded by Python"
        return {"image": {"bytes": self.files[key], "path": None}, "label": self.given[key]}


def as_pairs(images, labels):
    return list(zip(images, labels))


def as_dictionaries(images, labels):
    return Mapped([{"image": image, "label": label} for image, label in zip(images, labels)])


def as_batches(images, labels):
    return Batches(images, labels)


def as_pillow(images, labels):
    return Mapped([(Image.fromarray(image), int(label)) for image, label in zip(images, labels)])


@pytest.mark.parametrize("make", [as_pairs, as_dictionaries, as_batches, as_pillow])
def test_arrays_of_one_shape_train_as_from_arrays(make):
    images, labels = pictures(20), np.arange(20) % 3
    options = {"regime": kms.Regime.parse("8x8x2:0.5,12x4:0.5"), "seed": 3}
    found = kms.MixSizeDataset.from_sequence(make(images, labels), **options)
    for (batch, of), (expected, same) in zip(found.take(5), kms.MixSizeDataset.from_arrays(images, labels, **options)):
        np.testing.assert_array_equal(batch, expected)
        np.testing.assert_array_equal(of, same)


def test_a_step_reads_its_own_examples_once_for_all_copies():
    items = Mapped(as_pairs(pictures(20), np.arange(20)))
    train = kms.MixSizeDataset.from_sequence(items, regime=kms.Regime.fixed(8, 4), parallel_calls=1)
    items.read.clear()
    next(iter(train))
    first = collections.Counter(train.plan.at(0).indices.tolist())
    assert items.read & first == first and max(items.read.values()) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_float32(dtype):
    images = (pictures() / 255).astype(dtype)
    source = sources.sequence(as_pairs(images, range(6)))
    assert source.images.dtype == np.float32
    expected = sources.ArraySource(images.astype(np.float32), np.arange(6))
    np.testing.assert_array_equal(render(source, [4, 0]), render(expected, [4, 0]))


def of_many_sizes():
    return [gradient(10 + number, 20, number) for number in range(5)]


def as_files(images):
    return [encoded(image, ".png") for image in images]


def pixels_of(source, index):
    """Return the pixels that a source of encoded images decodes."""
    return decode(source.read(tf.constant(index)), source.channels).numpy()


def test_images_of_several_sizes_are_encoded_ones_whatever_they_are():
    images = of_many_sizes()
    forms = [images, as_files(images), list(map(Image.fromarray, images)), list(map(tf.constant, images))]
    for form in forms:
        source = sources.sequence(as_pairs(form, range(5)))
        assert isinstance(source, sources.SequenceSource) and source.channels == 3
        for index in (4, 0):
            np.testing.assert_array_equal(pixels_of(source, index), images[index])
    again = pickle.loads(pickle.dumps(sources.sequence(as_pairs(forms[1], range(5)))))
    np.testing.assert_array_equal(pixels_of(again, 1), images[1])


def test_grey_images_and_those_of_a_palette_are_converted():
    grey, palette = gradient(9, 12)[..., 0], Image.fromarray(gradient(10, 12)).convert("P")
    source = sources.sequence([(Image.fromarray(grey), 0), (palette, 1)])
    np.testing.assert_array_equal(pixels_of(source, 0), np.repeat(grey[..., None], 3, -1))
    np.testing.assert_array_equal(pixels_of(source, 1), np.asarray(palette.convert("RGB")))
    assert sources.sequence([(grey, 0), (grey[:5], 1)], channels=1).channels == 1


def test_a_frame_of_paths_is_a_source_of_files_with_named_classes(tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for number, file in enumerate(files):
        write_image(file, value=number)
    frame = Frame(path=np.array([str(file) for file in files], object), animal=np.array(["dog", "cat", "dog", "cat"]))
    source = sources.sequence(frame, image_key="path", label_key="animal")
    assert isinstance(source, sources.FileSource) and source.files == [str(file) for file in files]
    assert source.class_names == ("cat", "dog") and source.labels.tolist() == [1, 0, 1, 0]
    again = sources.sequence(frame, image_key="path", label_key="animal", class_names=["dog", "cat"])
    assert again.labels.tolist() == [0, 1, 0, 1]


def test_rows_of_hugging_face_are_read_as_they_are_stored():
    files = [encoded(gradient(20 + number, 30, number)) for number in range(4)]
    source = sources.sequence(Rows(files, [1, 0, 1, 1]))
    assert source.class_names == ("cat", "dog") and source.labels.tolist() == [1, 0, 1, 1]
    assert [source.read(tf.constant(index)).numpy() for index in range(4)] == files


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_of(library, tmp_path):
    frames = pytest.importorskip(library)
    write_image(tmp_path / "a.png"), write_image(tmp_path / "b.png", value=50)
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "a.png")]
    source = sources.sequence(frames.DataFrame({"image": paths, "label": ["x", "y", "x"]}))
    assert source.files == paths and source.labels.tolist() == [0, 1, 0]


@pytest.mark.filterwarnings("default")
def test_a_data_set_of_datasets():
    datasets = pytest.importorskip("datasets")
    files = [encoded(gradient(20 + number, 30, number)) for number in range(3)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"image": [{"bytes": file, "path": None} for file in files], "label": [1, 0, 1]}
    source = sources.sequence(datasets.Dataset.from_dict(rows, features))
    assert source.class_names == ("cat", "dog") and source.labels.tolist() == [1, 0, 1]
    assert [source.read(tf.constant(index)).numpy() for index in range(3)] == files


@pytest.mark.filterwarnings("default")
def test_a_data_set_of_grain():
    grain = pytest.importorskip("grain")
    images = pictures()
    mapped = grain.MapDataset.source(as_pairs(images, range(6))).map(lambda pair: {"image": pair[0], "label": pair[1]})
    np.testing.assert_array_equal(sources.sequence(mapped).images[[3, 1]], images[[3, 1]])


def test_weights_and_labels_of_several_outputs_are_taken_from_a_pydataset():
    labels, weights = {"main": np.arange(6) % 3, "share": np.linspace(0, 1, 6)}, np.arange(6) / 2
    source = sources.sequence(Batches(pictures(), labels, weights))
    assert source.labels["main"].tolist() == labels["main"].tolist() and source.labels["share"].dtype == np.float32
    assert source.sample_weight.tolist() == weights.tolist() and source.take(np.array([3])).sample_weight == 1.5
    pairs = [(image, {"main": 1, "kind": "ab"[number % 2]}) for number, image in enumerate(pictures())]
    assert sources.sequence(pairs).labels["kind"].tolist() == [0, 1] * 3
    with pytest.raises(ValueError, match=r"of the outputs \['main', 'kind'\] as at index 0, got 3 at index 6"):
        sources.sequence([*pairs, (pairs[0][0], 3)])


# Damage


class Failing(Mapped):
    """Raises from the second time on that example 2 is asked for."""

    def __getitem__(self, index):
        if index == 2 and self.read[2]:
            raise KeyError("no such file")
        return super().__getitem__(index)


def test_what_python_raises_is_named():
    source = sources.sequence(Failing(as_pairs(of_many_sizes(), range(5))))
    assert source.describe(tf.constant(2)).numpy() == b"2 of the items"
    with pytest.raises(KeyError, match="no such file"):
        source.read(tf.constant(2))
    assert source.describe(tf.constant(2)).numpy() == b"2 of the items (KeyError: 'no such file')"


@pytest.mark.slow
def test_what_python_raises_is_damage_with_its_reason():
    examples, regime = as_pairs(of_many_sizes(), range(5)), kms.Regime.fixed(8, 5)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image 2 of the items \(KeyError: .* cannot be used"):
        next(iter(kms.MixSizeDataset.from_sequence(Failing(examples), regime=regime)))
    policy = sources.DamagePolicy("skip", max_share=0.5)
    train = kms.MixSizeDataset.from_sequence(Failing(examples), regime=regime, damage=policy)
    _, labels = next(iter(train))
    assert 2 not in labels.numpy() and [damaged.index for damaged in train.source.damage_report()] == [2]


def test_an_image_that_has_changed_is_refused_by_its_number():
    items = as_pairs(pictures(), range(6))
    source = sources.sequence(items)
    items[4] = (pictures(height=10)[0], 4)
    with pytest.raises(
        ValueError, match=r"image 4 must be uint8 \(12, 14, 3\) as the first one is, got .*\(10, 14, 3\)"
    ):
        render(source, [0, 4])


# What is refused


PLAIN = np.zeros([8, 8, 3], np.uint8)


@pytest.mark.parametrize(
    "items, message",
    [
        (iter([(PLAIN, 1)]), "items must have examples by number, __len__ and __getitem__, got a list_iterator; give"),
        ({"image": [PLAIN]}, "items must have examples by number.*got a dict"),
        ([], "items must hold at least one example"),
        ([PLAIN], r"items\[0\] must be a pair \(image, label\) or a dictionary, got a ndarray"),
        (
            [{"img": PLAIN, "label": 1}],
            r"items\[0\] must have 'image', got only \['img', 'label'\]; name it with image_key",
        ),
        (Frame(image=["a"], cls=[1]), r"items must have 'label', got only \['image', 'cls'\]; name it with label_key"),
        ([(PLAIN, 0), ("a.png", 1)], "images of one type, got an array at first and a path at index 1; convert"),
        (Frame(image=["a", b"x"], label=[0, 1]), "got a path at first and the bytes of a file at index 1"),
        ([(PLAIN, 0), (PLAIN, "cat")], "all numbers or all texts, got 0 at index 0 and 'cat' at index 1; .*label_key"),
        ([(PLAIN, None)], "all numbers or all texts, got None at index 0"),
        ([(PLAIN, 0), (PLAIN, [0, 1])], "labels must have rows of one length"),
        ([(PLAIN, 0), (PLAIN, -1)], "got -1 at index 1"),
        ([(np.zeros([8, 8, 4]), 0)], r"image 0 must be an array \[H, W\].*got float64 \(8, 8, 4\)"),
        ([(None, 0)], "image 0 must be an array .* got a NoneType"),
        ([(np.zeros([8, 8], np.int64), 0)], "images must be uint8 .*, got int64"),
        (Batches(pictures(), np.zeros(4, int)), "batch 1 must have a label .*, got 1 labels and 0 weights for 3 "),
    ],
)
def test_what_does_not_fit_is_refused_with_the_remedy(items, message):
    with pytest.raises(ValueError, match=message):
        sources.sequence(items)


def test_labels_beyond_the_names_and_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"among the class_names \('cat',\), got 'dog' at index 1"):
        sources.sequence([(PLAIN, "cat"), (PLAIN, "dog")], class_names=["cat"])
    with pytest.raises(ValueError, match="channels must be the 3 of the images, which have one size, got 1"):
        sources.sequence([(PLAIN, 0)], channels=1)


def test_floats_of_several_sizes_are_refused_when_they_are_read():
    source = sources.sequence([(PLAIN / 255, 0), (PLAIN[:4] / 255, 1)])
    with pytest.raises(ValueError, match="image 0 must be uint8, because sizes differ, got float64; multiply by 255"):
        source.read(tf.constant(0))
