"""Weights for parts against the losses of Keras on all rows."""

import keras
import numpy as np
import pytest

from keras_mixsize.training.reductions import losses_of_outputs, sums_for_parts, weights_for_parts

LABELS, OUTPUTS = np.random.default_rng(0).random((2, 8, 3)).astype("float32")
WEIGHTS = np.arange(8, dtype="float32")


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["no weights", "weights"])
@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size", "mean", "mean_with_sample_weight"])
def test_the_mean_of_the_parts_is_the_loss_of_all_rows(reduction, weights):
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    given = None if weights is None else [weights]
    (of_parts,) = weights_for_parts([loss], given, rows=8, parts=4)
    with sums_for_parts([loss], given):
        rows = [slice(low, low + 2) for low in range(0, 8, 2)]
        parts = [loss(LABELS[r], OUTPUTS[r], None if of_parts is None else of_parts[r]) for r in rows]
    assert loss.reduction == reduction
    np.testing.assert_allclose(np.mean(parts), loss(LABELS, OUTPUTS, weights), rtol=1e-6)


def test_losses_are_found_for_outputs_however_they_are_given():
    assert losses_of_outputs("mse", ["a", "b"]) == ["mse", "mse"]
    assert losses_of_outputs(["mse", None], ["a", "b"]) == ["mse", None]
    assert losses_of_outputs({"b": "mse"}, ["a", "b"]) == [None, "mse"]
