"""The blocks of figures about networks: those that come with trained weights, and the paper's, which do not.

print(presets())        # the first table of models.md
"""

from figures import table

import keras_mixsize as kms
from keras_mixsize.recipes.paper import PAPER


def presets() -> str:
    """Return the accuracies by size of the presets, and what they were trained on."""
    found = kms.models.presets()
    sizes = list(next(iter(found.values()))["accuracy"])
    header = ["preset", *(f"{size} px" for size in sizes), "parameters"]
    rows = [
        [f"`{name}`", *(f"{100 * about['accuracy'][size]:.1f} %" for size in sizes), f"{about['parameter_count']:,}"]
        for name, about in found.items()
    ]
    data = dict.fromkeys(f"- {about['training']['setting']}: {about['data']}" for about in found.values())
    return f"{table(header, rows)}\n\n" + "\n".join(data)


def untrained() -> str:
    """Return the command that trains each of the paper's networks, and the accuracies that the paper reports."""
    header = ["command", "paper: baseline", "B+", "D+"]
    rows = [
        [f"`mixsize train --recipe={row.dataset}/{row.network}/b+`", *(f"{value:.2f} %" for value in row.accuracy)]
        for row in PAPER
    ]
    return table(header, rows)
