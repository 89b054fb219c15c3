"""Whatever has no state of a process can be pickled and copied, and is then as good as the first."""

import copy
import pickle
import types

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, example, gradient, write_image, write_shards

import keras_mixsize as kms

WAYS = {"pickled": lambda value: pickle.loads(pickle.dumps(value)), "copied": copy.deepcopy}
REGIME = kms.Regime.parse("12x6x2:0.5,16x8x1:0.5")
COUNT = 10  # images of each source

both_ways = pytest.mark.parametrize("again", WAYS.values(), ids=WAYS)


# Values


VALUES = {
    "bucket": kms.Bucket(16, 8, 2, probability=0.5),
    "regime": kms.Regime.preset("cifar/bd+", share="samples"),
    "transform": kms.images.Transform(kms.RandomResizedCrop(), dtype="uint8"),
    "pad_crop_flip": kms.PadCropFlip(3),
    "center_crop": kms.CenterCrop(),
    "rand_augment": kms.images.RandAugment(layers=1),
    "damage_policy": kms.sources.DamagePolicy("skip", max_share=0.5),
    "preprocessing": kms.Preprocessing(0.875, mean=(0.5,), std=(0.25,)),
    "recipe": kms.recipes.find("embedded/resnet8/b+"),
}


@both_ways
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_is_equal_afterwards(value, again):
    assert again(value) == value


# Plans


def assert_same_step(one, other):
    for name, value in vars(one).items():
        np.testing.assert_array_equal(vars(other)[name], value, err_msg=name)


PLANS = {
    "shuffled": kms.Plan(REGIME, num_examples=100, seed=3),
    "independent": kms.Plan(REGIME, num_examples=100, seed=3, sampling="independent"),
    "of a worker": kms.Plan(REGIME, num_examples=100, seed=3).shard(1, 2),
}


@both_ways
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_draws_the_same_steps_afterwards(plan, again):
    plan.at(0)  # so that an epoch is in its memory
    found = again(plan)
    assert found.fingerprint() == plan.fingerprint() and (found.worker, found.workers) == (plan.worker, plan.workers)
    for step in (0, 7, 1_000):
        assert_same_step(plan.at(step), found.at(step))


@both_ways
def test_a_step_is_the_same_afterwards(again):
    step = PLANS["shuffled"].at(5)
    assert_same_step(step, again(step))


# Sources


def arrays(folder):
    return kms.sources.ArraySource(np.stack([gradient(20, 20, n) for n in range(COUNT)]), np.arange(COUNT))


def float_arrays(folder):
    pixels = arrays(folder).images / np.float32(255)
    return kms.sources.ArraySource(pixels, np.eye(COUNT, dtype=np.float32), tuple("abcdefghij"))


def items(folder):
    images = [encoded(gradient(20, 20 + n, n)) for n in range(COUNT)]
    return kms.sources.BytesSource(images, np.arange(COUNT), damage="skip")


def files(folder):
    for number in range(COUNT):
        write_image(folder / "abc"[number % 3] / f"{number}.png", 20, 20 + number, number)
    return kms.sources.folder(folder, damage=kms.sources.DamagePolicy("skip", max_share=0.5))


def records(folder):
    write_shards(folder, [COUNT // 2, COUNT - COUNT // 2])
    return kms.sources.records(folder / "train.tfrecord-*", damage="skip")


def array_records(folder):
    from array_record.python.array_record_module import ArrayRecordWriter

    file = str(folder / "data.array_record")
    writer = ArrayRecordWriter(file, "group_size:1")
    for number in range(COUNT):
        writer.write(example(encoded(gradient(20, 20 + number, number)), number))
    writer.close()
    part = types.SimpleNamespace(filename=file, skip=0, take=COUNT, examples_in_shard=COUNT)
    return kms.sources.ArrayRecordSource([part])


def fashion_mnist(folder):
    return kms.sources.fashion_mnist("test")


SOURCES = [arrays, float_arrays, items, files, records, array_records, fashion_mnist]
every_source = pytest.mark.parametrize("make", SOURCES)


def rendered(source):
    """Return two augmented copies of three images."""
    indices, seeds = tf.constant([9, 0, 4], tf.int64), tf.constant([1, 2, 3, 4, 5, 6], tf.uint32)
    return source.render(indices, seeds, tf.constant(12), kms.images.Transform(kms.RandomResizedCrop())).numpy()


def loaded(source):
    """Return images and indices of three examples; a damaged one is replaced by the next one."""
    indices, seeds = tf.constant([9, 1, 4], tf.int64), tf.constant([1, 2, 3], tf.uint32)
    transform = kms.images.Transform()
    redraw = lambda later: (indices + later) % COUNT  # noqa: E731
    load = tf.function(lambda: source.load(indices, seeds, tf.constant(12), transform, redraw), autograph=False)
    images, used = load()
    return images.numpy(), used.numpy().tolist()


@both_ways
@every_source
def test_a_source_has_the_same_examples_afterwards(make, again, tmp_path):
    source = make(tmp_path)
    found = again(source)
    assert type(found) is type(source) and found.class_names == source.class_names
    assert (found.num_examples, found.channels) == (source.num_examples, source.channels)
    np.testing.assert_array_equal(found.labels, source.labels)


@both_ways
@every_source
def test_a_source_renders_the_same_images_afterwards(make, again, tmp_path):
    source = make(tmp_path)
    np.testing.assert_array_equal(rendered(again(source)), rendered(source))


def test_a_source_that_was_pickled_trains_on_the_same_batches(tmp_path):
    source = arrays(tmp_path)
    one, other = (
        kms.MixSizeDataset.from_source(each, regime=REGIME, seed=2) for each in (source, WAYS["pickled"](source))
    )
    for (images, labels), (other_images, other_labels) in zip(one.take(2), other.take(2)):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


@both_ways
def test_a_source_goes_on_skipping_damaged_images_afterwards(again, tmp_path):
    source = files(tmp_path)
    (tmp_path / "a" / "3.png").write_bytes(b"no image")
    images, indices = loaded(source)
    found = again(source)
    same_images, same_indices = loaded(found)
    np.testing.assert_array_equal(same_images, images)
    assert same_indices == indices == [9, 2, 4]
    assert found.damage_report() == source.damage_report() and len(found.damage_report()) == 1


@both_ways
def test_what_a_copied_source_skips_is_not_reported_by_the_first(again, tmp_path):
    source = files(tmp_path)
    found = again(source)
    (tmp_path / "a" / "3.png").write_bytes(b"no image")
    loaded(found)
    assert len(found.damage_report()) == 1 and source.damage_report() == ()


@pytest.mark.parametrize("make", [arrays, items])
def test_a_pickled_source_holds_its_images_once(make, tmp_path):
    source = make(tmp_path)
    images = source.images.nbytes if make is arrays else sum(len(source.read(n).numpy()) for n in range(COUNT))
    assert len(pickle.dumps(source)) < 1.2 * images + 2_000
