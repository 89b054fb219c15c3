"""The flag --sizes."""

import pytest
from absl import flags

from keras_mixsize.cli.sizes import define_sizes


@pytest.fixture
def values():
    return flags.FlagValues()


@pytest.mark.parametrize(
    ("text", "sizes"), [("24", (24,)), ("24,16,24", (16, 24)), (" 16, 32", (16, 32)), (None, None)]
)
def test_sizes_are_numbers_each_once_ascending(values, text, sizes):
    holder = define_sizes("Sizes.", values)
    values(["program"] + ([f"--sizes={text}"] if text else []))
    assert holder.value == sizes


@pytest.mark.parametrize("text", ["", "16,,24", "0", "16,-8", "24.0", "big"])
def test_what_is_no_size_is_named(values, text):
    define_sizes("Sizes.", values)
    with pytest.raises(flags.IllegalFlagValueError, match="sizes must be whole numbers of pixels"):
        values(["program", f"--sizes={text}"])


def test_a_flag_file_gives_them_back(values, tmp_path):
    holder = define_sizes("Sizes.", values)
    values(["program", "--sizes=24,16"])
    (tmp_path / "flags").write_text(values.flags_into_string())
    values.unparse_flags()
    values(["program", f"--flagfile={tmp_path / 'flags'}"])
    assert holder.value == (16, 24)
