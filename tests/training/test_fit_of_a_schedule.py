"""One fit goes through all stages of a schedule, at the plan's steps and with one learning-rate schedule."""

import keras
import numpy as np
import pytest
from networks import compiled

import keras_mixsize as kms

SCHEDULE = kms.Schedule.parse("0.55*16x20x1:0.5,8x20x2:0.5; 0.45*24x10x1:1")
EPOCHS = 2  # of 19 steps; the second stage begins at 21, within the second epoch


@pytest.fixture
def train(small_arrays):
    """300 images under the schedule."""
    return kms.MixSizeDataset.from_arrays(*small_arrays, regime=SCHEDULE, epochs=EPOCHS, seed=7)


class Recorder(keras.callbacks.Callback):
    """Notes the learning rate before each step, and its number in the plan."""

    def __init__(self):
        super().__init__()
        self.rates, self.positions = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate.numpy()))
        self.positions.append(self.model.position)


def test_one_fit_trains_all_stages_with_one_rate_schedule_and_a_trace_for_each_bucket(network, train, tmp_path):
    model, recorder, steps = compiled(network), Recorder(), EPOCHS * train.steps_per_epoch
    rate = keras.optimizers.schedules.CosineDecay(0.1, steps)
    model.compile(keras.optimizers.SGD(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.warm_up(train)
    assert model.trace_count == 3
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = model.fit(train, epochs=EPOCHS, verbose=0, callbacks=[recorder, log]).history
    assert model.trace_count == 3 and recorder.positions == list(range(steps))
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(steps) / steps))
    np.testing.assert_allclose(recorder.rates, expected, rtol=1e-4, atol=1e-7)
    unseen = {name: np.isnan(history[name]).tolist() for name in ("loss_8", "loss_16", "loss_24")}
    assert unseen == {"loss_8": [False, False], "loss_16": [False, False], "loss_24": [True, False]}
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert "loss_24" in header.split(",") and [len(row.split(",")) for row in rows] == [len(header.split(","))] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "epochs must be those of the data's schedule, 2, because its stages are shares of all steps, got 1"),
        ({"epochs": 3}, "got 3; give MixSizeDataset the same epochs="),
        ({"epochs": 2, "steps_per_epoch": 5}, "steps_per_epoch must be those of the data's schedule, 19, got 5"),
    ],
)
def test_a_fit_of_another_length_is_refused(network, train, options, message):
    with pytest.raises(ValueError, match=message):
        compiled(network).fit(train, verbose=0, **options)


def test_a_single_regime_with_epochs_is_trained_for_any_number(network, small_arrays):
    data = kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(8, 100), epochs=5)
    model = compiled(network)
    model.fit(data, epochs=1, verbose=0)
    assert model.position == 3


def test_sizes_of_a_late_stage_must_suit_the_network(network, small_arrays):
    schedule = kms.Schedule.parse("0.5*16x20x1:1; 0.5*15x20x1:1")
    data = kms.MixSizeDataset.from_arrays(*small_arrays, regime=schedule, epochs=EPOCHS)
    with pytest.raises(ValueError, match="sizes must be multiples of 2, the stride of this model, got 15"):
        compiled(network).check(data)


def test_a_schedule_without_data_is_warmed_up_too(network):
    warmed = compiled(network).warm_up(kms.Schedule(((0.5, kms.Regime.fixed(8, 10)), (0.5, kms.Regime.fixed(8, 10)))))
    assert [measured.bucket for measured in warmed] == [kms.Bucket(8, 10)]
