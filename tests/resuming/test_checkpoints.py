"""Checkpoints on disk: whole or not there, and damage is noticed."""

import pathlib

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.resuming import checkpoints

VALUES = [np.arange(6, dtype=np.float32).reshape(2, 3), np.int64(2**40), np.array([True]), np.float32("nan")]


def files_of(directory):
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float32", "int32", "int64", "uint8", "bool"])
def test_values_come_back_bitwise(tmp_path, dtype):
    value = np.arange(24).reshape(2, 3, 4).astype(dtype)
    read = checkpoints.read(checkpoints.write(tmp_path, 7, [value, *VALUES], {"seed": 3}))
    assert read.step == 7 and read.facts == {"seed": 3}
    for one, other in zip([value, *VALUES], read.values, strict=True):
        assert np.asarray(one).dtype == other.dtype and np.asarray(one).tobytes() == other.tobytes()


def test_the_newest_by_number_is_taken_and_the_last_few_are_kept(tmp_path):
    for step in (9, 100, 20):
        checkpoints.write(tmp_path, step, [np.float32(step)], {})
    assert checkpoints.newest(tmp_path).step == 100
    checkpoints.prune(tmp_path, keep=2)
    assert [path.name for path in checkpoints.paths(tmp_path)] == ["step-0000000020", "step-0000000100"]


def test_no_directory_and_an_empty_one_have_no_checkpoint(tmp_path):
    assert checkpoints.newest(tmp_path) is None and checkpoints.newest(tmp_path / "none") is None


def test_a_checkpoint_of_the_same_number_is_replaced(tmp_path):
    for value in (1, 2):
        checkpoints.write(tmp_path, 5, [np.int64(value)], {})
    assert checkpoints.newest(tmp_path).values == [2]


@pytest.mark.parametrize("name", ["step-0000000030.bak", "step-0000000030 (copy)", "step-30", "step-best"])
def test_folders_of_other_names_are_left_alone(tmp_path, name):
    others = [tmp_path / name, tmp_path / f".{name}.tmp", tmp_path / f".{name}.old"]
    for other in others:
        other.mkdir()
    for step in (1, 2):
        checkpoints.write(tmp_path, step, [np.int64(step)], {})
    checkpoints.remove_unfinished(tmp_path)
    checkpoints.prune(tmp_path, keep=1)
    assert [path.name for path in checkpoints.paths(tmp_path)] == ["step-0000000002"]
    assert checkpoints.newest(tmp_path).step == 2 and all(other.is_dir() for other in others)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [truncate, flip_bit, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["state.data-00000-of-00001", "state.index", "facts.json"])
def test_damage_costs_one_checkpoint_and_is_said(tmp_path, name, harm):
    checkpoints.write(tmp_path, 1, VALUES, {"step": 1})
    harm(checkpoints.write(tmp_path, 2, VALUES, {"step": 2}) / name)
    with pytest.warns(UserWarning, match=f"step-0000000002 is damaged .*{name}.*moved to damaged-step-0000000002"):
        assert checkpoints.newest(tmp_path).facts == {"step": 1}
    assert (tmp_path / "damaged-step-0000000002").is_dir() and checkpoints.newest(tmp_path).step == 1


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), tf.errors.ResourceExhaustedError(None, None, "")]
)
def test_a_write_that_fails_leaves_the_directory_as_it_was(tmp_path, monkeypatch, error):
    checkpoints.write(tmp_path, 1, VALUES, {})
    before = files_of(tmp_path)

    def fail(path):
        raise error

    monkeypatch.setattr(checkpoints, "_flush", fail)
    with pytest.raises(checkpoints.WRITE_ERRORS):
        checkpoints.write(tmp_path, 2, VALUES, {})
    assert files_of(tmp_path) == before


def test_what_a_killed_process_left_is_removed(tmp_path):
    checkpoints.write(tmp_path, 1, VALUES, {})
    before = files_of(tmp_path)
    (tmp_path / ".step-0000000002.tmp").mkdir()
    (tmp_path / ".step-0000000002.tmp" / "state.index").touch()
    assert checkpoints.newest(tmp_path).step == 1
    checkpoints.remove_unfinished(tmp_path)
    assert files_of(tmp_path) == before


def replace_killed(directory, monkeypatch):
    """Write a checkpoint twice; the second time, only what runs before the new folder gets its name is done."""
    checkpoints.write(directory, 5, [np.int64(1)], {})
    rename = pathlib.Path.rename

    def fail(path, target):
        if path.suffix == ".tmp":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", fail)
    with pytest.raises(OSError):
        checkpoints.write(directory, 5, [np.int64(2)], {})
    monkeypatch.undo()


def test_a_checkpoint_whose_replacement_fails_stays(tmp_path, monkeypatch):
    replace_killed(tmp_path, monkeypatch)
    assert checkpoints.newest(tmp_path).values == [1] and files_of(tmp_path)[0] == "step-0000000005"


def test_a_checkpoint_is_never_lost_while_it_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_put_back", lambda old, final: None)  # killed: nothing is done afterwards
    replace_killed(tmp_path, monkeypatch)
    checkpoints.remove_unfinished(tmp_path)
    assert checkpoints.newest(tmp_path).values == [1] and files_of(tmp_path)[0] == "step-0000000005"


def test_what_was_replaced_is_removed_if_the_process_was_killed_then(tmp_path):
    checkpoints.write(tmp_path, 5, [np.int64(2)], {})
    (tmp_path / ".step-0000000005.old").mkdir()
    checkpoints.remove_unfinished(tmp_path)
    assert checkpoints.newest(tmp_path).values == [2] and files_of(tmp_path)[0] == "step-0000000005"
