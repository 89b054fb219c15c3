"""Which run a checkpoint is of: what must be equal for a run to go on, and what differs.

check_run(saved, describe_run(model, plan, steps_per_epoch), path)
"""

from __future__ import annotations

import json
import re

from keras_mixsize.internals import layers_of

_NEW = "dtype_policy"  # checkpoints of version 0.1.0 lack it


def describe_run(model, plan, steps_per_epoch: int) -> dict:
    """Return what must be equal for a run to go on, as JSON holds it."""
    counted = len(model.variables), len(model.optimizer.variables)
    described = [
        # Keras numbers the names within a process: conv2d_1 in the first model may be conv2d_5 in the second
        [re.sub(r"_\d+(?=[/_]|$)", "", variable.path), list(variable.shape), str(variable.dtype)]
        for variable in model.state_variables
    ]
    run = {
        "regime": str(plan.regime),
        "share": ",".join(dict.fromkeys(regime.share for _, regime in plan.regime.stages)),
        "epochs": plan.epochs if plan.is_scheduled else None,  # more of a single regime are the same run
        "num_examples": plan.num_examples,
        "seed": plan.seed,
        "sampling": plan.sampling_words,
        "steps_per_epoch": steps_per_epoch,
        _NEW: ", ".join(dict.fromkeys(layer.dtype_policy.name for layer in layers_of(model.network))),
        "model": described[: counted[0]],
        "optimizer": described[counted[0] : sum(counted)],
        "metrics": described[sum(counted) :],
        "fingerprint": plan.fingerprint(),
    }
    return json.loads(json.dumps(run))


def check_run(saved: dict, here: dict, path) -> None:
    """Raise a ValueError that names what differs between two results of `describe_run`."""
    saved = {_NEW: here[_NEW]} | saved
    names = [name for name in here if here[name] != saved.get(name)]
    if len(names) > 1:
        names = [name for name in names if name != "fingerprint"]  # it covers the others
    if not names:
        return
    differences = "; ".join(_difference(name, saved.get(name), here[name]) for name in names)
    raise ValueError(
        f"the checkpoint {path} is of another run: {differences}; give Resume a new directory, or go on as before"
    )


def _difference(name: str, saved, here) -> str:
    if not isinstance(here, list) or not isinstance(saved, list):
        return f"{name} was {saved!r} and is {here!r}"
    if len(saved) != len(here):
        return f"{name} had {len(saved)} variables and has {len(here)}"
    index, one, other = next((i, one, other) for i, (one, other) in enumerate(zip(saved, here)) if one != other)
    return f"{name} had {_name(one)} as variable {index} and has {_name(other)}"


def _name(described: list) -> str:
    path, shape, dtype = described
    return f"{path} {tuple(shape)} {dtype}"
