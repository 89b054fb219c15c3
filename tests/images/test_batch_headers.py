"""Batch headers: what Pillow and the reader in Python see, for a batch of files of all kinds, and for broken ones."""

import io

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf
from pictures import photograph, saved
from PIL import Image

from keras_mixsize.images import batch_headers, formats
from keras_mixsize.images.headers import read_header

NAMES = {"jpeg": batch_headers.JPEG, "png": batch_headers.PNG, "webp": batch_headers.WEBP, "bmp": batch_headers.BMP}


def parse(*files):
    starts, sides = zip(*(formats.start_of(tf.constant(data)) for data in files))
    return batch_headers.Headers(
        *(field.numpy() for field in batch_headers.parse_headers(tf.stack(starts), tf.stack(sides)))
    )


def exif(number, order="MM"):
    """Return Exif data with other tags around the orientation."""
    pack = {"MM": "big", "II": "little"}[order]
    number16, number32 = (lambda n: n.to_bytes(2, pack)), (lambda n: n.to_bytes(4, pack))
    entries = [(0x010F, 2), (0x0112, number), (0x0128, 5)]
    body = b"".join(number16(tag) + number16(3) + number32(1) + number16(value) + bytes(2) for tag, value in entries)
    tiff = order.encode() + number16(42) + number32(12) + bytes(4) + number16(len(entries)) + body + bytes(4)
    segment = b"Exif\0\0" + tiff
    return b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment


def with_segments(data, *segments):
    return data[:2] + b"".join(segments) + data[2:]


FILES = {
    "jpeg": saved(photograph(33, 57)),
    "progressive": saved(photograph(300, 20), progressive=True),
    "grey jpeg": saved(photograph(9, 11, 1)),
    "png": saved(photograph(12, 700), "PNG"),
    "lossy webp": saved(photograph(31, 47), "WEBP", quality=80),
    "lossless webp": saved(photograph(301, 7), "WEBP", lossless=True),
    "transparent webp": saved(np.full((20, 21, 4), 100, np.uint8), "WEBP"),
    "bmp": saved(photograph(17, 19), "BMP"),
    "grey bmp": saved(photograph(17, 18, 1), "BMP"),
    "palette bmp": saved(photograph(14, 15), "BMP", "P"),
}


def test_formats_and_sides_of_a_batch_are_those_that_pillow_and_python_see():
    found = parse(*FILES.values())
    for data, number, sides in zip(FILES.values(), found.formats, found.sides):
        header = read_header(io.BytesIO(data))
        assert Image.open(io.BytesIO(data)).size[::-1] == tuple(sides) == header[1:]
        assert NAMES[header.format] == number
    assert (found.orientations == 1).all()


@pytest.mark.parametrize("order", ["MM", "II"])
@pytest.mark.parametrize(
    "before", [b"", b"\xff\xe0\0\x10" + bytes(14), b"\xff" * 7, b"\xff\xe1\0\x20http://ns" + bytes(21)]
)
def test_the_orientation_is_read_of_exif_data_of_either_byte_order(order, before):
    data = saved(photograph(33, 57))
    files = [with_segments(data, before, exif(number, order)) for number in range(10)]
    found = parse(*files)
    assert found.orientations.tolist() == [1, 1, 2, 3, 4, 5, 6, 7, 8, 1]
    assert [Image.open(io.BytesIO(file)).getexif().get(0x0112) for file in files[1:9]] == list(range(1, 9))


@pytest.mark.parametrize(
    "subsampling, chroma", [("444", (1, 1)), ("422", (1, 2)), ("420", (2, 2)), ("440", (2, 1)), ("411", (1, 4))]
)
def test_the_sampling_of_chroma_is_read_of_the_frame(subsampling, chroma):
    data = simplejpeg.encode_jpeg(photograph(33, 57), colorsubsampling=subsampling)
    comment = b"\xff\xfe" + (60_000).to_bytes(2, "big") + b"\xff\xc0" * 29_999
    found = parse(
        data, with_segments(data, exif(6)), with_segments(data, comment), with_segments(data, comment, comment)
    )
    assert found.chroma.tolist() == [list(chroma)] * 3 + [[2, 2]]  # beyond what is looked at
    assert parse(FILES["grey jpeg"], FILES["png"]).chroma.tolist() == [[1, 1], [1, 1]]


def animation():
    stream = io.BytesIO()
    frames = [Image.fromarray(photograph(20, 30, seed=seed)) for seed in (1, 2)]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def compressed_bmp():
    data = bytearray(FILES["grey bmp"])
    data[30] = 1  # run lengths
    return bytes(data)


REFUSED = {
    "empty": b"",
    "text": b"no image at all, but some more letters than the header has",
    "gif": b"GIF89a" + bytes(40),
    "animated webp": animation(),
    "compressed bmp": compressed_bmp(),
    "two colours": saved(photograph(9, 9, 1), "BMP", "1"),
    "cut png": FILES["png"][:20],
    "cut webp": FILES["lossy webp"][:24],
    "cut bmp": FILES["bmp"][:30],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_tensorflow_cannot_decode_is_of_no_format(kind):
    assert parse(REFUSED[kind], FILES["jpeg"]).formats.tolist() == [batch_headers.UNKNOWN, batch_headers.JPEG]
    assert read_header(io.BytesIO(REFUSED[kind]))[1:] == (0, 0)


def test_headers_that_were_changed_never_fail():
    draws = np.random.default_rng(0)
    data = with_segments(FILES["jpeg"], exif(6, "II"))
    starts = []
    for _ in range(300):
        changed = bytearray(data[: draws.integers(0, len(data))])
        for position in draws.integers(0, max(1, len(changed)), 12):
            changed[position : position + 1] = bytes(draws.integers(0, 256, 1).tolist())
        starts.append(b"\xff\xd8\xff" + bytes(changed)[3:])
    found = batch_headers.parse_headers(tf.constant(starts), tf.zeros([300, 2], tf.int32))
    assert set(found.orientations.numpy()) <= set(range(1, 9)) and (found.chroma.numpy() >= 1).all()
