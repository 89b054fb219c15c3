"""Statistics of batch norm: what is put into a model, and running means against NumPy."""

import numpy as np
import pytest

from keras_mixsize.evaluation.statistics import RunningMeans, Statistics, get_statistics, set_statistics

WIDTHS, EPSILONS = (3, 2), (1e-3, 1e-5)


def of_batches(count, seed=0):
    """Return the statistics of some batches: means that scatter by 0.1, variances by a tenth of themselves."""
    rng = np.random.default_rng(seed)
    means, variances = rng.normal(0.5, 0.1, (count, 5)), rng.normal(2.0, 0.2, (count, 5))
    return np.stack([means, variances], axis=1)


def running(values):
    means = RunningMeans(WIDTHS, EPSILONS)
    for value in values:
        means.add(value)
    return means


def test_statistics_come_back_out_of_the_model(network):
    wanted = [Statistics(np.full(16, index, np.float32), np.full(16, 2.0, np.float32)) for index in range(2)]
    set_statistics(network, wanted)
    np.testing.assert_array_equal(get_statistics(network), wanted)


def test_statistics_of_another_number_of_layers_are_refused(network):
    with pytest.raises(ValueError, match="statistics must be for 2 BatchNormalization layers, got 1"):
        set_statistics(network, get_statistics(network)[:1])


def test_means_are_split_into_layers():
    values = of_batches(7)
    found = running(values).statistics()
    assert [len(layer.mean) for layer in found] == list(WIDTHS)
    np.testing.assert_allclose(np.concatenate(found, axis=1), values.mean(0), rtol=1e-6)


def test_the_error_is_the_standard_error_in_deviations():
    values = of_batches(50)
    means, variances = values[:, 0], values[:, 1]
    scale = variances.mean(0) + np.repeat(EPSILONS, WIDTHS)
    of_means = means.std(0, ddof=1) / np.sqrt(50) / np.sqrt(scale)
    of_deviations = variances.std(0, ddof=1) / np.sqrt(50) / (2 * scale)
    assert running(values).error == pytest.approx(np.sqrt(np.mean(of_means**2 + of_deviations**2)))


def test_the_error_is_what_other_batches_would_differ_by():
    found = np.array([np.concatenate(running(of_batches(40, seed)).statistics(), axis=1) for seed in range(200)])
    scale = 2.0
    spread = np.sqrt(np.mean(found[:, 0].var(0) / scale + found[:, 1].var(0) / (2 * scale) ** 2))
    assert running(of_batches(40)).error == pytest.approx(spread, rel=0.15)


def test_a_few_batches_say_nothing_of_their_error():
    assert running(of_batches(7)).error == np.inf
    assert running(of_batches(8)).error < 0.1


def test_batches_that_are_all_the_same_have_no_error():
    assert running(np.repeat(of_batches(1), 8, axis=0)).error == pytest.approx(0, abs=1e-6)


def test_no_batch_has_no_means():
    with pytest.raises(ValueError, match="at least one batch to calibrate with"):
        running([]).statistics()
