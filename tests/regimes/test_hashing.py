"""Hashing and the keyed shuffle against plain integers and against what a fair shuffle would do."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.regimes.hashing import Grid, fold, mix, scramble, seed_key, shuffled

COUNTS = [1, 2, 3, 4, 5, 7, 8, 9, 10, 16, 17, 97, 100, 101, 255, 256, 257, 997, 5000, 99_991]
FEW = [2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 30]
MANY_KEYS = 20_000


def lowbias32(word):
    """Chris Wellons' hash in plain Python integers."""
    word ^= word >> 16
    word = word * 0x7FEB352D % 2**32
    word ^= word >> 15
    word = word * 0x846CA68B % 2**32
    return word ^ word >> 16


def random_words(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**32, count, dtype=np.uint32)


def key_of(number):
    return random_words(1, seed=number)


def orders(count, keys=MANY_KEYS):
    """Return where each of `keys` shuffles puts each index: `[keys, count]`."""
    return shuffled(np.broadcast_to(np.arange(count), (keys, count)), count, random_words(keys)[:, None])


def surprise(counts):
    """Return how many standard deviations the chi-square of equally likely counts lies above its mean."""
    expected, freedom = counts.sum() / counts.size, counts.size - 1
    return (np.sum((counts - expected) ** 2) / expected - freedom) / math.sqrt(2 * freedom)


def test_mix_equals_lowbias32_in_plain_integers():
    words = np.concatenate([np.array([0, 1, 2**16, 2**31, 2**32 - 1], np.uint32), random_words(1000)])
    assert mix(words).tolist() == [lowbias32(word) for word in words.tolist()]


@pytest.mark.parametrize("stride", [1, 2**16, 0x9E3779B9])
def test_mix_has_no_collisions(stride):
    words = np.arange(2**16, dtype=np.uint32) * np.uint32(stride)
    assert np.unique(mix(words)).size == 2**16


def test_each_input_bit_flips_about_half_of_the_output_bits():
    words = random_words(4096)
    flips = mix(words[:, None] ^ (np.uint32(1) << np.arange(32, dtype=np.uint32))) ^ mix(words)[:, None]
    share = np.mean(flips[:, :, None] >> np.arange(32, dtype=np.uint32) & 1, axis=0)
    np.testing.assert_allclose(share, 0.5, atol=0.06)


def test_a_key_depends_on_the_order_of_its_numbers():
    first = key_of(0)
    assert fold(first, 1, 2) != fold(first, 2, 1)


def test_keys_of_different_numbers_do_not_collide():
    keys = fold(key_of(0), np.arange(200, dtype=np.uint32)[:, None], np.arange(200, dtype=np.uint32))
    assert np.unique(keys).size > 40_000 - 5  # 40,000 draws of 2^32 collide 0.2 times on average


def test_a_key_of_zeros_is_not_zero():
    assert fold(np.zeros(1, np.uint32), 0, 0) != 0


@pytest.mark.parametrize("seed", [-1, True, False, 1.0, np.float64(2), "1", None])
def test_a_seed_that_is_no_natural_number_is_refused(seed):
    with pytest.raises(ValueError, match="seed must be an integer at or above 0, got "):
        seed_key(seed)


def test_the_seed_error_shows_the_value():
    with pytest.raises(ValueError, match="got -7"):
        seed_key(-7)


def test_seeds_give_different_keys():
    keys = [int(seed_key(seed)[0]) for seed in [*range(1000), 2**32, 2**32 + 1, 2**70]]
    assert len(set(keys)) == len(keys)


def test_numpy_and_python_seeds_give_the_same_key():
    np.testing.assert_array_equal(seed_key(np.int64(5)), seed_key(5))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("key", [0, 1])
def test_shuffling_is_a_permutation(count, key):
    order = shuffled(np.arange(count), count, key_of(key))
    np.testing.assert_array_equal(np.sort(order), np.arange(count))


@pytest.mark.parametrize("count", [2**31, 2**31 - 1, 2**30 + 7])
def test_shuffling_large_ranges_stays_inside_and_does_not_collide(count):
    index = np.unique(np.random.default_rng(0).integers(0, count, 50_000))
    order = shuffled(index, count, key_of(0))
    assert order.min() >= 0 and order.max() < count and np.unique(order).size == index.size


@pytest.mark.parametrize("count", [3, 97, 5000])
def test_shuffling_in_pieces_equals_shuffling_at_once(count):
    index = np.random.default_rng(0).permutation(count)
    pieces = [shuffled(piece, count, key_of(0)) for piece in np.array_split(index, 3)]
    np.testing.assert_array_equal(np.concatenate(pieces), shuffled(np.arange(count), count, key_of(0))[index])


def test_each_index_may_have_a_key_of_its_own():
    together = orders(10, keys=50)
    alone = [shuffled(np.arange(10), 10, key[None]) for key in random_words(50)]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("count", [1, 2, 5, 97, 10_007])
def test_tensorflow_scrambles_as_numpy_does(count):
    index = np.arange(count, dtype=np.uint32)
    tensor = scramble(tf.constant(index), Grid.of(count), tf.constant(key_of(0)))
    np.testing.assert_array_equal(tensor, scramble(index, Grid.of(count), np.broadcast_to(key_of(0), index.shape)))


@pytest.mark.parametrize("count", COUNTS)
def test_one_pass_permutes_a_grid_less_than_a_row_larger(count):
    rows = math.ceil(math.sqrt(count))
    grid = rows * math.ceil(count / rows)
    index = np.arange(grid, dtype=np.uint32)
    np.testing.assert_array_equal(np.sort(scramble(index, Grid.of(count), np.broadcast_to(key_of(0), grid))), index)
    assert grid - count < rows


@pytest.mark.parametrize("count", COUNTS)
def test_nothing_is_fed_back_exactly_when_the_grid_is_full(count):
    rows = math.ceil(math.sqrt(count))
    assert Grid.of(count).is_full == (rows * math.ceil(count / rows) == count)


@pytest.mark.parametrize("count", [100, 5000])
def test_keys_give_different_orders(count):
    several = [shuffled(np.arange(count), count, key_of(number)).tolist() for number in range(20)]
    assert len(set(map(tuple, several))) == 20


@pytest.mark.parametrize("count", FEW)
def test_every_index_is_equally_likely_at_every_place(count):
    order = orders(count)
    assert max(surprise(np.bincount(order[:, index], minlength=count)) for index in range(count)) < 6


@pytest.mark.parametrize("count", FEW[1:])
def test_every_ordered_pair_of_places_is_equally_likely(count):
    order = orders(count)
    off_diagonal = ~np.eye(count, dtype=bool)
    first, second = np.nonzero(off_diagonal)
    tables = (np.bincount(order[:, i] * count + order[:, j], minlength=count**2) for i, j in zip(first, second))
    assert max(surprise(table.reshape(count, count)[off_diagonal]) for table in tables) < 6


@pytest.mark.parametrize("count", [997, 50_000])
def test_neighbours_are_not_kept_together(count):
    blocks = 16
    tables = np.zeros((blocks, blocks))
    for number in range(-(-200_000 // count)):
        block = shuffled(np.arange(count), count, key_of(number)) * blocks // count
        np.add.at(tables, (block[:-1], block[1:]), 1)
    assert surprise(tables) < 6


@pytest.mark.parametrize("count", [3, 10, 97])
def test_a_shuffle_leaves_one_index_in_place_on_average(count):
    fixed = np.sum(orders(count) == np.arange(count), axis=1)
    assert abs(np.mean(fixed) - 1) < 5 / math.sqrt(MANY_KEYS)  # mean and variance of a fair shuffle are 1
