"""Per-size metrics against NumPy."""

import keras
import numpy as np

from keras_mixsize.training.size_metrics import SizeLogs, SizeMetrics


def updated(sizes=(16, 32)):
    template = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    metrics = SizeMetrics(sizes, template)
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


def test_sizes_that_were_not_seen_are_nan():
    metrics, _ = updated(sizes=(16, 32, 48))
    unseen = {name for name, value in metrics.results().items() if np.isnan(value)}
    assert unseen == {"loss_48", "accuracy_48"}


def test_a_metric_with_a_vector_and_no_configuration_is_that_of_each_size():
    class NoConfig(keras.metrics.F1Score):
        def get_config(self):
            raise NotImplementedError

    rng, expected = np.random.default_rng(0), {}
    total = NoConfig(average=None, name="f1")
    total(np.eye(3)[[0]], np.eye(3, dtype="float32")[[0]])  # makes its variables
    metrics = SizeMetrics([16, 32, 48], total)
    for size in (16, 32):
        labels, outputs = np.eye(3)[rng.integers(0, 3, 20)], rng.random((20, 3)).astype("float32")
        metrics.update(size, np.float32(1), labels, outputs)
        answers, right = outputs.argmax(-1), labels.argmax(-1)
        counts = [((answers == k).sum(), (right == k).sum(), ((answers == k) & (right == k)).sum()) for k in range(3)]
        expected[size] = [2 * both / (answered + true) for answered, true, both in counts]
    for size in (16, 32):
        np.testing.assert_allclose(metrics.results()[f"f1_{size}"], expected[size], rtol=1e-6)
    assert np.isnan(metrics.results()["f1_48"]).tolist() == [True] * 3
    np.testing.assert_allclose(total.result(), [1, 0, 0], atol=1e-6)  # the total is another state


def test_an_epoch_starts_afresh_and_ends_in_the_logs():
    metrics, _ = updated()
    logs = {"loss": 1.0}
    callback = SizeLogs(metrics)
    callback.on_epoch_end(0, logs)
    assert set(logs) == {"loss", "loss_16", "accuracy_16", "loss_32", "accuracy_32"}
    callback.on_epoch_begin(1)
    assert np.isnan(list(metrics.results().values())).all()
