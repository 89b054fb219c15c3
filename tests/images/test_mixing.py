"""mixup and cutmix against the papers' definitions, and that they repeat."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize.images import mixing
from keras_mixsize.images.mixing import CutMix, MixUp, OneOf


def some_batch(count=6, size=8):
    draws = np.random.default_rng(0)
    return tf.constant(draws.random((count, size, size, 3), np.float32)), tf.constant(draws.integers(0, 5, count))


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 4.0])
def test_shares_follow_the_beta_distribution(alpha):
    shares = mixing.draw_shares(tf.constant([3, 4]), 40_000, alpha).numpy()
    assert shares.min() >= 0 and shares.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))  # of Beta(alpha, alpha)
    assert abs(shares.mean() - 0.5) < 0.01 and abs(shares.var() / variance - 1) < 0.03
    counts, _ = np.histogram(shares, [0, 0.25, 0.5, 0.75, 1])
    reference, _ = np.histogram(np.random.default_rng(0).beta(alpha, alpha, 400_000), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(counts / 40_000, reference / 400_000, atol=0.01)


def test_mixup_is_the_weighted_mean_of_images_and_labels():
    images, labels = some_batch()
    seed = tf.constant([1, 2])
    mixed, soft = MixUp(classes=5, alpha=1.0)(images, labels, seed)
    shares, partners = mixing.draw_shares(seed, 6, 1.0).numpy(), mixing.draw_partners(seed, 6).numpy()
    assert sorted(partners) == list(range(6)) and len(set(shares)) == 6
    for row, (share, partner) in enumerate(zip(shares, partners)):
        np.testing.assert_allclose(mixed[row], share * images[row] + (1 - share) * images[partner], atol=1e-6)
        expected = share * np.eye(5)[labels[row]] + (1 - share) * np.eye(5)[labels[partner]]
        np.testing.assert_allclose(soft[row], expected, atol=1e-6)


def test_cutmix_pastes_a_box_and_mixes_labels_by_its_area():
    images, _ = some_batch(40, 16)
    labels = tf.range(40)
    mixed, soft = CutMix(classes=40)(images, labels, tf.constant([1, 2]))
    partners = mixing.draw_partners(tf.constant([1, 2]), 40).numpy()
    kept = (mixed.numpy() == images.numpy()).all(axis=-1)
    for row in range(40):
        rows, columns = np.nonzero(~kept[row])
        if partners[row] == row or not rows.size:
            continue
        box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        assert not kept[row][box].any()  # all of a rectangle
        np.testing.assert_array_equal(mixed[row].numpy()[box], images[partners[row]].numpy()[box])
        np.testing.assert_allclose(soft[row, row], kept[row].mean(), atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(soft, axis=1), np.ones(40), atol=1e-5)


def test_cutmix_boxes_have_the_size_that_the_share_asks_for():
    side = tf.fill([20_000], 0.5)
    covered = mixing._spans(tf.constant([5, 6]), side, tf.constant(64)).numpy()
    lengths = covered.sum(axis=1)
    assert lengths.max() == 32 and abs(lengths.mean() - 28) < 0.2  # half of the boxes near a border lose up to a half
    assert abs(covered[:, :32].mean() - covered[:, 32:].mean()) < 0.02


@pytest.mark.parametrize("change", [MixUp(5), CutMix(5)])
def test_soft_labels_may_come_in(change):
    images, labels = some_batch()
    _, hard = change(images, labels, tf.constant([1, 2]))
    _, soft = change(images, tf.one_hot(labels, 5), tf.constant([1, 2]))
    np.testing.assert_allclose(hard, soft)


def test_one_of_chooses_per_batch():
    images, labels = some_batch()
    choose = OneOf(MixUp(5), CutMix(5))
    seen = set()
    for number in range(20):
        mixed = choose(images, labels, tf.constant([number, 0]))[0].numpy()
        options = [change(images, labels, tf.constant([number, 0]))[0].numpy() for change in choose.maps]
        seen.add(next(index for index, option in enumerate(options) if np.array_equal(option, mixed)))
    assert seen == {0, 1}


@pytest.mark.parametrize("change", [MixUp(10), CutMix(10), OneOf(MixUp(10), CutMix(10))])
def test_batches_repeat_for_any_number_of_parallel_calls(small_arrays, regime, change):
    runs = []
    for calls in (1, 8):
        data = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, batch_map=change, parallel_calls=calls)
        runs.append([tuple(map(np.asarray, batch)) for batch in data.take(4)])
    for (images, labels), (again, same) in zip(*runs):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, same)
        assert labels.shape == (len(images), 10) and labels.dtype == np.float32
        # The copies of an image are B rows apart, and each is mixed in its own way
        assert not np.array_equal(images[0], images[len(images) // 2])


def test_a_model_trains_on_soft_labels(small_arrays, regime):
    data = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, batch_map=MixUp(10), seed=7)
    model = kms.MixSizeModel.from_model(tiny_network())
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss, metrics=["categorical_accuracy"])
    history = model.fit(data, epochs=2, steps_per_epoch=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("kind", [MixUp, CutMix])
def test_what_makes_no_sense_is_refused(kind):
    with pytest.raises(ValueError, match="alpha must be above 0, got 0"):
        kind(10, alpha=0)
    with pytest.raises(ValueError, match="classes must be an integer of at least 1, got 0"):
        kind(0)
