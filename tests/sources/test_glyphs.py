"""The letters and digits in the package."""

import string

import numpy as np
import pytest

from keras_mixsize import sources


def test_every_class_is_in_both_splits_and_no_picture_is_empty():
    for split, count in [("train", 4000), ("test", 9300)]:
        source = sources.glyphs(split)
        assert source.images.shape == (count, 32, 32, 1) and source.images.dtype == np.uint8
        assert set(source.labels) == set(range(62)) and source.class_names[:3] == ("A", "B", "C")
        assert "".join(source.class_names) == string.ascii_uppercase + string.ascii_lowercase + string.digits
        assert source.images.any(axis=(1, 2, 3)).all()


def test_a_picture_shows_the_letter_that_its_label_names():
    source = sources.glyphs("train")
    means = {
        name: source.images[source.labels == label, ..., 0].mean(0) for label, name in enumerate(source.class_names)
    }
    ink = {name: mean.sum(axis=0) for name, mean in means.items()}  # by column
    assert ink["L"][:16].sum() > ink["L"][16:].sum() and ink["J"][:16].sum() < ink["J"][16:].sum()
    assert np.ptp(np.flatnonzero(ink["l"] > 0.2 * ink["l"].max())) < np.ptp(
        np.flatnonzero(ink["W"] > 0.2 * ink["W"].max())
    )


def test_no_test_picture_is_a_training_picture():
    train, test = ({image.tobytes() for image in sources.glyphs(split).images} for split in ("train", "test"))
    assert not train & test


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="split must be one of 'train', 'test', got 'validation'"):
        sources.glyphs("validation")
