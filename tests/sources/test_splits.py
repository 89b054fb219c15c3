"""Images are held out by their names, so that the split stays when the folder grows."""

import hashlib

import numpy as np
import pytest
from pictures import write_image

from keras_mixsize import sources
from keras_mixsize.sources.encoded import FileSource
from keras_mixsize.sources.splits import held_out, split_folder, subset

NAMES = [f"{kind}/{number:04}.jpg" for kind in ("cat", "dog") for number in range(1000)]


@pytest.fixture
def photos(tmp_path):
    for number in range(40):
        write_image(tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number:02}.jpg", 8, 8)
    return tmp_path / "photos"


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_about_the_share_is_held_out(share):
    assert held_out(NAMES, share).mean() == pytest.approx(share, abs=4 * (share * (1 - share) / len(NAMES)) ** 0.5)


def test_the_hash_of_the_name_decides():
    first = [int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64 for name in NAMES]
    np.testing.assert_array_equal(held_out(NAMES, 0.2), np.array(first) < 0.2)


def test_adding_files_moves_none_and_a_greater_share_moves_none_back():
    some, all_ = held_out(NAMES[::3], 0.2), held_out(NAMES, 0.2)
    np.testing.assert_array_equal(some, all_[::3])
    assert not (all_ & ~held_out(NAMES, 0.3)).any()


def test_a_name_is_the_same_however_a_system_composes_its_accents():
    assert held_out(["Caf\u00e9/1.jpg"] * 2, 0.5).tolist() == held_out(["Cafe\u0301/1.jpg"] * 2, 0.5).tolist()
    accents = [("\u00e9" + str(number), "e\u0301" + str(number)) for number in range(50)]
    np.testing.assert_array_equal(*(held_out(names, 0.5) for names in zip(*accents)))


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="validation must be a share between 0 and 1, got"):
        held_out(NAMES, share)


def test_a_folder_falls_into_two_sources_with_the_same_classes(photos):
    train, test = split_folder(photos, 0.3)
    files = {*train.files, *test.files}
    assert len(files) == 40 == train.num_examples + test.num_examples
    assert train.class_names == test.class_names == ("cat", "dog")
    assert all(("cat", "dog")[label] in file for file, label in zip(train.files, train.labels))
    again = split_folder(photos, 0.3)
    assert [source.files for source in again] == [train.files, test.files]


def test_the_split_does_not_depend_on_where_the_folder_lies(photos, tmp_path):
    before = [{file.split("photos/")[1] for file in source.files} for source in split_folder(photos, 0.3)]
    (tmp_path / "elsewhere").mkdir()
    photos = photos.rename(tmp_path / "elsewhere/photos")
    assert [{file.split("photos/")[1] for file in source.files} for source in split_folder(photos, 0.3)] == before


def test_a_class_that_is_not_split_is_named(photos):
    write_image(photos / "one/1.jpg", 8, 8)
    with pytest.raises(
        ValueError, match=r"class 'one' has 1 images, of which validation=0.3 holds out [01]; add images"
    ):
        split_folder(photos, 0.3)


def test_damage_that_headers_show_is_named_before_the_split(photos):
    (photos / "cat/00.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match="cat/00.jpg"):
        split_folder(photos, 0.3)
    assert sum(source.num_examples for source in split_folder(photos, 0.3, damage="skip")) == 40


def test_a_subset_keeps_files_labels_classes_and_policy():
    source = FileSource(["a.jpg", "b.jpg", "c.jpg"], [0, 1, 0], ("x", "y"), channels=1, damage="skip")
    for rows in (np.array([False, True, True]), np.array([1, 2])):
        part = subset(source, rows)
        assert part.files == ["b.jpg", "c.jpg"] and part.labels.tolist() == [1, 0]
        assert (part.class_names, part.channels, part.damage) == (source.class_names, 1, source.damage)
    with pytest.raises(ValueError, match="at least one example"):
        subset(source, np.zeros(3, bool))


# Of any source


def labelled(labels, **options):
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    return sources.ArraySource(images, labels, **options)


def numbers_of(source):
    return source.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("share", [0.1, 0.25, 0.9])
def test_the_share_of_each_class_is_held_out(share):
    labels = np.repeat([0, 1, 2, 3], [100, 40, 7, 1])
    train, test = sources.split(labelled(labels), share)
    assert sorted(numbers_of(train) + numbers_of(test)) == list(range(148))
    counts = np.bincount(test.labels, minlength=4)
    assert counts.tolist() == [min(round(share * of_class), of_class - 1) for of_class in (100, 40, 7, 1)]
    assert numbers_of(test) == sorted(numbers_of(test)) and set(train.labels) == {0, 1, 2, 3}
    np.testing.assert_array_equal(labels[numbers_of(train)], train.labels)


def test_the_seed_decides_what_is_held_out_and_every_example_may_be():
    labels = np.arange(60) % 3
    held = [numbers_of(sources.split(labelled(labels), seed=seed)[1]) for seed in range(60)]
    assert held[0] == numbers_of(sources.split(labelled(labels))[1]) and len(set(map(tuple, held))) == 60
    assert set(np.concatenate(held)) == set(range(60))


def test_numbers_weights_and_files_are_split_too():
    train, test = sources.split(labelled(np.linspace(0, 1, 20)).weighted(np.arange(20)))
    assert test.num_examples == 4 and test.sample_weight.tolist() == numbers_of(test)
    files = sources.BytesSource([b"a", b"b", b"c", b"d"], [0, 0, 1, 1])
    train, test = sources.split(files, 0.5)
    assert sorted(part.read(index).numpy() for part in (train, test) for index in (0, 1)) == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize(
    "share, message", [(1, "^share must be .* between 0 and 1, got 1"), (0.01, "got 0.01 of 20; take a larger one")]
)
def test_shares_that_hold_out_all_or_nothing_are_refused(share, message):
    with pytest.raises(ValueError, match=message):
        sources.split(labelled(np.arange(20) % 2), share)
