"""The flag --sizes: image sizes in pixels with commas between.

    SIZES = define_sizes("Test sizes in pixels.", FLAGS)            # --sizes=16,24,32
    SIZES.value                                                     # (16, 24, 32), or None

Used by every command that takes test sizes.
"""

from __future__ import annotations

from absl import flags


class SizesParser(flags.ArgumentParser):
    """Text such as `16,24,32` to a tuple of integers, each once, ascending."""

    syntactic_help = "sizes in pixels with commas between"

    def parse(self, argument: str | tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes.

        Raises:
            ValueError: a part that is no whole number of at least 1.
        """
        if isinstance(argument, tuple):
            return argument
        parts = [part.strip() for part in argument.split(",")]
        wrong = [part for part in parts if not part.isdecimal() or int(part) < 1]
        if wrong:
            raise ValueError(
                f"sizes must be whole numbers of pixels with commas between, as in 16,24; got {wrong[0]!r}"
            )
        return tuple(sorted({int(part) for part in parts}))

    def flag_type(self) -> str:
        """See absl."""
        return "sizes"


class _Serializer(flags.ArgumentSerializer):
    def serialize(self, value):
        return ",".join(map(str, value))


def define_sizes(text: str, flag_values: flags.FlagValues) -> flags.FlagHolder:
    """Define --sizes, which is None unless it is given.

    Args:
        text: what `--help` says of it.
        flag_values: of the command.
    """
    return flags.DEFINE(SizesParser(), "sizes", None, text, flag_values=flag_values, serializer=_Serializer())
