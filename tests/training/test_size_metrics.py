"""Per-size metrics against NumPy."""

import keras
import numpy as np

from keras_mixsize.training.size_metrics import SizeLogs, SizeMetrics


def updated(sizes=(16, 32)):
    template = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    metrics = SizeMetrics(sizes, [template])
    rng = np.random.default_rng(0)
    batches = {16: [], 32: []}
    for size, count in [(16, 8), (32, 4), (16, 2), (99, 3)]:
        labels, outputs, loss = rng.integers(0, 5, count), rng.normal(size=(count, 5)).astype("float32"), rng.random()
        metrics.update(size, np.float32(loss), labels, outputs)
        if size in batches:
            batches[size].append((count, loss, (outputs.argmax(-1) == labels).sum()))
    return metrics, batches


def test_each_size_has_its_own_loss_and_accuracy():
    metrics, batches = updated()
    results = metrics.results()
    for size, rows in batches.items():
        count = sum(row[0] for row in rows)
        np.testing.assert_allclose(results[f"loss_{size}"], sum(n * loss for n, loss, _ in rows) / count, rtol=1e-6)
        np.testing.assert_allclose(results[f"accuracy_{size}"], sum(row[2] for row in rows) / count, rtol=1e-6)


def test_sizes_that_were_not_seen_are_left_out():
    metrics, _ = updated(sizes=(16, 32, 48))
    assert set(metrics.results()) == {"loss_16", "accuracy_16", "loss_32", "accuracy_32"}


def test_an_epoch_starts_afresh_and_ends_in_the_logs():
    metrics, _ = updated()
    logs = {"loss": 1.0}
    callback = SizeLogs(metrics)
    callback.on_epoch_end(0, logs)
    assert set(logs) == {"loss", "loss_16", "accuracy_16", "loss_32", "accuracy_32"}
    callback.on_epoch_begin(1)
    assert metrics.results() == {}
