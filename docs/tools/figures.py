"""How the documentation shows figures: numbers as text, rows as Markdown tables, the machine in a sentence.

The modules `*_blocks.py` beside it make a block of a page each with these; `write_docs.py` puts the blocks into the
pages.

    table(["size", "ms"], [["32 px", spread([1.1, 1.2, 1.5], 1)]])      # ... | 32 px | 1.2 (1.1 to 1.5) |
"""

import json
import pathlib

ROOT = pathlib.Path(__file__).parents[2]


def read(name: str) -> dict:
    """Return a JSON file of the documentation."""
    return json.loads((ROOT / "docs" / name).read_text())


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, numbers to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def interval(accuracy: dict) -> str:
    """Return an accuracy with its interval, in percent."""
    return f"{100 * accuracy['value']:.1f} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"


def spread(figures: list[float], digits: int) -> str:
    """Return a median with its quartiles."""
    low, median, high = figures
    return f"{median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def shape(bucket: dict) -> str:
    """Return a bucket's size, batch and duplicates."""
    return f"{bucket['size']} x {bucket['batch']} x {bucket['duplicates']}"


def packages(versions: dict) -> str:
    """Return the packages that a figure was measured with."""
    return ", ".join(f"{name} {version}" for name, version in versions.items() if name != "machine")


def machine(versions: dict) -> str:
    """Return what a figure was measured with, in one line."""
    return f"Measured on {versions['machine']} (shared), without a GPU; {packages(versions)}."
