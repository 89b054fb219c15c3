"""Parts of the signatures; test_saved_model.py tests them whole."""

import pytest
import tensorflow as tf
from networks import tiny_network

from keras_mixsize.export.multi_size import MultiSizeNetwork, statistics_of_sizes
from keras_mixsize.export.preprocessing import Preprocessing
from keras_mixsize.export.signatures import Answer, Limits, make_signatures, nearest_index


@pytest.mark.parametrize(
    ("sides", "index"),
    [((16, 16), 0), ((20, 20), 0), ((21, 21), 1), ((24, 24), 1), ((12, 48), 1), ((9, 900), 2), ((1, 1), 0)],
)
def test_the_nearest_size_is_that_of_the_images_area(sides, index):
    assert int(nearest_index(tf.constant([16, 24, 48]), tf.constant(sides))) == index


def test_an_answer_names_the_likeliest_classes():
    answer = Answer(("cat", "dog", "fox"), top=2)(tf.math.log([[0.2, 0.3, 0.5]]), tf.constant([16]))
    assert answer["top_names"].numpy().tolist() == [[b"fox", b"dog"]]
    assert answer["top_labels"].numpy().tolist() == [[2, 1]]
    assert answer["probabilities"].numpy()[0].tolist() == pytest.approx([0.2, 0.3, 0.5])


@pytest.mark.parametrize("name", ["max_batch", "max_pixels"])
def test_limits_below_1_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Limits(**{name: 0})


def test_two_channels_have_no_signatures_of_files():
    model = tiny_network(channels=2)
    network = MultiSizeNetwork(model, statistics_of_sizes(model, None, [8], batches=1))
    answer = Answer(tuple("0123456789"), top=2)
    found = make_signatures(network, Preprocessing(), answer, Limits(), default_size=8)
    assert set(found) == {
        name + suffix for name in ("serving_default", "serve_8", "serve_at") for suffix in ("", "_uint8")
    }
