"""Damage: every kind of bad image is refused by name or replaced by the plan's next, whatever the parallelism."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from pictures import encoded, example, gradient, render, write_image

import keras_mixsize as kms
from keras_mixsize import sources
from keras_mixsize.images.rendering import to_float
from keras_mixsize.images.step_images import mirror_inputs
from keras_mixsize.images.transform import Transform
from keras_mixsize.sources.damage import DamagePolicy, attempt

COUNT = 40


def huge_png():
    """Return a PNG file of 69 bytes whose header claims 20000 x 20000 pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    end = b"IEND"
    chunk = lambda part: struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))  # noqa: E731
    return b"\x89PNG\r\n\x1a\n" + chunk(body) + chunk(b"IDAT" + zlib.compress(b"")) + chunk(end)


def saved(image, **options):
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


def animated_gif():
    frames = [PIL.Image.fromarray(gradient(20, 30, value)) for value in (0, 60)]
    return saved(frames[0], format="GIF", save_all=True, append_images=frames[1:])


JPEG = encoded(gradient(200, 300))
PNG = encoded(np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8), ".png")
DAMAGED = {
    "empty": b"",
    "text": b"no image at all",
    "gif": animated_gif(),
    "truncated_jpeg": JPEG[: len(JPEG) // 2],
    "truncated_png": PNG[: len(PNG) // 2],
    "cut_in_the_header": JPEG[:30],
    "huge": huge_png(),
}
SHOWN_BY_HEADER = {"empty", "text", "gif", "cut_in_the_header", "huge"}


@pytest.fixture
def picture_folder(tmp_path):
    for number in range(COUNT):
        write_image(tmp_path / f"class{number % 2}" / f"{number:03}.png", 20 + number % 5, 30, number)
    return tmp_path


def batches(dataset, count):
    return [tuple(part.numpy() for part in batch) for batch in dataset.take(count)]


def flat(regime_text="16x16x2:0.5,24x12x1:0.5"):
    return kms.Regime.parse(regime_text)


@pytest.fixture
def damaged_folder(picture_folder):
    """The folder with one image of each kind of damage, and their indices."""
    for number, kind in enumerate(DAMAGED):
        (picture_folder / "class0" / f"{2 * number:03}.png").write_bytes(DAMAGED[kind])
    return picture_folder


def name_of(index):
    return rf"{2 * index:03}.png"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Return a function that renders examples of a source of one good image and one of each damage, traced once."""
    folder = tmp_path_factory.mktemp("damaged")
    write_image(folder / "good.png")
    for index, kind in enumerate(DAMAGED):
        (folder / name_of(index)).write_bytes(DAMAGED[kind])
    files = [folder / "good.png", *(folder / name_of(index) for index in range(len(DAMAGED)))]
    source, transform = sources.FileSource(files, [0] * len(files)), Transform(kms.WholeImage())
    return tf.function(lambda indices: source.render(indices, tf.zeros(2, tf.uint32), 16, transform), autograph=False)


@pytest.mark.parametrize("index, kind", list(enumerate(DAMAGED)))
def test_raise_names_file_and_index(rendered, index, kind):
    assert rendered(tf.constant([0, 0], tf.int64)).shape == (2, 16, 16, 3)
    message = rf"{name_of(index)} \(index {index + 1}\) cannot be used: it .*repair or remove it"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        rendered(tf.constant([0, index + 1], tf.int64))


@pytest.mark.parametrize("kind", sorted(SHOWN_BY_HEADER))
def test_what_a_header_shows_is_refused_before_training(tmp_path, kind):
    file = tmp_path / "class0" / "000.png"
    write_image(tmp_path / "class1" / "001.png")
    file.parent.mkdir()
    file.write_bytes(DAMAGED[kind])
    with pytest.raises(ValueError, match=rf"{file} \(index 0\) cannot be used: it .*and 0 more; repair or remove"):
        sources.folder(tmp_path)


def test_raise_ends_training_with_the_name(damaged_folder):
    files = [*sorted(damaged_folder.glob("class1/*"))[:15], damaged_folder / "class0" / "006.png"]
    source = sources.FileSource(files, [0] * 16)
    train = kms.MixSizeDataset.from_source(source, regime=flat("16x16x2:1"), augmentation=kms.WholeImage())
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"006.png \(index 15\) cannot be used: it cannot be decoded"
    ):
        batches(train, 1)


def test_skip_takes_the_next_sample_of_the_plan_that_is_good(damaged_folder):
    source = sources.folder(damaged_folder, damage=DamagePolicy("skip", max_share=0.5))
    options = {"regime": flat("16x16x2:1"), "augmentation": kms.WholeImage()}
    train = kms.MixSizeDataset.from_source(source, **options)
    stream = train.plan.samples(np.arange(3 * 16 + len(DAMAGED)))
    good = stream >= len(DAMAGED)
    used = [next(index for index, usable in zip(stream[place:], good[place:]) if usable) for place in range(48)]
    shown = batches(train, 3)
    np.testing.assert_array_equal(np.concatenate([images[:16] for images, _ in shown]), render(source, used))
    for step, (_, labels) in enumerate(shown):
        chosen = used[16 * step : 16 * step + 16]
        np.testing.assert_array_equal(labels, np.tile(source.labels[chosen], 2))
    report = source.damage_report()
    assert [entry.index for entry in report] == list(range(len(DAMAGED)))
    faults = {"empty": "empty", "text": "neither", "gif": "neither", "huge": "max_pixels"}
    for kind, entry in zip(DAMAGED, report):
        assert faults.get(kind, "cannot be decoded") in entry.fault
        assert entry.name == source.files[entry.index] and entry.name in str(entry)


@pytest.mark.slow
def test_skipping_gives_the_same_batches_for_any_parallelism_and_workers(picture_folder):
    for number in (3, 4, 11, 30):
        (picture_folder / f"class{number % 2}" / f"{number:03}.png").write_bytes(b"damaged")
    policy = DamagePolicy("skip", max_share=0.2)
    options = {"regime": flat(), "damage": policy, "seed": 5}
    one, many = (kms.MixSizeDataset.from_folder(picture_folder, parallel_calls=calls, **options) for calls in (1, 8))
    first = batches(one, 8)
    for batch, other, (inputs, labels) in zip(first, batches(many, 8), one.for_step()):
        np.testing.assert_array_equal(batch[0], other[0])
        np.testing.assert_array_equal(batch[1], other[1])
        np.testing.assert_array_equal(batch[0], to_float(mirror_inputs(inputs)))  # as the training step finishes them
        np.testing.assert_array_equal(batch[1], labels)
    assert [entry.index for entry in one.source.damage_report()] == [2, 15, 21, 25]
    assert one.source.damage_report() == many.source.damage_report()
    parts = [batches(one.shard(2, worker), 3) for worker in range(2)]
    for step in range(3):
        bucket = one.plan.at(step).bucket
        by_copy = [part[step][0].reshape(bucket.duplicates, -1, *first[step][0].shape[1:]) for part in parts]
        np.testing.assert_array_equal(np.concatenate(by_copy, axis=1).reshape(first[step][0].shape), first[step][0])


def test_more_damage_than_the_share_is_refused(picture_folder):
    for number in (3, 4, 11, 30):
        (picture_folder / f"class{number % 2}" / f"{number:03}.png").write_bytes(b"damaged")
    train = kms.MixSizeDataset.from_folder(picture_folder, regime=flat(), damage="skip")
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 1.0000% of the images are damaged"):
        batches(train, 4)


def test_nothing_but_damage_ends_with_an_error(tmp_path):
    (tmp_path / "a").mkdir()
    for number in range(32):
        (tmp_path / "a" / f"{number}.jpg").write_bytes(b"damaged")
    policy = DamagePolicy("skip", max_share=1.0)
    train = kms.MixSizeDataset.from_folder(tmp_path, regime=flat("16x2x1:1"), damage=policy)
    with pytest.raises(tf.errors.InvalidArgumentError, match="64 samples in a row are damaged"):
        batches(train, 1)


def test_a_flipped_bit_in_a_shard_is_skipped_or_refused_by_name(tmp_path):
    path = tmp_path / "shard"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(COUNT):
            writer.write(example(encoded(gradient(20, 30, number)), number % 2))
    skip = sources.records(path, damage=DamagePolicy("skip", max_share=0.1))
    strict = sources.records(path)
    data = bytearray(path.read_bytes())
    data[strict.index.offsets[7] + 300] ^= 1
    path.write_bytes(data)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"shard record 7 \(index 7\) cannot be used"):
        render(strict, [6, 7])
    assert len(batches(kms.MixSizeDataset.from_source(skip, regime=flat()), 4)) == 4
    assert [entry.index for entry in skip.damage_report()] == [7]


def test_a_mistake_in_an_augmentation_is_not_taken_for_damage(picture_folder):
    class Broken:
        def windows(self, heights, widths, seeds):
            with tf.control_dependencies([tf.debugging.Assert(False, ["my own mistake"])]):
                return kms.WholeImage().windows(heights, widths, tf.identity(seeds))

    options = {"regime": flat(), "augmentation": Broken(), "damage": "skip"}
    train = kms.MixSizeDataset.from_folder(picture_folder, **options)
    with pytest.raises(tf.errors.InvalidArgumentError, match="my own mistake"):
        batches(train, 1)
    assert train.source.damage_report() == ()


# What is no damage


def test_grey_16_bit_cmyk_and_rotated_images_are_converted(tmp_path):
    pixels = gradient(16, 16)
    image = PIL.Image.fromarray(pixels)
    turned = PIL.Image.Exif()
    turned[0x0112] = 6  # "rotate by 90 degrees to show"
    best = {"quality": 95, "subsampling": 0}
    wide = tf.io.encode_png(pixels.astype(np.uint16) * 256 + 77).numpy()
    files = {
        "grey.png": saved(image.convert("L"), format="PNG"),
        "wide.png": wide,
        "cmyk.jpg": saved(image.convert("CMYK"), format="JPEG", **best),
        "turned.jpg": saved(image, format="JPEG", exif=turned, **best),
        "really_a_png.jpg": encoded(pixels, ".png"),
    }
    (tmp_path / "a").mkdir()
    for name, data in files.items():
        (tmp_path / "a" / name).write_bytes(data)
    source = sources.folder(tmp_path)
    shown = dict(zip(sorted(files), render(source, range(len(files))) * 255))
    np.testing.assert_allclose(shown["really_a_png.jpg"], pixels, atol=0.01)
    np.testing.assert_allclose(shown["wide.png"], pixels, atol=0.01)
    np.testing.assert_allclose(shown["grey.png"], np.asarray(image.convert("L").convert("RGB")), atol=0.01)
    np.testing.assert_allclose(shown["cmyk.jpg"], pixels, atol=12)
    np.testing.assert_allclose(shown["turned.jpg"], np.rot90(pixels, -1), atol=12)


# The policy


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"action": "ignore"}, "damage must be one of .'raise', 'skip'. or a DamagePolicy, got 'ignore'"),
        ({"max_share": 1.5}, r"max_share must lie in \[0, 1\], got 1.5"),
        ({"max_pixels": 0}, "max_pixels must be at least 1, got 0"),
    ],
)
def test_policies_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        DamagePolicy(**fields)


def test_the_pixel_limit_can_be_set(picture_folder):
    with pytest.raises(
        ValueError, match=r"\(index 0\) cannot be used: it has more pixels than max_pixels, and 39 more"
    ):
        sources.folder(picture_folder, damage=DamagePolicy(max_pixels=500))


def test_attempt_gives_the_other_value_where_a_graph_fails():
    @tf.function
    def halve(number):
        return attempt(lambda number: tf.ensure_shape(tf.range(number), [2]), (number,), tf.zeros([0], tf.int32))

    assert halve(tf.constant(2)).numpy().tolist() == [0, 1] and halve(tf.constant(3)).shape == (0,)
