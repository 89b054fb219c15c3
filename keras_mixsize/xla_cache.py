"""XLA's programs kept on disk, so that a bucket is compiled once and not by every process.

TensorFlow reads and writes them by itself where a flag of its environment says so when it is loaded. Here is what it
leaves open: a folder for each version and machine, because a program may hold instructions that another processor
lacks, and checksums, because a damaged program would be run. Loads no TensorFlow. Used by `mixsize train --xla_cache`.

    folder = xla_cache.use("cache/")        # before TensorFlow is loaded
    model.warm_up(train)                    # of a model compiled with jit_compile=True
    xla_cache.seal(folder)                  # what was compiled until now is used by later processes
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import sys

from keras_mixsize.files import replaced

VARIABLE = "TF_XLA_FLAGS"
_SUMS = "sums.json"
_COMPILED_FOR = {  # what machine code depends on, in files of Linux
    "/proc/cpuinfo": ("model name", "flags", "Features", "CPU part"),
    "/proc/driver/nvidia/version": ("NVRM version",),
}
_GPUS = "/proc/driver/nvidia/gpus"


def use(directory: str | os.PathLike) -> pathlib.Path:
    """Have TensorFlow, which is not loaded yet, keep XLA's programs in a folder and take them from there.

    Programs whose checksum is not known or another one are removed first, and so compiled anew.

    Args:
        directory: of programs for any versions and machines; made if it is not there.

    Returns:
        The folder in it of this version of TensorFlow and this machine.

    Raises:
        ValueError: TensorFlow is loaded already, or there is white space in the path, at which it would end the flag.
    """
    if "tensorflow" in sys.modules:
        raise ValueError(
            f"xla_cache must be used before TensorFlow is loaded, got {os.fspath(directory)!r} afterwards; call "
            "xla_cache.use at the top of the program, or start `mixsize train --xla_cache=DIR`"
        )
    folder = pathlib.Path(directory).absolute() / versions_and_machine()
    if any(character.isspace() for character in str(folder)):
        raise ValueError(f"xla_cache must be a path without white space, got {str(folder)!r}; choose another one")
    folder.mkdir(parents=True, exist_ok=True)
    _remove_unknown(folder)
    flag = f"--tf_xla_persistent_cache_directory={folder}"
    os.environ[VARIABLE] = " ".join(filter(None, [os.environ.get(VARIABLE), flag]))
    return folder


def seal(folder: str | os.PathLike) -> int:
    """Note the checksums of all programs in a folder, and return how many there are.

    Args:
        folder: what `use` returned; nothing happens where there is none.
    """
    if not os.path.isdir(folder):
        return 0
    sums = {path.name: _sum(path) for path in _programs(folder)}
    with replaced(pathlib.Path(folder, _SUMS)) as stream:
        stream.write(json.dumps(sums, indent=1).encode())
    return len(sums)


def versions_and_machine() -> str:
    """Return the name of the folder of this version of TensorFlow and this machine's processor and GPUs."""
    packages = sorted(set(importlib.metadata.packages_distributions().get("tensorflow", ["tensorflow"])))
    versions = "_".join(f"{package}-{importlib.metadata.version(package)}" for package in packages)
    facts = {platform.machine(), platform.processor()}
    gpus = {str(path): ("Model",) for path in pathlib.Path(_GPUS).glob("*/information")}
    for file, names in (_COMPILED_FOR | gpus).items():
        facts |= _facts(pathlib.Path(file), names)
    return f"{versions}_{hashlib.sha256(' '.join(sorted(facts)).encode()).hexdigest()[:12]}"


def _facts(file: pathlib.Path, names: tuple[str, ...]) -> set[str]:
    """Return the lines `name: value` of a file that have one of the names."""
    if not file.is_file():
        return set()
    lines = (line.partition(":") for line in file.read_text(errors="replace").splitlines())
    return {f"{name.strip()}:{value.strip()}" for name, _, value in lines if name.strip() in names}


def _remove_unknown(folder: pathlib.Path) -> None:
    try:
        sums = json.loads((folder / _SUMS).read_bytes())
    except (FileNotFoundError, ValueError):
        sums = {}
    for path in _programs(folder):
        if not isinstance(sums, dict) or sums.get(path.name) != _sum(path):
            path.unlink(missing_ok=True)


def _programs(folder: str | os.PathLike) -> list[pathlib.Path]:
    return sorted(path for path in pathlib.Path(folder).iterdir() if path.is_file() and path.name != _SUMS)


def _sum(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
