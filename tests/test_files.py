"""Files: replaced whole, worked on in order, cached."""

import concurrent.futures
import os
import sys
import threading
import time

import numpy as np
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


# Whole replacement


def test_nothing_stays_of_a_writer_that_fails_or_was_killed(tmp_path):
    (tmp_path / ".index.killed.tmp").write_bytes(b"half")
    os.utime(tmp_path / ".index.killed.tmp", (0, 0))
    with pytest.raises(RuntimeError), files.replaced(tmp_path / "index"):
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_the_temporary_file_of_another_writer_stays_while_it_writes(tmp_path):
    with files.replacement(tmp_path / "index") as slow:
        slow.write_bytes(b"slow")
        os.utime(slow, (0, 0))
        with files.replaced(tmp_path / "index") as stream:
            stream.write(b"fast")
        assert (tmp_path / "index").read_bytes() == b"fast" and slow.exists()
    assert (tmp_path / "index").read_bytes() == b"slow"


@pytest.mark.parametrize("age, stays", [(10, True), (7200, False)])
def test_without_locks_a_temporary_file_stays_for_an_hour(tmp_path, monkeypatch, age, stays):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    other = tmp_path / ".index.other.tmp"
    other.write_bytes(b"half")
    os.utime(other, (time.time() - age,) * 2)
    with files.replaced(tmp_path / "index") as stream:
        stream.write(b"whole")
    assert other.exists() == stays and (tmp_path / "index").read_bytes() == b"whole"


def test_two_may_write_the_same_file_at_once(tmp_path):
    with files.replaced(tmp_path / "index") as one, files.replaced(tmp_path / "index") as other:
        one.write(b"one")
        other.write(b"other")
    assert (tmp_path / "index").read_bytes() == b"one" and os.listdir(tmp_path) == ["index"]


# Caches


class Building:
    """Builds arrays and remembers of what."""

    def __init__(self):
        self.seen = []

    def __call__(self, old):
        self.seen.append({name: values.tolist() for name, values in old.items()})
        return {"squares": np.arange(4) ** 2, "nothing": np.zeros([0, 2])}


def opened(path, build, stamp="stamp"):
    found = files.cached(path, stamp, build, "table")
    assert sorted(found) == ["nothing", "squares"] and found["squares"].tolist() == [0, 1, 4, 9]
    assert found["nothing"].shape == (0, 2)


def test_a_cache_is_built_once_for_a_stamp_and_the_next_build_sees_it(tmp_path):
    build = Building()
    for stamp in ("one", "one", "other\udcff", "other\udcff"):
        opened(tmp_path / "cache", build, stamp)
    assert build.seen == [{}, {"squares": [0, 1, 4, 9], "nothing": []}] and os.listdir(tmp_path) == ["cache"]


def test_a_cache_with_any_byte_changed_is_made_anew(tmp_path):
    path = tmp_path / "cache"
    opened(path, Building())
    content = path.read_bytes()
    for position in range(len(content)):
        build = Building()
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        opened(path, build)
        assert build.seen == [{}], position


@pytest.mark.parametrize(
    "harm",
    [lambda content: b"", lambda content: content[:50], lambda content: content[:-3], lambda content: content + b"1"],
    ids=["empty", "start", "cut", "longer"],
)
def test_a_cache_of_another_length_is_made_anew_with_one_line(tmp_path, harm, caplog):
    path, build = tmp_path / "cache", Building()
    opened(path, build)
    path.write_bytes(harm(path.read_bytes()))
    opened(path, build)
    opened(path, build)
    assert len(build.seen) == 2 and caplog.text.count("cannot be read and is made anew") == len(caplog.records) == 1


def test_an_archive_of_version_0_1_0_is_made_anew(tmp_path, caplog):
    np.savez(tmp_path / "cache.npz", squares=np.arange(3))
    opened(tmp_path / "cache.npz", Building())
    assert "table" in caplog.text and "it is empty or of another version" in caplog.text


def test_where_nothing_can_be_written_there_is_no_cache(tmp_path, caplog):
    build = Building()
    opened(tmp_path / "no" / "where", build)
    opened(tmp_path / "no" / "where", build)
    assert len(build.seen) == 2 and caplog.text.count("table cannot be kept") == len(caplog.records) == 2


def test_an_error_while_building_keeps_the_old_cache(tmp_path):
    opened(tmp_path / "cache", Building(), "one")
    with pytest.raises(ZeroDivisionError):
        files.cached(tmp_path / "cache", "other", lambda old: 1 // 0, "table")
    build = Building()
    opened(tmp_path / "cache", build, "one")
    assert build.seen == [] and os.listdir(tmp_path) == ["cache"]


def test_two_that_start_at_once_both_have_the_arrays(tmp_path):
    meeting = threading.Barrier(2, timeout=600)

    def build(old):
        meeting.wait()
        return Building()(old)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: opened(tmp_path / "cache", build), range(2)))
    opened(tmp_path / "cache", None)
    assert os.listdir(tmp_path) == ["cache"]
