"""Files: replaced whole, worked on in order."""

import os
import threading

import pytest

from keras_mixsize import files


def test_a_replacement_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "index"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), files.replaced(path) as stream:
        stream.write(b"half of the new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    with files.replaced(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["index"]


def test_stamps_change_with_size_and_time(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12")
    before = files.stamps([str(path)])
    assert before.shape == (1, 2) and before[0, 0] == 2
    os.utime(path, ns=(0, 7))
    assert files.stamps([str(path)]).tolist() == [[2, 7]]
    assert files.stamps([]).shape == (0, 2)


def test_results_come_in_order_whatever_ends_first():
    gate = threading.Event()

    def work(item):
        if item == 0:
            gate.wait(5)
        gate.set()
        return item * item

    assert files.in_parallel(work, range(20), "squares", threads=4) == [item * item for item in range(20)]


def test_the_first_error_is_raised():
    with pytest.raises(ZeroDivisionError):
        files.in_parallel(lambda item: 1 // item, [3, 0, 1], "quotients")
