"""Measures the server beside plain KServe with the same export: files and arrays of several sizes, 1, 4 and 50 clients.

    make serve          # makes the server's environment and the export; stop it again
    python benchmarks/server_bodies.py --exported=runs/serve/exported --output=docs/benchmarks/server_bodies.json

Both servers run all the time; turns alternate between them, and a turn ends when each client has had an answer at
least. Health is asked meanwhile, of the server whose turn it is, from a process of its own. Plain KServe is left out
where its clients would wait longer than `--patience` by what one of them waited. See `plain_kserve`.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import pathlib
import socket
import subprocess
import sys
import time

import numpy as np
from absl import app, flags
from exported import EXPORTED, load_export
from measuring import console, write_results
from probing import Probe
from server_client import PYTHON, ROOT, Client, running_server
from server_requests import GOOD, Request, files, pixels_raw, png

from keras_mixsize.serving.served_model import version_folder

CLIENTS = flags.DEFINE_list("clients", ["1", "4", "50"], "Connections at a time.")
SECONDS = flags.DEFINE_float("seconds", 3.0, "Of a turn.", lower_bound=0.5)
ROUNDS = flags.DEFINE_integer("rounds", 2, "Turns of each server.", lower_bound=1)
PATIENCE = flags.DEFINE_float("patience", 20.0, "Seconds that a turn of plain KServe may take.", lower_bound=1)
KINDS = flags.DEFINE_list("kinds", ["file", "array"], "Parts of the names of the kinds.")
OUTPUT = flags.DEFINE_string("output", "runs/server_bodies.json", "File for the figures.")
FILES, ARRAYS = {"1 kB": 18, "100 kB": 182, "5 MB": 1290}, {"0.1 MB": 1, "1 MB": 10, "10 MB": 100}  # side; images
OURS, PLAIN = "ours", "kserve"


def noise(*shape: int) -> np.ndarray:
    """Return drawn pixels, uint8, which no file format makes smaller."""
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def requests(channels: int) -> dict[str, Request]:
    """Return the kinds: files in base64 and arrays as raw bytes, at the size that the server chooses."""
    found = {f"file, {name}": files(png(noise(side, side, 3))) for name, side in FILES.items()}
    arrays = {name: pixels_raw(noise(count, 180, 540 // channels, channels)) for name, count in ARRAYS.items()}
    found |= {f"array, {name}": request for name, request in arrays.items()}
    return {name: request for name, request in found.items() if any(part in name for part in KINDS.value)}


def ask_until(url: str, request: Request, end: float) -> list[float]:
    """Return the milliseconds of a request sent again and again; at least one is sent."""
    client, times = Client(url), []
    while not times or time.perf_counter() < end:
        answer = client.ask(request)
        if answer.status != GOOD:
            raise SystemExit(f"{request.path} at {url} was answered with {answer.status}: {answer.body[:200]!r}")
        times.append(answer.milliseconds)
    return times


def turn(url: str, request: Request, clients: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of requests of some clients, and those of the health probe meanwhile."""
    with Probe(f"{url}/v2/health/live") as probe, concurrent.futures.ThreadPoolExecutor(clients) as pool:
        end = time.perf_counter() + SECONDS.value
        times = [*itertools.chain(*pool.map(lambda _: ask_until(url, request, end), range(clients)))]
    return times, probe.times


def compare(urls: dict[str, str], request: Request, clients: int) -> dict:
    """Return the percentiles of both servers, from turns that alternate."""
    found = collections.defaultdict(lambda: ([], []))
    for _, (name, url) in itertools.product(range(ROUNDS.value), urls.items()):
        for times, more in zip(found[name], turn(url, request, clients)):
            times += more
    return {name: describe(*times) for name, times in found.items()}


def describe(times: list[float], health: list[float]) -> dict:
    """Return the percentiles of a server."""
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    return {"count": len(times), "p50_ms": p50, "p99_ms": p99, "health_max_ms": max(health, default=None)}


def rows(urls: dict[str, str], kinds: dict[str, Request]):
    """Yield a row for each kind and number of clients; those of plain KServe as long as they do not last."""
    for kind, request in kinds.items():
        seconds = 0.0
        for clients in map(int, CLIENTS.value):
            is_left_out = clients * seconds > PATIENCE.value
            asked = {name: url for name, url in urls.items() if name == OURS or not is_left_out}
            found = compare(asked, request, clients)
            seconds = max(seconds, found[PLAIN]["p50_ms"] / 1000 / clients if PLAIN in found else 0)
            yield {"kind": kind, "bytes": len(request.body), "clients": clients} | found


@contextlib.contextmanager
def plain_kserve():
    """Yield the address of plain KServe with the newest version of the export."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PYTHON.value, "benchmarks/plain_kserve.py", str(version_folder(pathlib.Path(EXPORTED.value))), str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, **quiet) as server:
        try:
            while server.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def main(_):
    kinds, found = requests(load_export().manifest["input"]["channels"]), []
    with running_server(EXPORTED.value) as (ours, _), plain_kserve() as plain:
        for row in rows({OURS: ours, PLAIN: plain}, kinds):
            found.append(row)
            console.print(row)
            sys.stdout.flush()
    settings = {"seconds": SECONDS.value, "rounds": ROUNDS.value, "patience": PATIENCE.value}
    write_results(OUTPUT.value, {"rows": found} | settings)


if __name__ == "__main__":
    app.run(main)
