"""XLA's programs on disk: found again by the same version and machine, and only if they are what was written."""

import os
import subprocess
import sys

import pytest

from keras_mixsize import xla_cache

PROGRAM = """
import sys
from keras_mixsize import xla_cache
folder = xla_cache.use(sys.argv[1])
import tensorflow as tf

@tf.function(jit_compile=True)
def doubled(x):
    return tf.reduce_sum(2.0 * tf.nn.relu(x))

print(float(doubled(tf.ones([3, 5]))), xla_cache.seal(folder))
"""


@pytest.fixture
def before_tensorflow(monkeypatch):
    """A process that has not loaded TensorFlow, as far as the cache can tell."""
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setenv(xla_cache.VARIABLE, "--tf_xla_auto_jit=0")


def test_tensorflow_is_told_of_a_folder_beside_other_flags(before_tensorflow, tmp_path):
    folder = xla_cache.use(tmp_path / "cache")
    assert folder.parent == tmp_path / "cache" and folder.is_dir()
    flags = os.environ[xla_cache.VARIABLE]
    assert flags == f"--tf_xla_auto_jit=0 --tf_xla_persistent_cache_directory={folder}"


def test_another_version_or_processor_has_another_folder(monkeypatch, tmp_path):
    here = xla_cache.versions_and_machine()
    assert here == xla_cache.versions_and_machine()
    processor = tmp_path / "cpuinfo"
    processor.write_text("flags : fpu sse\nbogomips : 5\n")
    monkeypatch.setattr(xla_cache, "_COMPILED_FOR", {str(processor): ("flags",)})
    old = xla_cache.versions_and_machine()
    processor.write_text("flags : fpu sse\nbogomips : 6\n")
    assert xla_cache.versions_and_machine() == old
    processor.write_text("flags : fpu sse avx\nbogomips : 6\n")
    assert len({here, old, xla_cache.versions_and_machine()}) == 3
    monkeypatch.setattr(xla_cache.importlib.metadata, "version", lambda package: "9.9.9")
    assert "-9.9.9_" in xla_cache.versions_and_machine()


def test_only_programs_that_were_sealed_and_are_whole_are_kept(before_tensorflow, tmp_path):
    folder = xla_cache.use(tmp_path)
    for name in ("kept", "flipped", "cut", "gone"):
        (folder / name).write_bytes(b"machine code")
    assert xla_cache.seal(folder) == 4
    (folder / "flipped").write_bytes(b"machine c0de")
    (folder / "cut").write_bytes(b"machine")
    (folder / "gone").unlink()
    (folder / "unsealed").write_bytes(b"half a prog")
    xla_cache.use(tmp_path)
    assert [path.name for path in folder.iterdir() if path.name != "sums.json"] == ["kept"]


@pytest.mark.parametrize("sums", [b"", b"{", b"[]", b'{"program": 3}', b"\xff"])
def test_programs_of_a_damaged_list_are_compiled_anew(before_tensorflow, tmp_path, sums):
    folder = xla_cache.use(tmp_path)
    (folder / "program").write_bytes(b"machine code")
    xla_cache.seal(folder)
    (folder / "sums.json").write_bytes(sums)
    xla_cache.use(tmp_path)
    assert not (folder / "program").exists()


def test_it_is_too_late_when_tensorflow_is_loaded(tmp_path):
    with pytest.raises(ValueError, match="before TensorFlow is loaded, got .* afterwards; call xla_cache.use"):
        xla_cache.use(tmp_path)


def test_white_space_would_end_the_flag(before_tensorflow, tmp_path):
    with pytest.raises(ValueError, match="without white space, got .*my cache"):
        xla_cache.use(tmp_path / "my cache")


@pytest.mark.slow
def test_a_second_process_takes_the_program_and_a_third_compiles_a_damaged_one_anew(tmp_path):
    def run():
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True, timeout=600
        )
        assert done.stdout.split() == ["30.0", "1"]
        (program,) = tmp_path.glob("*/*.pb")
        return program, program.stat().st_mtime_ns

    program, written = run()
    whole = program.read_bytes()
    assert run() == (program, written)  # was not written again
    for start in range(len(whole) // 4, len(whole), len(whole) // 3):
        damaged = bytearray(whole)
        damaged[start : start + 64] = bytes(byte ^ 0xFF for byte in damaged[start : start + 64])
        program.write_bytes(damaged)
        assert run()[1] != written and program.read_bytes() != damaged
