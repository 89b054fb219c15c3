"""What the library is for: a network trained at mixed sizes holds at sizes where a fixed one does not."""

import keras
import pytest

import keras_mixsize as kms


def accuracy_by_size(mode, fashion, test):
    keras.utils.set_random_seed(0)
    regime = kms.Regime.preset(f"small/{mode}")
    train = kms.MixSizeDataset.from_source(fashion, regime=regime, augmentation=kms.PadCropFlip(2), seed=0)
    model = kms.MixSizeModel.from_model(kms.models.build("resnet8", classes=10, channels=1), l2=1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"])
    costs = train.steps_per_epoch * regime.mean_cost
    model.fit(train, epochs=max(1, round(3 * 156 / costs)), verbose=0)
    report = kms.evaluate_sizes(model, test, [16, 32, 48], calibrate=train, batches=20, latency=False)
    return {row.size: row.best.value for row in report.rows}


@pytest.mark.slow
def test_mixed_sizes_hold_where_a_fixed_size_does_not_at_equal_cost(fashion):
    test = kms.sources.fashion_mnist("test")
    fixed, mixed = (accuracy_by_size(mode, fashion, test) for mode in ("baseline", "b+"))
    assert mixed[16] > fixed[16] + 0.1
    assert min(mixed.values()) > min(fixed.values()) + 0.1
    assert mixed[32] > fixed[32] - 0.1
