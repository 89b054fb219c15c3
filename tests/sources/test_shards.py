"""Shards as a source: patterns, lists of files and converted folders, and what is refused."""

import pytest
from pictures import write_shards

from keras_mixsize import sources


def test_records_without_labels_are_refused(tmp_path):
    paths, _ = write_shards(tmp_path, [3], label=lambda number: -1)
    with pytest.raises(ValueError, match="must have labels, got none; use a split that has them"):
        sources.records(tmp_path / "train*")


def test_a_pattern_that_matches_nothing_or_misses_a_shard_is_named(tmp_path):
    paths, _ = write_shards(tmp_path, [2, 2, 2])
    assert sources.records(paths).num_examples == 6
    paths[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"shards \[1\] of"):
        sources.records(tmp_path / "train.tfrecord-*")
    with pytest.raises(FileNotFoundError, match="valid.* matches no file; give a pattern"):
        sources.records(tmp_path / "valid*")
