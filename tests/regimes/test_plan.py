"""Plans against exact apportionment, plain counting of samples, and other workers and processes."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from regime_cases import largest_remainder, step_quotas

import keras_mixsize
from keras_mixsize import Bucket, Plan, Regime
from keras_mixsize.regimes import plan as plan_module

EXAMPLES = {"cifar": 50_000, "imagenet144": 1_281_167, "imagenet224": 1_281_167}
MIXED = [f"{family}/{mode}" for family in EXAMPLES for mode in ("b+", "d+", "bd+")]
SAMPLING = ("shuffled", "independent")
UNEVEN = Regime.parse("16x7x1:0.5,24x5x2:0.25,32x2x1:0.25")
modest = settings(max_examples=25, deadline=None)


def make(name="cifar/b+", num_examples=2000, **options):
    return Plan(Regime.preset(name), num_examples=num_examples, **options)


def counts_by_epoch(plan, epochs):
    order = plan.buckets(np.arange(epochs * plan.steps_per_epoch)).reshape(epochs, -1)
    return np.stack([np.bincount(epoch, minlength=len(plan.regime.buckets)) for epoch in order])


def stream(plan, samples):
    """Return the first so many indices and passes that the plan's steps take, one step after the other."""
    indices, passes = [], []
    step = 0
    while sum(map(len, indices)) < samples:
        drawn = plan.at(step)
        indices.append(drawn.indices)
        passes.append(drawn.passes)
        step += 1
    return np.concatenate(indices)[:samples], np.concatenate(passes)[:samples]


@st.composite
def plans(draw, sampling=SAMPLING):
    batches = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    weights = draw(st.lists(st.integers(1, 9), min_size=len(batches), max_size=len(batches)))
    buckets = [Bucket(8, b, 1, w / sum(weights)) for b, w in zip(batches, weights, strict=True)]
    return Plan(
        Regime(tuple(buckets), share=draw(st.sampled_from(["steps", "samples"]))),
        num_examples=draw(st.integers(max(batches), 120)),
        seed=draw(st.integers(0, 2**40)),
        sampling=draw(st.sampled_from(sampling)),
    )


def same_step(one, other):
    fields = ("step", "epoch", "bucket", "bucket_index", "first_sample")
    return all(getattr(one, field) == getattr(other, field) for field in fields) and all(
        np.array_equal(getattr(one, field), getattr(other, field)) for field in ("indices", "passes")
    )


# Buckets


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("share", ["steps", "samples"])
def test_an_epoch_shares_its_steps_by_largest_remainder(name, share):
    regime = Regime.preset(name, share=share)
    plan = Plan(regime, num_examples=EXAMPLES[name.split("/")[0]])
    assert counts_by_epoch(plan, 1)[0].tolist() == largest_remainder(step_quotas(regime, plan.steps_per_epoch))


@modest
@given(plans(sampling=["shuffled"]))
def test_no_bucket_is_a_whole_step_off_its_share(plan):
    quotas = step_quotas(plan.regime, plan.steps_per_epoch)
    assume(min(quotas) >= 1)
    assert all(abs(count - quota) < 1 for count, quota in zip(counts_by_epoch(plan, 1)[0], quotas, strict=True))


@modest
@given(plans(sampling=["shuffled"]))
def test_every_epoch_has_the_same_counts(plan):
    counts = counts_by_epoch(plan, 5)
    assert (counts == counts[0]).all() and counts[0].sum() == plan.steps_per_epoch


@pytest.mark.parametrize("num_examples", [8, 30, 100])
def test_even_a_rare_bucket_has_a_step_in_every_epoch(num_examples):
    plan = Plan(Regime.parse("16x8:0.499,24x8:0.5,32x8:0.001"), num_examples=num_examples)
    assert counts_by_epoch(plan, 3).min() == 1


def test_epochs_have_orders_of_their_own():
    plan = make(num_examples=50_000)
    orders = plan.buckets(np.arange(5 * plan.steps_per_epoch)).reshape(5, -1)
    assert len(set(map(tuple, orders.tolist()))) == 5


def test_buckets_are_mixed_within_an_epoch():
    plan = make(num_examples=50_000)
    order = plan.buckets(np.arange(plan.steps_per_epoch))
    repeats = np.mean(order[1:] == order[:-1])
    shares = np.bincount(order) / plan.steps_per_epoch
    assert repeats == pytest.approx(np.sum(shares**2), abs=5 * np.sqrt(0.25 / len(order)))


@pytest.mark.parametrize("share", ["steps", "samples"])
def test_independent_steps_use_buckets_as_often_as_their_shares_say(share):
    regime = Regime.preset("cifar/b+", share=share)
    plan = Plan(regime, num_examples=50_000, sampling="independent")
    steps = 40_000
    quotas = np.array(step_quotas(regime, steps), float)
    counts = np.bincount(plan.buckets(np.arange(steps)), minlength=4)
    assert (np.abs(counts - quotas) < 5 * np.sqrt(quotas * (1 - quotas / steps))).all()


def test_independent_epochs_have_counts_of_their_own():
    assert len(set(map(tuple, counts_by_epoch(make(num_examples=50_000, sampling="independent"), 5).tolist()))) == 5


@pytest.mark.parametrize("sampling", SAMPLING)
def test_all_buckets_at_once_are_those_of_the_single_steps(sampling):
    plan = make(sampling=sampling)
    steps = np.arange(3 * plan.steps_per_epoch)
    assert plan.buckets(steps).tolist() == [plan.at(step).bucket_index for step in steps]


@pytest.mark.parametrize("sampling", SAMPLING)
def test_buckets_have_the_shape_of_the_steps(sampling):
    plan = make(sampling=sampling)
    np.testing.assert_array_equal(plan.buckets(np.arange(12).reshape(3, 4)).ravel(), plan.buckets(np.arange(12)))


# Samples


@modest
@given(plans())
def test_every_pass_sees_each_example_once(plan):
    indices, _ = stream(plan, 4 * plan.num_examples)
    passes = np.sort(indices.reshape(4, plan.num_examples), axis=1)
    np.testing.assert_array_equal(passes, np.broadcast_to(np.arange(plan.num_examples), passes.shape))


@modest
@given(plans())
def test_a_sample_knows_its_pass(plan):
    _, passes = stream(plan, 4 * plan.num_examples)
    np.testing.assert_array_equal(passes, np.repeat(np.arange(4), plan.num_examples))


@modest
@given(plans())
def test_nothing_is_dropped_where_an_epoch_ends(plan):
    steps = [plan.at(step) for step in range(3 * plan.steps_per_epoch + 1)]
    taken = np.cumsum([0, *(len(step.indices) for step in steps[:-1])])
    assert [step.first_sample for step in steps] == taken.tolist()


@modest
@given(plans())
def test_a_step_takes_its_buckets_batch(plan):
    step = plan.at(plan.steps_per_epoch)
    assert step.bucket == plan.regime.buckets[step.bucket_index] and step.indices.shape == (step.bucket.batch,)


def test_passes_have_orders_of_their_own():
    indices, _ = stream(make(), 4 * 2000)
    assert len(set(map(tuple, indices.reshape(4, 2000).tolist()))) == 4


def test_samples_have_the_shape_of_their_positions():
    positions = np.arange(5990, 6014).reshape(2, 3, 4)
    np.testing.assert_array_equal(make().samples(positions).ravel(), make().samples(positions.ravel()))


def test_indices_are_int64():
    step = make().at(0)
    assert step.indices.dtype == step.passes.dtype == np.int64


@pytest.mark.parametrize("position", [0, 1, 7, 8, 9, 100])
def test_a_step_knows_its_epoch(position):
    plan = make()
    assert plan.at(position).epoch == position // plan.steps_per_epoch


# One function of the seed and the step


@pytest.mark.parametrize("sampling", SAMPLING)
def test_a_step_does_not_depend_on_earlier_calls(sampling):
    used = make(sampling=sampling)
    steps = np.random.default_rng(0).permutation(12 * used.steps_per_epoch)[:60]  # more epochs than are cached
    assert all(same_step(used.at(step), make(sampling=sampling).at(step)) for step in steps)


def test_numpy_and_python_steps_are_the_same():
    assert same_step(make().at(np.int32(20)), make().at(20))


@pytest.mark.parametrize("sampling", SAMPLING)
def test_seeds_give_different_buckets(sampling):
    steps = np.arange(100)
    orders = [make(sampling=sampling, seed=seed, num_examples=50_000).buckets(steps) for seed in range(10)]
    assert len(set(map(tuple, orders))) == 10


def test_seeds_give_different_samples():
    assert len({tuple(make(seed=seed).at(0).indices) for seed in range(10)}) == 10


def test_a_run_of_450_000_steps_needs_no_replay():
    plan = make("imagenet144/d+", EXAMPLES["imagenet144"])
    step = plan.at(449_999)
    earlier = plan.regime.buckets[plan.buckets(np.array([449_998]))[0]]
    assert step.first_sample == plan.at(449_998).first_sample + earlier.batch


def test_a_run_of_450_000_steps_has_the_right_counts_in_little_memory():
    plan = make("imagenet144/d+", EXAMPLES["imagenet144"])
    tracemalloc.start()
    order = plan.buckets(np.arange(450_000))
    plan.at(449_999)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    epochs = 450_000 // plan.steps_per_epoch
    expected = largest_remainder(step_quotas(plan.regime, plan.steps_per_epoch))
    whole = order[: epochs * plan.steps_per_epoch].reshape(epochs, -1)
    assert all(np.bincount(epoch, minlength=4).tolist() == expected for epoch in whole)
    assert peak < 64e6


@pytest.mark.parametrize("sampling", SAMPLING)
def test_a_step_after_a_million_follows_all_samples_before_it(sampling):
    plan = make(sampling=sampling)
    steps = 2**20 + 100
    batches = np.array([bucket.batch for bucket in plan.regime.buckets])
    assert plan.at(steps).first_sample == batches[plan.buckets(np.arange(steps))].sum()


def test_the_sums_of_independent_steps_are_made_once_and_those_of_all_steps(monkeypatch):
    monkeypatch.setattr(plan_module, "_CHUNK", 64)
    plan = make(sampling="independent")
    ends = np.concatenate([[0], np.cumsum(plan.batches[plan.buckets(np.arange(1000))])])
    for step in (700, 3, 64, 128, 999, 65):  # in any order, at and beside where chunks meet
        assert make(sampling="independent").at(step).first_sample == plan.at(step).first_sample == ends[step]
    drawn = []
    draw = plan._draw_words
    monkeypatch.setattr(plan, "_draw_words", lambda steps: drawn.append(len(steps)) or draw(steps))
    plan._samples_before(990)
    assert drawn == [990 % 64]


# Workers


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("field", ["indices", "passes"])
def test_slices_of_all_workers_are_the_global_batch(workers, sampling, field):
    whole = Plan(UNEVEN, num_examples=50, sampling=sampling)
    shards = [whole.shard(worker, workers) for worker in range(workers)]
    for step in range(3 * whole.steps_per_epoch):
        together = np.concatenate([getattr(shard.at(step), field) for shard in shards])
        np.testing.assert_array_equal(together, getattr(whole.at(step), field))


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_workers_agree_on_the_bucket(workers):
    shards = [make().shard(worker, workers) for worker in range(workers)]
    for step in range(20):
        drawn = [shard.at(step) for shard in shards]
        assert len({(each.bucket, each.epoch, each.first_sample) for each in drawn}) == 1


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_batches_are_split_as_evenly_as_can_be(workers):
    whole = Plan(UNEVEN, num_examples=50)
    for step in range(10):
        sizes = [len(whole.shard(worker, workers).at(step).indices) for worker in range(workers)]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_workers_agree_on_the_pass_of_a_step_that_straddles_two(workers):
    whole = Plan(Regime.fixed(16, 8), num_examples=10)  # step 1 takes samples 8 to 15: two of the first pass
    assert [whole.shard(worker, workers).at(1).pass_index for worker in range(workers)] == [0] * workers


def test_a_worker_without_samples_knows_the_pass():
    whole = Plan(Regime.fixed(16, 1), num_examples=10)
    assert [whole.shard(worker, 2).at(25).pass_index for worker in range(2)] == [2, 2]


# Fingerprints


@pytest.mark.parametrize("sampling", SAMPLING)
def test_equal_plans_have_equal_fingerprints(sampling):
    assert make(sampling=sampling).fingerprint() == make(sampling=sampling).fingerprint()


def test_use_does_not_change_the_fingerprint():
    plan = make()
    for step in range(0, 100, 9):
        plan.at(step)
    assert plan.fingerprint() == make().fingerprint()


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_worker_has_the_fingerprint_of_the_whole(workers):
    assert {make().shard(worker, workers).fingerprint() for worker in range(workers)} == {make().fingerprint()}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "cifar/d+"},
        {"name": "cifar/baseline"},
        {"num_examples": 2001},
        {"seed": 1},
        {"sampling": "independent"},
    ],
)
def test_a_change_of_settings_changes_the_fingerprint(change):
    assert make(**change).fingerprint() != make().fingerprint()


def test_a_change_of_share_changes_the_fingerprint():
    plans = [Plan(Regime.preset("cifar/b+", share=share), num_examples=2000) for share in ("steps", "samples")]
    assert plans[0].fingerprint() != plans[1].fingerprint()


def test_a_fingerprint_is_16_hexadecimal_digits():
    fingerprint = make().fingerprint()
    assert len(fingerprint) == 16 and int(fingerprint, 16) >= 0


def test_numpy_numbers_make_the_same_fingerprint():
    assert make(num_examples=np.int64(2000), seed=np.int64(3)).fingerprint() == make(seed=3).fingerprint()


def test_a_fresh_process_without_tensorflow_has_the_same_fingerprint():
    code = (
        "import sys, types;"
        "package = sys.modules['keras_mixsize'] = types.ModuleType('keras_mixsize');"
        "package.__path__ = [sys.argv[1]];"  # the modules alone: what they import shows that plans are NumPy only
        "from keras_mixsize.regimes import Plan, Regime;"
        "print(Plan(Regime.preset('cifar/b+'), num_examples=2000, seed=5).fingerprint(), 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, os.path.dirname(keras_mixsize.__file__)]
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.split() == [make(seed=5).fingerprint(), "False"]


# What is refused


@pytest.mark.parametrize("num_examples", [0, -1, 255])
def test_fewer_examples_than_a_batch_are_refused(num_examples):
    message = (
        f"largest batch, got {num_examples} examples for a batch of 256 at size 16; use a smaller base_batch or more"
    )
    with pytest.raises(ValueError, match=message):
        make(num_examples=num_examples)


def test_as_many_examples_as_the_largest_batch_are_enough():
    np.testing.assert_array_equal(np.sort(stream(make(num_examples=256), 256)[0]), np.arange(256))


def test_more_examples_than_can_be_shuffled_are_refused():
    with pytest.raises(ValueError, match=r"num_examples must be at most 2\^31, got 2147483649"):
        make(num_examples=2**31 + 1)


def test_a_fractional_number_of_examples_is_refused():
    with pytest.raises(ValueError, match="num_examples must be an integer of at least 1, got 2000.5"):
        make(num_examples=2000.5)


@pytest.mark.parametrize("step", [-1, np.int64(-5)])
def test_a_negative_step_is_refused(step):
    with pytest.raises(ValueError, match=f"step must be at or above 0, got {step}"):
        make().at(step)


@pytest.mark.parametrize(("worker", "workers"), [(-1, 2), (2, 2), (1, 1)])
def test_a_worker_that_is_none_of_them_is_refused(worker, workers):
    with pytest.raises(ValueError, match=rf"worker must lie in \[0, {workers}\), got {worker}"):
        make().shard(worker, workers)


@pytest.mark.parametrize("seed", [-1, 1.0, True])
def test_a_seed_that_is_no_natural_number_is_refused(seed):
    with pytest.raises(ValueError, match=f"seed must be an integer at or above 0, got {seed}"):
        make(seed=seed)


def test_an_unknown_sampling_gets_a_near_match():
    with pytest.raises(
        ValueError, match="sampling must be one of 'shuffled', 'independent', got 'shuffle'; did you mean"
    ):
        make(sampling="shuffle")
