"""Orders of examples against plain counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mixsize.regimes import Balanced, Once, Plan, Regime, Weighted
from keras_mixsize.regimes.hashing import seed_key
from keras_mixsize.regimes.order import NUMPY

KEY = seed_key(3)
RNG = np.random.default_rng(1)
LABELS = RNG.choice([0, 1, 4, 9], 200, p=[0.6, 0.3, 0.08, 0.02])  # classes 2, 3, 5 to 8 have no examples
WEIGHTS = RNG.exponential(size=150) ** 2 * (RNG.random(150) < 0.8)
ORDERS = {"once": Once(150), "balanced": Balanced(LABELS), "weighted": Weighted(WEIGHTS)}
modest = settings(max_examples=25, deadline=None)
numbers = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=40).filter(any)


def draw(order, count, first=0):
    return order.draw(np.arange(first, first + count), KEY, NUMPY)


# Balanced


@modest
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 2**40))
def test_each_class_comes_up_once_in_every_round(labels, first_round):
    order, classes = Balanced(np.array(labels)), sorted(set(labels))
    examples, _ = draw(order, 20 * len(classes), first_round * len(classes))
    rounds = np.array(labels)[examples].reshape(20, -1)
    assert (np.sort(rounds) == classes).all()


def test_every_example_of_a_class_comes_up_once_before_any_comes_up_again():
    examples, turns = draw(ORDERS["balanced"], 4 * 400)
    for label in (0, 1, 4, 9):
        members = np.flatnonzero(label == LABELS)
        of_class = examples[LABELS[examples] == label]
        whole = of_class[: len(of_class) // len(members) * len(members)].reshape(-1, len(members))
        assert len(whole) > 2 and (np.sort(whole) == members).all()
        np.testing.assert_array_equal(turns[LABELS[examples] == label], np.arange(len(of_class)) // len(members))


def test_rounds_and_turns_have_orders_of_their_own():
    examples, _ = draw(ORDERS["balanced"], 4 * 2000)
    assert len(set(map(tuple, LABELS[examples].reshape(-1, 4).tolist()))) == 24
    rare = examples[LABELS[examples] == 9].reshape(-1, np.count_nonzero(LABELS == 9))
    assert len(set(map(tuple, rare.tolist()))) > 5


# Weighted


@modest
@given(numbers)
def test_an_example_comes_up_in_each_pass_as_its_weight_says(weights):
    order, count = Weighted(np.array(weights)), len(weights)
    shares = np.array(weights) / np.sum(weights) * count
    for number in range(5):
        counts = np.bincount(draw(order, count, number * count)[0], minlength=count)
        assert (np.abs(counts - shares) < 2).all()
        assert not counts[np.array(weights) == 0].any()


def test_over_many_passes_the_shares_are_the_weights():
    passes, count = 4000, len(WEIGHTS)
    counts = np.bincount(draw(ORDERS["weighted"], passes * count)[0], minlength=count)
    expected = WEIGHTS / WEIGHTS.sum() * count * passes
    assert (np.abs(counts - expected) < 5 * np.sqrt(passes / 2) + 1e-9 * expected).all()  # two parts that end in others


@pytest.mark.parametrize("weight", [1, 0.1, 3e7])
def test_equal_weights_are_each_example_once(weight):
    stream = np.arange(450)
    equal = Weighted(np.full(150, weight))
    np.testing.assert_array_equal(equal.draw(stream, KEY, NUMPY)[0], Once(150).draw(stream, KEY, NUMPY)[0])


def test_zero_weight_leaves_an_example_out_wherever_it_stands():
    for weights in ([0, 1, 0, 2, 0], [0.1] * 9 + [0] * 91, [0] * 50 + [1e-9]):
        examples, _ = draw(Weighted(np.array(weights)), 3000)
        assert set(examples) == set(np.flatnonzero(weights))


# All


@pytest.mark.parametrize("name", ORDERS)
def test_an_example_and_its_turn_are_a_draw_of_their_own(name):
    pairs = list(zip(*(part.tolist() for part in draw(ORDERS[name], 5000))))
    assert len(set(pairs)) == len(pairs)  # or two copies of an image would be augmented alike


@pytest.mark.parametrize("name", ORDERS)
def test_a_position_does_not_depend_on_others(name):
    whole = draw(ORDERS[name], 700)
    for position in (0, 149, 150, 599):
        assert [int(part[0]) for part in draw(ORDERS[name], 1, position)] == [int(part[position]) for part in whole]


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("workers", [2, 3])
def test_slices_of_all_workers_are_the_batch_at_any_step(name, workers):
    order = ORDERS[name]
    whole = Plan(Regime.parse("16x7x1:0.5,24x5x2:0.5"), order.num_examples, seed=2, order=order)
    shards = [whole.shard(worker, workers) for worker in range(workers)]
    for step in (0, 31, 10_000):
        together = np.concatenate([shard.at(step).indices for shard in shards])
        np.testing.assert_array_equal(together, whole.at(step).indices)


def test_the_fingerprint_covers_the_order():
    regime = Regime.fixed(8, 8)
    orders = [None, Weighted(np.ones(200)), Weighted(1 + np.arange(200)), Balanced(LABELS), Balanced(LABELS[::-1])]
    plans = [Plan(regime, 200, order=order) for order in orders]
    assert len({plan.fingerprint() for plan in plans}) == len(plans)
    assert Plan(regime, 200, order=Balanced(LABELS.astype(np.int32))).fingerprint() == plans[3].fingerprint()
    assert Plan(regime, 200, order=Once(200)).fingerprint() == plans[0].fingerprint()
    assert plans[3].with_regime(Regime.fixed(16, 4)).order is plans[3].order
    assert "sampling='shuffled, balanced'" in repr(plans[3]) and "sampling='shuffled'" in repr(plans[0])


# What is refused


@pytest.mark.parametrize(
    "weights, message",
    [
        ([1, -2], "at or above 0, got -2 at index 1"),
        ([1, np.nan], "at or above 0, got nan at index 1"),
        ([0, 0, 0], "one above 0, got 3 times 0"),
        ([[1, 2]], r"a number for each example, got int64 \(1, 2\)"),
        (["a"], "a number for each example, got <U1"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, message):
    with pytest.raises(ValueError, match=f"sampling_weights must (be|hold) {message}"):
        Weighted(np.array(weights))


@pytest.mark.parametrize("labels", [np.eye(3), np.array([0.5, 1]), np.array([], int)])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(ValueError, match="'balanced' needs one class for each example, got labels .*sampling_weights"):
        Balanced(labels)


def test_an_order_of_other_examples_is_refused():
    with pytest.raises(ValueError, match="order must be of the 100 examples, got one of 150"):
        Plan(Regime.fixed(8, 8), 100, order=Once(150))
