"""RunConfig: the settings of one training run as a value, and the file that keeps them beside the results.

The file, run.json, holds everything that repeats the run: `mixsize train --config=runs/x/run.json`. Loads no
TensorFlow. Neighbours: `settings` (from flags), `run` (what it starts), `data` (what a data set's name means).

    config = RunConfig(recipe=kms.recipes.find("embedded/resnet8/d+"), output="runs/d+")
    write_config(config, "runs/d+/run.json")
    read_config("runs/d+/run.json") == config
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from keras_mixsize.arguments import check_choice
from keras_mixsize.cli.command import nearest
from keras_mixsize.cli.names import short_name
from keras_mixsize.cli.regime_text import by_stages, choose_regime, from_json
from keras_mixsize.files import replaced
from keras_mixsize.recipes import FAMILIES, Recipe, find
from keras_mixsize.regimes import Mixture, Regime

FILE = "run.json"
FORMAT, VERSION = "settings of a keras_mixsize run", 1
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")
SAMPLING = ("shuffled", "independent", "balanced")
DAMAGE = ("raise", "skip")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Settings of one run.

    Attributes:
        recipe: network, optimisation, augmentation, epochs and the name of the regime and of the data set.
        output: folder for the results; made if it does not exist.
        name: for tables and pictures; the recipe's mode unless given.
        dataset: another one than the recipe's; see `data.load_source`.
        data_dir: of the data set.
        validation: share of a folder without a test folder that is held out for testing.
        regime: another one than the recipe's.
        seed: of weights, order and augmentation.
        sizes: test sizes in pixels; the regime's and the base's unless given.
        calibration_batches: at each test size.
        limit: training examples, at most; None for all.
        sampling: as `MixSizeDataset.from_source` takes it; `balanced` draws every class as often as every other.
        precision: Keras's dtype policy.
        strategy: `none`, `mirrored` (all GPUs of this machine), `multi_worker` (TF_CONFIG says which machines) or
            `tpu`.
        tensorboard: write TensorBoard logs; needs the extra of that name.
        resume: save the state of the run every five minutes and at SIGTERM, and go on from it if it is there.
        damage: what to do with training images that cannot be used: `raise`, or `skip` and list them at the end.
        xla_cache: compile with XLA, and keep its programs in this folder; see `keras_mixsize.xla_cache`.
    """

    recipe: Recipe
    output: str
    name: str | None = None
    dataset: str | None = None
    data_dir: str | None = None
    validation: float = 0.2
    regime: Mixture | None = None
    seed: int = 0
    sizes: tuple[int, ...] | None = None
    calibration_batches: int = 200
    limit: int | None = None
    sampling: str = "shuffled"
    precision: str = "float32"
    strategy: str = "none"
    tensorboard: bool = True
    resume: bool = False
    damage: str = "raise"
    xla_cache: str | None = None

    def __post_init__(self):
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("strategy", self.strategy, STRATEGIES)
        check_choice("sampling", self.sampling, SAMPLING)
        check_choice("damage", self.damage, DAMAGE)
        regime = self.regime or self.recipe.finished(Regime.preset(self.recipe.regime))
        family = FAMILIES.get(self.recipe.family)
        usual = family.sizes if family else {regime.base.size}
        filled = {
            "regime": regime,
            "sizes": self.sizes or tuple(sorted({*usual, *regime.sizes})),
            "name": self.name or self.recipe.mode,
            "dataset": self.dataset or self.recipe.dataset,
        }
        for name, value in filled.items():
            object.__setattr__(self, name, value)

    @property
    def title(self) -> str:
        """Data, network and mode, for tables, pictures and folders: `photos/resnet14/d+`."""
        return f"{short_name(self.dataset)}/{self.recipe.network}/{self.recipe.mode}"

    def to_dict(self) -> dict:
        """Return plain values, for JSON."""
        regime = json.loads(self.regime.to_json())
        return vars(self) | {"recipe": self.recipe.to_dict(), "regime": regime, "sizes": list(self.sizes)}

    @classmethod
    def from_dict(cls, fields: Mapping) -> RunConfig:
        """Return the settings that `to_dict` gave; recipe and regime may also be names, as on the command line.

        Raises:
            ValueError: an unknown key, with the nearest known one, or a value that does not fit.
        """
        check_keys("the settings", fields, [field.name for field in dataclasses.fields(cls)])
        if missing := [name for name in ("recipe", "output") if name not in fields]:
            raise ValueError(f"the settings must have {missing[0]!r}")
        recipe, regime = _recipe(fields["recipe"]), fields.get("regime")
        read: dict[str, Any] = {"recipe": recipe, "regime": None if regime is None else _regime(regime, recipe.mode)}
        read["sizes"] = tuple(fields.get("sizes") or ()) or None
        return cls(**fields | read)


def check_keys(where: str, found: Iterable[str], known: Iterable[str]) -> None:
    """Raise a ValueError that names the first key that is not known, with the nearest one."""
    for key in found:
        if key not in known:
            raise ValueError(f"{where} have no key {key!r}{nearest(key, list(known))}")


def write_config(config: RunConfig, path: str | os.PathLike) -> None:
    """Write settings as JSON, whole or not at all."""
    text = json.dumps({"format": FORMAT, "version": VERSION, **config.to_dict()}, indent=1)
    with replaced(path) as stream:
        stream.write(text.encode())


def read_config(path: str | os.PathLike) -> RunConfig:
    """Return the settings in a file that `write_config` wrote, or in a run's results.json.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such JSON, another version, or settings that do not fit.
    """
    file = pathlib.Path(path)
    try:
        fields = json.loads(file.read_text())
    except ValueError as error:  # of UTF-8 or JSON
        raise ValueError(f"{file} is no JSON file: {error}") from None
    if (
        isinstance(fields, dict) and {"config", "report"} <= fields.keys()
    ):  # results.json, as version 0.1.0 wrote it, too
        fields = {"format": FORMAT, "version": VERSION, **fields["config"]}
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise ValueError(f"{file} holds no {FORMAT}; `mixsize train` writes {FILE} beside its results")
    if fields.get("version") != VERSION:
        raise ValueError(f"{file} is of version {fields.get('version')!r}, and this library reads version {VERSION}")
    try:
        return RunConfig.from_dict({name: value for name, value in fields.items() if name not in ("format", "version")})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file}: {error}") from None


def _recipe(value) -> Recipe:
    return find(value) if isinstance(value, str) else Recipe.from_dict(value)


def _regime(value, mode: str) -> Mixture:
    if isinstance(value, str):
        return by_stages(value, lambda text: choose_regime(text, mode))
    for regime in [stage["regime"] for stage in value["stages"]] if "stages" in value else [value]:
        check_keys("the regime's settings", regime, [field.name for field in dataclasses.fields(Regime)])
    return from_json(json.dumps(value))
