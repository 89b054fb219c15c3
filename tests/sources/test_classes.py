"""Some classes, or some examples, of every kind of source."""

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, gradient, render, write_image, write_shards

import keras_mixsize as kms
from keras_mixsize import sources

LABELS = [2, 0, 1, 2, 0, 2]
NAMES = ("cat", "dog", "fox")
PICTURES = np.stack([gradient(12, 14, 9 * number) for number in range(6)])
FILES = [encoded(picture, ".png") for picture in PICTURES]


def arrays(folder):
    return sources.ArraySource(PICTURES, LABELS, NAMES)


def on_disk(folder):
    np.save(folder / "images.npy", PICTURES)
    return sources.ArraySource(np.load(folder / "images.npy", mmap_mode="r"), LABELS, NAMES)


def in_memory(folder):
    return sources.BytesSource(FILES, LABELS, NAMES)


def files(folder):
    for number, label in enumerate(LABELS):
        write_image(folder / NAMES[label] / f"{number}.png", value=number)
    return sources.folder(folder)


def records(folder):
    write_shards(folder, [2, 4], label=lambda number: LABELS[number])
    return sources.records(f"{folder}/*", class_names=NAMES)


def sequence(folder):
    return sources.sequence([(picture[: 12 - number], LABELS[number]) for number, picture in enumerate(PICTURES)])


@pytest.mark.parametrize("make", [arrays, on_disk, in_memory, files, records, sequence])
def test_taken_examples_are_those_of_the_whole(tmp_path, make):
    whole, rows = make(tmp_path), np.array([4, 1, 3])
    part = whole.take(rows)
    assert type(part) is type(whole) and part.class_names == whole.class_names and part.channels == whole.channels
    assert part.labels.tolist() == whole.labels[rows].tolist() and part.num_examples == 3 and whole.num_examples == 6
    again = part.take(np.array([2, 0]))
    for taken, of in ((part, rows), (again, rows[[2, 0]])):
        for index, row in enumerate(of):
            if isinstance(whole, sources.ArraySource):
                np.testing.assert_array_equal(taken.images[index], whole.images[row])
            else:
                assert taken.read(tf.constant(index)).numpy() == whole.read(tf.constant(row)).numpy()
    if isinstance(whole, sources.ArraySource):
        np.testing.assert_array_equal(render(part, [2, 2, 0]), render(whole, [3, 3, 4]))


def test_chosen_classes_are_numbered_in_the_order_given(tmp_path):
    whole = files(tmp_path)  # in the order of the classes: cat 1, 4; dog 2; fox 0, 3, 5
    part = sources.of_classes(whole, ["fox", "cat"])
    assert part.class_names == ("fox", "cat") and part.labels.tolist() == [1, 1, 0, 0, 0]
    assert [file.rpartition("/")[2] for file in part.files] == ["1.png", "4.png", "0.png", "3.png", "5.png"]
    assert sources.folder(tmp_path, classes=[2, 0]).files == part.files
    assert sources.of_classes(whole, None) is whole


def test_constructors_take_classes_and_an_offset_of_labels(tmp_path):
    regime, labels = kms.Regime.fixed(8, 2), np.array(LABELS) + 1
    found = kms.MixSizeDataset.from_arrays(
        PICTURES, labels, regime=regime, label_offset=1, class_names=NAMES, classes=["dog", "fox"]
    )
    assert found.source.labels.tolist() == [1, 0, 1, 1] and found.source.class_names == ("dog", "fox")
    np.testing.assert_array_equal(found.source.images, PICTURES[[0, 2, 3, 5]])
    write_shards(tmp_path, [6], label=lambda number: int(labels[number]))
    shards = sources.records(f"{tmp_path}/*", label_offset=1, classes=[0])
    assert shards.labels.tolist() == [0, 0] and shards.index.positions.tolist() == [1, 4]
    assert sources.sequence(list(zip(PICTURES, LABELS)), classes=[1, 0]).labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "classes, message",
    [
        (["cat", "dogs"], "classes must be one of 'cat', 'dog', 'fox', 'owl', got 'dogs'; did you mean 'dog'"),
        ([0, 4], r"names, or numbers in \[0, 4\), got 4"),
        ([0.0], r"names, or numbers in \[0, 4\), got 0.0"),
        (["cat", 0], "classes must differ, got 'cat' 2 times"),
        (["cat", "owl"], "classes must have examples, got 'owl' without any; leave it out"),
        ("cat", "a list of names or numbers of classes, got 'cat'"),
        ([], "a list of names or numbers"),
    ],
)
def test_classes_that_there_are_not_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        sources.of_classes(sources.ArraySource(PICTURES, LABELS, (*NAMES, "owl")), classes)


def test_names_without_names_and_labels_that_are_no_classes_are_refused():
    with pytest.raises(ValueError, match="classes must be numbers, because the source has no class_names, got 'cat'"):
        sources.of_classes(sources.ArraySource(PICTURES, LABELS), ["cat"])
    with pytest.raises(ValueError, match="only where each example has one class"):
        sources.of_classes(sources.ArraySource(PICTURES, np.eye(6)), [1])
    with pytest.raises(ValueError, match="rows must hold at least one example"):
        arrays(None).take(np.array([], int))


@pytest.mark.parametrize(
    "labels, offset, message",
    [
        ([1, 2, 3], 0, r"in \[0, 3\), got 3 at index 2 and 0 more outside; the first class is 1\? label_offset=1"),
        ([0, 1, 2], 1, "got -1 at index 0 and 0 more outside after label_offset=1 is subtracted"),
        (np.eye(3), 1, r"label_offset must be 0 for labels float64 \(3, 3\), got 1"),
    ],
)
def test_labels_that_an_offset_does_not_fit_are_refused(labels, offset, message):
    with pytest.raises(ValueError, match=message):
        sources.ArraySource(PICTURES[:3], labels, NAMES, label_offset=offset)
