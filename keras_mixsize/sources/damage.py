"""What happens to images that cannot be used: the policy, the faults, and an `attempt` inside the input graph.

An image is damaged if it cannot be read (a link that leads nowhere, no permission, a checksum that differs), is empty,
of no format that `images.formats` reads by its first bytes (whatever its name says), larger than a limit by its own
header, or cannot be decoded. These are not damage: CMYK is converted to RGB, 16 bits are cut to 8, grey is repeated
for three channels, a JPEG is turned as its Exif data says, and bits flipped inside a JPEG's data, which no decoder
notices. `encoded` applies the policy.

    folder("photos/train", damage="raise")                              # the default: an error that names the file
    folder("photos/train", damage="skip")                               # the plan's next sample takes the place
    folder("photos/train", damage=DamagePolicy("skip", max_share=0.001, max_pixels=50_000_000))
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mixsize.images.batch_headers import UNKNOWN
from keras_mixsize.images.formats import header_of
from keras_mixsize.images.headers import PIXEL_LIMIT

ACTIONS = ("raise", "skip")
FAULTS = (
    "",
    "it is empty",
    "it is neither JPEG, PNG, WebP nor BMP",
    "it has more pixels than max_pixels",
    "it cannot be decoded",
    "it cannot be read",
)
REMEDY = "repair or remove it, or train with damage='skip'"
TURNS = 64  # samples in a row that may be damaged
GOOD, EMPTY, FORMAT, PIXELS, BROKEN, UNREADABLE = range(len(FAULTS))


@dataclasses.dataclass(frozen=True)
class DamagePolicy:
    """What to do with damaged images.

    Attributes:
        action: `"raise"` an error that names the image, or `"skip"` it: the next sample in the plan's order that is not
            damaged takes its place.
        max_share: the largest share of a source's examples that may be skipped before it is an error.
        max_pixels: the most pixels an image may claim in its header; a file of a few kilobytes can claim gigabytes.

    Raises:
        ValueError: another action, a share outside [0, 1], or a limit below 1.
    """

    action: str = "raise"
    max_share: float = 0.01
    max_pixels: int = PIXEL_LIMIT

    def __post_init__(self):
        if self.action not in ACTIONS:
            raise ValueError(f"damage must be one of {ACTIONS} or a DamagePolicy, got {self.action!r}")
        if not 0 <= self.max_share <= 1:
            raise ValueError(f"max_share must lie in [0, 1], got {self.max_share!r}")
        if self.max_pixels < 1:
            raise ValueError(f"max_pixels must be at least 1, got {self.max_pixels!r}")

    @classmethod
    def of(cls, damage: str | DamagePolicy) -> DamagePolicy:
        """Return the policy that a user's `damage=` means: itself, or that of the action with the usual limits."""
        return damage if isinstance(damage, cls) else cls(damage)


class Damaged(NamedTuple):
    """A damaged example: its index, where it lies, and what is wrong with it."""

    index: int
    name: str
    fault: str

    def __str__(self) -> str:
        return f"image {self.name} (index {self.index}) cannot be used: {self.fault}"


def check_sides(sides: np.ndarray, policy: DamagePolicy, describe: Callable[[int], str]) -> None:
    """Raise a ValueError for the first image that its header shows to be damaged, if the policy is to raise.

    Args:
        sides: integers `[N, 2]`, heights and widths in pixels, 0 where there is no header of a JPEG or PNG.
        policy: what to do.
        describe: function of an index, where it lies.
    """
    pixels = sides.astype(np.int64).prod(axis=1)
    bad = np.flatnonzero((pixels == 0) | (pixels > policy.max_pixels))
    if policy.action == "skip" or not bad.size:
        return
    index, name = int(bad[0]), describe(int(bad[0]))
    fault = (
        FAULTS[PIXELS]
        if pixels[index]
        else why_unreadable(name) or "it does not begin as a JPEG, PNG, WebP or BMP image does"
    )
    raise ValueError(f"{Damaged(index, name, fault)}, and {bad.size - 1} more; {REMEDY}")


def why_unreadable(name: str) -> str:
    """Return the reason for which the system cannot read a file, "" if it can or there is no file of this name."""
    try:
        with open(name, "rb") as stream:
            stream.read(1)
    except OSError as error:
        return f"{FAULTS[UNREADABLE]}: {error.strerror}" if os.path.lexists(name) else ""
    except ValueError:  # a name that no file can have
        return ""
    return ""


# Inside the input graph


def data_fault(data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Return which fault an encoded image shows before it is decoded: int32 scalar, 0 for none.

    Args:
        data: string scalar.
        max_pixels: the limit.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, if the header is broken.
    """
    header = header_of(data)
    pixels = tf.reduce_prod(tf.cast(header.sides[0], tf.int64))
    large = tf.where(pixels > max_pixels, PIXELS, tf.where(pixels > 0, GOOD, BROKEN))
    fault = tf.where(header.formats[0] == UNKNOWN, FORMAT, large)
    return tf.where(tf.strings.length(data) == 0, EMPTY, fault)


def attempt(function: Callable, arguments, otherwise):
    """Return `function(*arguments)`, or `otherwise` if it fails, inside a graph.

    TensorFlow has no try; a data set of one element that ignores errors is one. It costs up to a millisecond, because
    tf.data looks up every kernel of the function each time, so it is put around a batch, not around each image.

    Args:
        function: of tensors, returns a tensor or a structure of them.
        arguments: tuple of tensors.
        otherwise: the same of the same dtypes and ranks.
    """
    function = tf.autograph.experimental.do_not_convert(function)
    tried = tf.data.Dataset.from_tensors(arguments).map(function).ignore_errors()
    return tried.concatenate(tf.data.Dataset.from_tensors(otherwise)).take(1).get_single_element()


def fault_of(index, copies, read: Callable, shows: Callable, renders: Callable, decodes: Callable) -> tf.Tensor:
    """Return the fault of one image: int32 scalar, 0 for none.

    It is at fault if it can neither be rendered with these seeds nor be decoded whole, so that a mistake in the user's
    augmentation is not taken for damage. That does not depend on the other images of the batch.

    Args:
        index, copies: the example, int64 scalar, and its seeds, uint32 `[D]`.
        read: function of index, the encoded image; fails if it cannot be read.
        shows: function of index, the fault that its header shows; may fail.
        renders: function of (index, copies), the rendered pixels; fails if it cannot be rendered.
        decodes: function of index, the image's pixels; fails if it cannot be decoded.
    """
    readable = attempt(lambda index: tf.strings.length(read(index)) >= 0, (index,), False)
    shown = tf.cond(readable, lambda: attempt(shows, (index,), BROKEN), lambda: UNREADABLE)
    good = attempt(lambda *pair: _computed(renders(*pair)), (index, copies), False)

    def whole():
        return attempt(lambda index: _computed(decodes(index)), (index,), False)

    good = tf.cond(good | (shown > GOOD), lambda: good, whole)
    return tf.where(good, GOOD, tf.where(shown > GOOD, shown, BROKEN))


def _computed(pixels: tf.Tensor) -> tf.Tensor:
    """Return True, but not before the pixels are there: TensorFlow leaves out what only a shape is asked of."""
    return tf.reduce_max(pixels) >= 0


def refuse(indices: tf.Tensor, faults: Callable, describe: Callable) -> tf.Tensor:
    """Return the indices, or fail with the name of the first damaged image.

    Args:
        indices: int64 `[B]`.
        faults: function of (indices, suspects bool `[B]`), the fault of each suspect, int32 `[B]`.
        describe: function of an index, where it lies, string scalar.
    """
    found = faults(indices, tf.ones_like(indices, tf.bool))
    bad = tf.argmax(found > GOOD)
    name = tf.strings.unicode_transcode(describe(indices[bad]), "UTF-8", "UTF-8")  # or Python could not read the error
    parts = ["image ", name, " (index ", tf.strings.as_string(indices[bad]), ") cannot be used: "]
    text = tf.strings.join(
        [*parts, tf.gather(FAULTS, found[bad]), "; repair or remove it, or train with damage='skip'"]
    )
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(found == GOOD), [text])]):
        return tf.identity(indices)


def _in_words(fault: int, name: str) -> str:
    """Return a fault in words, with the system's reason where there is one."""
    return (why_unreadable(name) if fault == UNREADABLE else "") or FAULTS[fault]


class SkipList:
    """The damaged images that were skipped, and what replaces them.

    The list is a table of this process that the input graph writes to and nothing in it depends on; a checkpoint of an
    iterator does not hold it.

    Args:
        max_share: the largest share of examples that may be on it.
        num_examples: of the source.
    """

    def __init__(self, max_share: float, num_examples: int):
        self.max_share = max_share
        self.num_examples = num_examples
        with tf.init_scope(), tf.device("CPU:0"):
            self._faults = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int32, GOOD)

    def __getstate__(self) -> dict:
        return vars(self) | {"_faults": [column.numpy() for column in self._faults.export()]}

    def __setstate__(self, state: dict):
        self.__init__(state["max_share"], state["num_examples"])
        self._faults.insert(*map(tf.constant, state["_faults"]))

    def report(self, describe: Callable) -> tuple[Damaged, ...]:
        """Return what is on the list, by index."""
        found = sorted(zip(*(column.numpy().tolist() for column in self._faults.export())))
        named = [(index, os.fsdecode(describe(index).numpy()), fault) for index, fault in found]
        return tuple(Damaged(index, name, _in_words(fault, name)) for index, name, fault in named)

    def replace(self, indices: tf.Tensor, faults: Callable, redraw: Callable) -> tf.Tensor:
        """Return the indices, each damaged one replaced by the next in the plan's order that is good, and list those.

        Args:
            indices, faults: as for `refuse`.
            redraw: as for `Source.load`.
        """

        def replace(turn, indices, bad):
            found = faults(indices, bad)
            bad = found > GOOD
            listed = self._faults.insert(tf.boolean_mask(indices, bad), tf.boolean_mask(found, bad))
            with tf.control_dependencies([listed]):
                return turn + 1, tf.where(bad, redraw(turn), indices), bad

        start = (tf.constant(1, tf.int64), indices, tf.ones_like(indices, tf.bool))
        _, chosen, bad = tf.while_loop(lambda turn, _, bad: tf.reduce_any(bad) & (turn <= TURNS), replace, start)
        with tf.control_dependencies(self._checks(bad)):
            return tf.identity(chosen)

    def _checks(self, bad: tf.Tensor) -> list:
        share = tf.cast(self._faults.size(), tf.float32) / self.num_examples
        long = f"{TURNS} samples in a row are damaged; see damage_report() of the source"
        many = (
            f"more than {self.max_share:.4%} of the images are damaged; see damage_report() of the source, or raise "
            "max_share"
        )
        checks = [(~tf.reduce_any(bad), long), (share <= self.max_share, many)]
        return [check for check in (tf.debugging.Assert(good, [text]) for good, text in checks) if check is not None]
