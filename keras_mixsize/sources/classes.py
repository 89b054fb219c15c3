"""Some classes of a source, numbered anew.

Neighbour: `source`, whose `take` does the rest. `folder`, `records` and `sequence` offer it as `classes=`.

    source = of_classes(folder("photos/train"), ["dog", "cat"])
    source.num_classes, source.class_names                              # 2, ("dog", "cat")
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from keras_mixsize.arguments import check_choice
from keras_mixsize.sources.source import Source


def of_classes(source: Source, classes: Sequence[str | int] | None) -> Source:
    """Return the examples of some classes, which are numbered 0, 1, 2, ... in the order given.

    Args:
        source: of which each example has one class.
        classes: names or numbers of classes; None for all, as they are.

    Raises:
        ValueError: a class that there is not, with the nearest one, one without examples or given twice, or labels that
            are no classes.

    Example:
        >>> source = ArraySource(np.zeros([4, 8, 8, 1], np.uint8), np.array([2, 0, 1, 2]))
        >>> of_classes(source, [2, 0]).labels.tolist()
        [0, 1, 0]
    """
    if classes is None:
        return source
    if not source.has_classes:
        raise ValueError("classes can be chosen only where each example has one class; give such labels")
    if isinstance(classes, (str, int)) or not len(classes):
        raise ValueError(f"classes must be a list of names or numbers of classes, got {classes!r}")
    numbers = [_number_of(name, source) for name in classes]
    number, times = collections.Counter(numbers).most_common(1)[0]
    if times > 1:
        raise ValueError(f"classes must differ, got {classes[numbers.index(number)]!r} {times} times")
    new = np.full(max(source.num_classes, *numbers, 0) + 1, -1, np.int64)
    new[numbers] = np.arange(len(numbers))
    chosen = new[source.labels]
    for name, count in zip(classes, np.bincount(chosen[chosen >= 0], minlength=len(numbers))):
        if not count:
            raise ValueError(f"classes must have examples, got {name!r} without any; leave it out")
    part = source.take(np.flatnonzero(chosen >= 0))
    part.labels = chosen[chosen >= 0]
    names = source.class_names
    part.class_names = None if names is None else tuple(names[number] for number in numbers)
    return part


def _number_of(name: str | int, source: Source) -> int:
    """Return the number of a class that is given by its name or number."""
    if isinstance(name, str):
        if source.class_names is None:
            raise ValueError(f"classes must be numbers, because the source has no class_names, got {name!r}")
        check_choice("classes", name, source.class_names)
        return source.class_names.index(name)
    if not isinstance(name, (int, np.integer)) or isinstance(name, bool) or not 0 <= name < source.num_classes:
        raise ValueError(f"classes must be names, or numbers in [0, {source.num_classes}), got {name!r}")
    return int(name)
