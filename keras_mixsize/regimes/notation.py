"""Notation: the compact text of a regime or a schedule, as a command line's flag holds it.

Pure functions of text, used by `regime` and `schedule`; a `Bucket` prints itself in the same form.

    shapes_of("32x64x1:0.5,16x64x4:0.5")        # [((32, 64, 1), 0.5), ((16, 64, 4), 0.5)]
    shapes_of("32:0.3,24:0.7")                  # [((32,), 0.3), ((24,), 0.7)]
    stages_of("0.8*cifar/d+; 0.2*32x64x1:1")    # [(0.8, "cifar/d+"), (0.2, "32x64x1:1")]
"""

from __future__ import annotations


def shapes_of(text: str) -> list[tuple[tuple[int, ...], float]]:
    """Return what each entry of a text says: ((size[, batch[, duplicates]]), probability).

    Args:
        text: entries separated by commas, `size:probability` throughout or `sizexbatch[xduplicates]:probability`
            throughout.

    Raises:
        ValueError: no entry, one that cannot be read, both forms in one text, or a size named twice without batches.
    """
    shapes = [_shape_of(entry) for entry in text.split(",") if entry.strip()]
    if not shapes:
        raise ValueError(f'regime text must hold entries such as "32:0.5,24:0.5", got {text!r}')
    if len({gives_batch(shape) for shape, _ in shapes}) > 1:
        raise ValueError(f"regime text must give batches for all sizes or for none, got {text!r}")
    sizes = [shape[0] for shape, _ in shapes]
    if not gives_batch(shapes[0][0]) and len(set(sizes)) < len(sizes):
        raise ValueError(f"regime text must name each size once unless it gives batches, got {text!r}")
    return shapes


def gives_batch(shape: tuple[int, ...]) -> bool:
    """Return whether an entry's shape has more than a size."""
    return len(shape) > 1


def stages_of(text: str) -> list[tuple[float, str]]:
    """Return what each stage of a schedule's text says: (share of all steps, text of the regime).

    Args:
        text: stages `share*regime` separated by semicolons; a single regime may stand without a share.

    Raises:
        ValueError: no stage, or one that cannot be read.
    """
    stages = [stage.strip() for stage in text.split(";") if stage.strip()]
    if len(stages) == 1 and "*" not in stages[0]:
        return [(1.0, stages[0])]
    if not stages:
        raise ValueError(f'schedule text must hold stages such as "0.8*cifar/d+; 0.2*32x64x1:1", got {text!r}')
    return [_stage_of(stage) for stage in stages]


def _stage_of(stage: str) -> tuple[float, str]:
    share, _, regime = stage.partition("*")
    try:
        return float(share), regime.strip()
    except ValueError as error:
        raise ValueError(
            f"schedule stage {stage!r} cannot be read ({error}); write share*regime, such as 0.2*32x64x1:1"
        ) from error


def _shape_of(entry: str) -> tuple[tuple[int, ...], float]:
    try:
        shape, probability = entry.split(":")
        numbers = tuple(int(part) for part in shape.split("x"))
        if len(numbers) > 3:
            raise ValueError("more than three numbers")
        return numbers, float(probability)
    except ValueError as error:
        raise ValueError(
            f"regime entry {entry!r} cannot be read ({error}); write size:probability, such as 32:0.3, "
            "or sizexbatchxduplicates:probability, such as 32x64x1:0.3"
        ) from error
