"""MixSizeDataset: the plan's batches, bitwise the same however they are made."""

import copy
import itertools
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from pictures import write_image, write_shards

import keras_mixsize as kms
from keras_mixsize.images.rendering import to_float
from keras_mixsize.images.step_images import mirror_inputs
from keras_mixsize.regimes.plan import Plan


def batches(dataset, count):
    return [tuple(part.numpy() for part in batch) for batch in itertools.islice(dataset, count)]


def assert_equal_batches(first, second):
    assert len(first) == len(second)
    for (images, labels), (other_images, other_labels) in zip(first, second):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize("sampling", ["shuffled", "independent"])
def test_batches_have_the_planned_shapes_and_labels_over_three_epochs(small_arrays, regime, sampling):
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, seed=7, sampling=sampling)
    for number, (images, labels) in enumerate(batches(train, 3 * train.steps_per_epoch)):
        step = train.plan.at(number)
        bucket = step.bucket
        assert images.shape == (bucket.images, bucket.size, bucket.size, 1) and images.dtype == np.float32
        assert images.min() >= 0 and images.max() <= 1
        np.testing.assert_array_equal(labels, np.tile(small_arrays[1][step.indices], bucket.duplicates))


def test_without_augmentation_images_are_the_planned_examples_resized(small_arrays, regime):
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, augmentation=kms.WholeImage())
    for number, (images, _) in enumerate(batches(train, 12)):
        step = train.plan.at(number)
        examples = np.tile(small_arrays[0][step.indices], (step.bucket.duplicates, 1, 1, 1))
        size = step.bucket.size
        expected = tf.image.resize(examples, [size, size], antialias=True) / 255
        np.testing.assert_allclose(images, expected, atol=1e-5)


@pytest.mark.parametrize("other", [8, tf.data.AUTOTUNE])
def test_batches_are_bitwise_equal_whatever_the_parallelism(small_arrays, regime, other):
    options = {"regime": regime, "seed": 3}
    one = kms.MixSizeDataset.from_arrays(*small_arrays, **options, parallel_calls=1)
    many = kms.MixSizeDataset.from_arrays(*small_arrays, **options, parallel_calls=other)
    assert_equal_batches(batches(one, 30), batches(many, 30))


def test_two_iterations_give_the_same_batches_and_two_seeds_do_not(small_arrays, regime):
    first, second = (kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, seed=seed) for seed in (3, 4))
    assert_equal_batches(batches(first, 5), batches(first, 5))
    assert any(a[0].shape != b[0].shape or (a[0] != b[0]).any() for a, b in zip(batches(first, 5), batches(second, 5)))


def test_starting_later_skips_without_changing_what_follows(train):
    whole = batches(train, 50)
    for step in (1, 17, 49):
        assert_equal_batches(batches(train.starting_at(step), 50 - step), whole[step:])


def test_the_state_of_an_iterator_is_small_and_can_be_restored(train, tmp_path):
    iterator = iter(train)
    for _ in range(7):
        next(iterator)
    checkpoint = tf.train.Checkpoint(iterator=iterator)
    path = checkpoint.write(str(tmp_path / "iterator"))
    expected = [next(iterator)[0].numpy() for _ in range(5)]
    checkpoint.read(path)
    for images in expected:
        np.testing.assert_array_equal(next(iterator)[0], images)


def test_workers_read_slices_of_the_same_global_batches(small_arrays, workers=3):
    regime = kms.Regime.parse("16x24x2:0.5,24x12x1:0.5")
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, seed=7)
    parts = [batches(train.shard(workers, index), 10) for index in range(workers)]
    for number, (images, labels) in enumerate(batches(train, 10)):
        bucket = train.plan.at(number).bucket
        by_copy = [part[number][0].reshape(bucket.duplicates, -1, *images.shape[1:]) for part in parts]
        np.testing.assert_array_equal(np.concatenate(by_copy, axis=1).reshape(images.shape), images)
        label_parts = [part[number][1].reshape(bucket.duplicates, -1) for part in parts]
        np.testing.assert_array_equal(np.concatenate(label_parts, axis=1).ravel(), labels)


def test_copies_of_an_image_differ_and_lie_a_batch_apart(train):
    number = next(step for step in range(50) if train.plan.at(step).bucket.duplicates == 2)
    images, labels = batches(train.starting_at(number), 1)[0]
    batch = train.plan.at(number).bucket.batch
    np.testing.assert_array_equal(labels[:batch], labels[batch:])
    differing = (images[:batch] != images[batch:]).any(axis=(1, 2, 3))
    assert differing.mean() > 0.9


def test_the_same_example_is_augmented_anew_in_the_next_pass(small_arrays):
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(32, 60), seed=1)
    passes = [{}, {}]
    for number, (images, _) in enumerate(batches(train, 10)):
        step = train.plan.at(number)
        passes[step.pass_index] |= dict(zip(step.indices.tolist(), images))
    differing = [(passes[0][index] != passes[1][index]).any() for index in range(300)]
    assert np.mean(differing) > 0.9


def test_uint8_batches_are_the_float_batches_rounded(small_arrays, regime):
    floats = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime)
    bytes_ = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, dtype="uint8")
    for (images, _), (rounded, _) in zip(batches(floats, 4), batches(bytes_, 4)):
        assert rounded.dtype == np.uint8
        np.testing.assert_array_equal(rounded, np.round(images * 255))


def test_at_size_gives_one_size_within_the_budget_but_no_tiny_batches(train):
    for size, batch in [(8, train.plan.regime.base.cost // 64), (40, 32)]:
        images, labels = batches(train.at_size(size), 1)[0]
        assert images.shape == (batch, size, size, 1) and labels.shape == (batch,)
    with pytest.raises(ValueError, match="size must be an integer of at least 1, got 0"):
        train.at_size(0)


def test_at_size_of_a_schedule_keeps_the_budget_of_its_base(small_arrays):
    schedule = kms.Schedule.growing([16, 32], base_batch=40)
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=schedule, epochs=2)
    assert batches(train.at_size(24), 1)[0][0].shape == (32 * 32 * 40 // 24**2, 24, 24, 1)


def test_a_schedule_gives_the_planned_batches_from_any_step_on_any_worker(small_arrays):
    schedule = kms.Schedule.parse("0.5*16x24x2:0.5,24x12x1:0.5; 0.5*32x8x1:1")
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=schedule, epochs=2, seed=7)
    steps = 2 * train.steps_per_epoch
    whole = batches(train, steps)
    for number, (images, labels) in enumerate(whole):
        step = train.plan.at(number)
        assert images.shape[:2] == (step.bucket.images, step.bucket.size)
        np.testing.assert_array_equal(labels, np.tile(small_arrays[1][step.indices], step.bucket.duplicates))
    for start in (1, steps // 2, steps - 3):
        assert_equal_batches(batches(train.starting_at(start), 3), whole[start : start + 3])
    parts = [batches(train.shard(2, index).starting_at(steps // 2 + 1), 3) for index in range(2)]
    for together, *halves in zip(whole[steps // 2 + 1 :], *parts):
        np.testing.assert_array_equal(np.concatenate([images for images, _ in halves]), together[0])


def test_a_schedule_without_epochs_is_refused(small_arrays, regime):
    with pytest.raises(ValueError, match="epochs must be given for a schedule of 2 stages"):
        kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Schedule.finish(regime))


@pytest.mark.parametrize(
    "options", [{"sampling": "balanced"}, {"sampling_weights": np.arange(300)}], ids=["balanced", "weighted"]
)
def test_other_orders_of_examples_give_the_planned_batches_from_any_step(small_arrays, options):
    images, labels = small_arrays[0], np.repeat([0, 1, 2], [250, 40, 10])
    regime = kms.Regime.parse("16x8x2:0.5,24x12x1:0.5")
    train = kms.MixSizeDataset.from_arrays(images, labels, regime=regime, seed=7, **options)
    whole = batches(train, 8)
    for number, (_, drawn) in enumerate(whole):
        step = train.plan.at(number)
        np.testing.assert_array_equal(drawn, np.tile(labels[step.indices], step.bucket.duplicates))
        if "sampling" in options:
            counts = np.bincount(drawn, minlength=3) // step.bucket.duplicates
            assert np.ptp(counts) <= 2  # a batch may cut the rounds of three at both ends
    assert_equal_batches(batches(train.starting_at(5), 3), whole[5:])
    assert train.shard(2, 1).plan.order is train.plan.order


def test_weights_and_labels_of_several_outputs_are_those_of_the_planned_examples(small_arrays, regime):
    labels = {"main": small_arrays[1][:100], "place": np.linspace(0, 1, 200).reshape(100, 2).astype(np.float32)}
    weights = np.linspace(0, 3, 100).astype(np.float32)
    train = kms.MixSizeDataset.from_arrays(small_arrays[0][:100], labels, regime=regime, sample_weight=weights)
    for number, (_, drawn, weighed) in enumerate(train.take(6)):
        step = train.plan.at(number)
        copies = step.bucket.duplicates
        np.testing.assert_array_equal(drawn["main"], np.tile(labels["main"][step.indices], copies))
        np.testing.assert_array_equal(drawn["place"], np.tile(labels["place"][step.indices], (copies, 1)))
        np.testing.assert_array_equal(weighed, np.tile(weights[step.indices], copies))


def test_what_mixes_images_is_refused_where_weights_or_labels_would_not_be_mixed(small_arrays):
    images, labels = small_arrays
    options = {"regime": kms.Regime.fixed(8, 8), "batch_map": kms.images.MixUp(10)}
    with pytest.raises(ValueError, match="batch_map must not be MixUp with sample_weight or labels of several outputs"):
        kms.MixSizeDataset.from_arrays(images, labels, sample_weight=np.ones(300), **options)
    with pytest.raises(ValueError, match="batch_map must not be SmoothLabels"):
        options["batch_map"] = kms.images.SmoothLabels(10)
        kms.MixSizeDataset.from_arrays(images, {"main": labels}, **options)


def test_an_example_that_comes_up_twice_in_a_batch_is_augmented_anew(small_arrays):
    weights = np.zeros(300)
    weights[5] = 1
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(16, 16), sampling_weights=weights)
    images, labels = batches(train, 1)[0]
    assert (labels == small_arrays[1][5]).all() and len({image.tobytes() for image in images}) > 12


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sampling": "balance"}, "sampling must be one of 'shuffled', 'independent', 'balanced', got 'balance'; did"),
        ({"sampling_weights": [1, 2]}, r"sampling_weights must be 300 numbers, got the shape \(2,\)"),
        (
            {"sampling_weights": np.ones(300), "sampling": "balanced"},
            "sampling_weights must be None with sampling='bal",
        ),
    ],
)
def test_orders_that_do_not_fit_are_refused(small_arrays, options, message):
    with pytest.raises(ValueError, match=message):
        kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(8, 8), **options)


@pytest.mark.parametrize("name, change", [("image_map", lambda i, s: i[1:]), ("batch_map", lambda i, y, s: (i[1:], y))])
def test_a_map_that_changes_the_shape_is_refused(small_arrays, regime, name, change):
    train = kms.MixSizeDataset.from_arrays(*small_arrays, regime=regime, **{name: change})
    with pytest.raises(tf.errors.InvalidArgumentError, match="image_map and batch_map must keep the shape"):
        next(iter(train))


def test_a_folder_gives_the_planned_batches(tmp_path, regime):
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = rng.integers(0, 256, (20 + number % 7, 30, 3)).astype(np.uint8)
        path = tmp_path / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tf.io.encode_png(pixels).numpy())
    train = kms.MixSizeDataset.from_folder(tmp_path, regime=regime)
    for number, (images, labels) in enumerate(batches(train, 8)):
        step = train.plan.at(number)
        assert images.shape == (step.bucket.images, step.bucket.size, step.bucket.size, 3)
        np.testing.assert_array_equal(labels, np.tile(train.source.labels[step.indices], step.bucket.duplicates))


@pytest.mark.parametrize("options", [{}, {"dtype": "uint8", "interpolation": "nearest"}])
def test_the_training_step_gets_the_same_images_as_bytes_before_the_flip(small_files, regime, options):
    train = kms.MixSizeDataset.from_source(small_files, regime=regime, seed=7, **options).starting_at(3)
    for (images, labels), (inputs, same_labels) in zip(train.take(6), train.for_step()):
        assert inputs.images.dtype == tf.uint8 and inputs.mirrored.shape == labels.shape
        assert 0 < np.count_nonzero(inputs.mirrored) < len(labels)
        finished = mirror_inputs(inputs) if images.dtype == tf.uint8 else to_float(mirror_inputs(inputs))
        np.testing.assert_array_equal(finished, images)
        np.testing.assert_array_equal(same_labels, labels)


def test_the_training_step_gets_images_as_they_are_where_they_are_floats(train, small_files, regime):
    for options in ({"decode": "exact"}, {"image_map": lambda image, seed: image}, {"batch_map": kms.images.MixUp(10)}):
        floats = kms.MixSizeDataset.from_source(small_files, regime=regime, **options)
        assert floats.for_step() is floats
    assert_equal_batches(batches(train, 2), batches(train.for_step(), 2))
    assert train.starting_at(0) is train and train.starting_at(1) is not train


@pytest.mark.filterwarnings("default")
def test_from_tfds_trains_on_the_named_split(regime):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=40):
        train = kms.MixSizeDataset.from_tfds("cifar10", split="train", regime=regime, seed=0)
    images, labels = batches(train, 1)[0]
    assert images.shape[-1] == 3 and train.source.num_examples == 40 and len(images) == len(labels)


def test_from_embedded_is_the_fashion_subset(regime):
    train = kms.MixSizeDataset.from_embedded(regime=regime)
    assert train.source.num_examples == 10_000 and batches(train, 1)[0][0].shape[-1] == 1


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(copy.deepcopy, id="copied", marks=pytest.mark.slow),
        pytest.param(lambda value: pickle.loads(pickle.dumps(value)), id="pickled"),
    ],
)
def test_a_dataset_gives_the_same_batches_after_it_was_copied_or_pickled(small_files, regime, again):
    train = kms.MixSizeDataset.from_source(small_files, regime=regime, seed=3, dtype="uint8", parallel_calls=1)
    dataset = train.shard(4, 1).starting_at(5)
    found = again(dataset)
    assert (found.start, found.parallel_calls, found.plan.worker) == (5, 1, 1)
    assert_equal_batches(batches(found, 2), batches(dataset, 2))


# As a tf.data.Dataset, with any Keras model


def test_it_is_an_endless_tf_data_dataset(train):
    assert isinstance(train, tf.data.Dataset)
    assert train.cardinality() == tf.data.INFINITE_CARDINALITY
    assert len(batches(train.take(3).map(lambda images, labels: (images + 1, labels)), 5)) == 3


def keras_model(network):
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return network


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_a_plain_keras_model_goes_on_in_the_plan_with_steps_per_epoch(network, train):
    seen = []

    class Recorder(keras.layers.Layer):
        def call(self, images):
            tf.py_function(lambda shape: seen.append(tuple(shape.numpy())), [tf.shape(images)], [])
            return images

    inputs = keras.Input((None, None, 1))
    model = keras_model(keras.Model(inputs, network(Recorder()(inputs))))
    model.fit(train, epochs=3, steps_per_epoch=7, verbose=0, shuffle=False)
    expected = [train.plan.at(step).bucket for step in range(21)]
    assert seen[-21:] == [(bucket.images, bucket.size, bucket.size, 1) for bucket in expected]


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_a_plain_keras_fit_without_steps_is_refused(network, train):
    with pytest.raises(ValueError, match=f"steps_per_epoch={train.steps_per_epoch}.*MixSizeModel"):
        keras_model(network).fit(train, epochs=2, verbose=0)


def test_a_plain_keras_evaluate_without_steps_is_refused(network, train):
    with pytest.raises(ValueError, match="endless"):
        keras_model(network).evaluate(train, verbose=0)


# Bad input


def test_a_plan_for_other_examples_is_refused(train, regime):
    with pytest.raises(ValueError, match="plan is for 200 examples, but the source has 300"):
        kms.MixSizeDataset(train.source, Plan(regime, num_examples=200))


def test_a_batch_that_workers_cannot_share_is_refused(train):
    with pytest.raises(ValueError, match="divisible by the 5 workers.*got 16 at size 16.*multiple_of"):
        train.shard(5, 0)


def test_fewer_examples_than_a_batch_are_refused(small_arrays, regime):
    images, labels = small_arrays
    with pytest.raises(ValueError, match="at least the largest batch, got 10 examples for a batch of 16"):
        kms.MixSizeDataset.from_arrays(images[:10], labels[:10], regime=regime)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["image_map", "batch_map"])
def test_a_keras_cv_layer_runs_inside_the_pipeline(small_arrays, name):
    images, labels = np.repeat(small_arrays[0], 3, axis=-1), small_arrays[1]
    layer, regime = kms.images.rand_augment(), kms.Regime.fixed(8, 16)
    train = kms.MixSizeDataset.from_arrays(images, labels, regime=regime, **{name: layer})
    plain = kms.MixSizeDataset.from_arrays(images, labels, regime=regime)
    for (changed, _), (unchanged, _) in zip(batches(train, 1), batches(plain, 1)):
        assert changed.shape == unchanged.shape and np.isfinite(changed).all()
        assert np.abs(changed - unchanged).max() > 0.01


def test_a_folder_and_shards_take_the_options_of_their_sources(tmp_path):
    for number in range(4):
        write_image(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png")
    (tmp_path / "shards").mkdir()
    write_shards(tmp_path / "shards", [4], image_key="pixels", label_key="class")
    regime = kms.Regime.fixed(8, 2)
    photos = kms.MixSizeDataset.from_folder(tmp_path / "photos", regime=regime, class_names=("b", "a"), dtype="uint8")
    assert photos.source.class_names == ("b", "a") and photos.transform.dtype == "uint8"
    keys = {"image_key": "pixels", "label_key": "class"}
    shards = kms.MixSizeDataset.from_records(f"{tmp_path}/shards/*", regime=regime, seed=3, **keys)
    assert shards.source.num_examples == 4 and shards.plan.seed == 3


def test_an_option_that_there_is_not_is_refused_with_the_nearest(small_arrays):
    with pytest.raises(ValueError, match="option must be one of .*, got 'augmentaton'; did you mean 'augmentation'"):
        kms.MixSizeDataset.from_arrays(*small_arrays, regime=kms.Regime.fixed(8, 2), augmentaton=None)


@pytest.mark.parametrize(
    "make, remedy",
    [
        (lambda: tf.data.Dataset.range(3), "it has no examples by number"),
        (keras.utils.PyDataset, "use MixSizeDataset.from_sequence"),
        (lambda: [1, 2], "use MixSizeDataset.from_sequence"),
    ],
)
def test_what_is_no_source_is_refused_with_the_remedy(make, remedy):
    with pytest.raises(ValueError, match=f"source must be a keras_mixsize source, got a .*: {remedy}"):
        kms.MixSizeDataset.from_source(make(), regime=kms.Regime.fixed(8, 2))
