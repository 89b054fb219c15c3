"""The loss against Keras's own on one-hot labels."""

import keras
import numpy as np
import pytest

from keras_mixsize.recipes import SmoothedCrossEntropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_smoothing_equals_kerass_on_one_hot_labels(smoothing):
    logits = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 4, 0])
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    ours = SmoothedCrossEntropy(smoothing)
    one_hot = np.eye(5, dtype=np.float32)[labels]
    assert float(ours(labels, logits)) == pytest.approx(float(expected(one_hot, logits)), rel=1e-5)
    assert SmoothedCrossEntropy.from_config(ours.get_config()).label_smoothing == smoothing


def test_a_share_of_label_smoothing_out_of_range_is_refused():
    with pytest.raises(ValueError, match="label_smoothing must be a share"):
        SmoothedCrossEntropy(1.0)
