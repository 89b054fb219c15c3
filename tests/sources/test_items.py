"""Items: read one at a time, by number, whatever holds them; `test_sequences` has every kind of them."""

import threading
import time

import numpy as np
import pytest
from PIL import Image

from keras_mixsize.sources.items import items_of, parts_of, pixels_or_file

PLAIN = np.zeros([8, 8, 3], np.uint8)


def test_items_are_read_one_at_a_time():
    inside, most = [], []

    class Slow(list):
        def __getitem__(self, index):
            inside.append(index)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(index)
            return super().__getitem__(index)

    items = items_of(Slow([(PLAIN, 0)] * 4), "image", "label")
    threads = [threading.Thread(target=items.image, args=[index]) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4


def test_an_example_has_image_and_label_and_nothing_is_dropped_without_a_word():
    assert parts_of((1, 2), ("image", "label"), "it") == (1, 2)
    assert parts_of({"a": 1, "b": 2, "c": 3}, ("c", "a"), "it") == (3, 1)
    with pytest.raises(ValueError, match=r"it must be a pair \(image, label\) or a dictionary, got 3 parts"):
        parts_of((1, 2, 3), ("image", "label"), "it")


def test_an_image_may_be_stored_in_several_ways(tmp_path):
    (tmp_path / "a").write_bytes(b"file")
    for stored in (b"file", tmp_path / "a", {"bytes": b"file", "path": None}, {"bytes": None, "path": tmp_path / "a"}):
        assert pixels_or_file(stored, 0) == b"file"
    assert pixels_or_file(Image.fromarray(PLAIN).convert("RGBA"), 0).shape == (8, 8, 3)
    with pytest.raises(FileNotFoundError):
        pixels_or_file(str(tmp_path / "b"), 0)
    with pytest.raises(ValueError, match="image 7 must be an array"):
        pixels_or_file(PLAIN[0, 0], 7)
