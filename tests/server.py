"""`mixsize serve` as a process, for tests; needs `make serve`'s environment, or SERVING_PYTHON with kserve."""

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PYTHON = pathlib.Path(os.environ.get("SERVING_PYTHON", ROOT / ".venv-serving/bin/python")).absolute()
needs_server = pytest.mark.skipif(
    not PYTHON.exists(),
    reason=f"{PYTHON} does not exist; make serve makes it, or SERVING_PYTHON names another with kserve",
)


COMMAND = [str(PYTHON), "-m", "keras_mixsize", "serve"]  # from ROOT, where Python finds the package


@contextlib.contextmanager
def running(path: pathlib.Path, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Serve an export and yield the address and the process.

    Args:
        path: folder of the versions.
        options: of the command.
    """
    with subprocess.Popen(
        [*COMMAND, str(path), "--port=0", *options], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as server:
        lines = iter(server.stdout.readline, "")
        try:
            yield next(line for line in lines if line.startswith("listening")).split()[-1], server
        finally:
            server.terminate()
