"""Measures the server beside plain KServe with the same export: files and arrays of several sizes, 1, 4 and 50 clients.

    python benchmarks/server_bodies.py --exported=runs/serve/exported --output=docs/benchmarks/server_bodies.json

Both servers run all the time; turns alternate between them. Health is asked every 20 ms meanwhile, of the server whose
turn it is, from the clients' own process, so that 50 busy clients delay the probe, too.
`--seconds` is the length of a turn. See `plain_kserve`.
"""

import base64
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import tensorflow as tf
from absl import app, flags
from exported import EXPORTED, load_export
from measuring import console, write_results

ROOT = pathlib.Path(__file__).parents[1]
PYTHON = flags.DEFINE_string("python", str(ROOT / ".venv-serving/bin/python"), "Interpreter with kserve.")
CLIENTS = flags.DEFINE_list("clients", ["1", "4", "50"], "Connections at a time.")
SECONDS = flags.DEFINE_float("seconds", 5.0, "Of a turn.", lower_bound=0.5)
ROUNDS = flags.DEFINE_integer("rounds", 3, "Turns of each server.", lower_bound=1)
KINDS = flags.DEFINE_list("kinds", ["file", "array"], "Parts of the names of the kinds.")
OUTPUT = flags.DEFINE_string("output", "runs/server_bodies.json", "File for the figures.")
FILES, ARRAYS = {"1 kB": 20, "100 kB": 200, "5 MB": 1450}, {"0.1 MB": 1, "1 MB": 10, "10 MB": 100}  # side; images
SIDE = 180  # of an array's images


def noise(*shape: int) -> np.ndarray:
    """Return drawn pixels, uint8, which no file format makes smaller."""
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def bodies(channels: int) -> dict[str, tuple[str, bytes, dict[str, str]]]:
    """Return address, body and headers of each kind of request."""
    found = {}
    for name, side in FILES.items():
        data = base64.b64encode(tf.io.encode_png(noise(side, side, 3)).numpy()).decode()
        found[f"file, {name}"] = ("/v1/models/mixsize:predict", json.dumps({"instances": [{"b64": data}]}).encode(), {})
    for name, count in ARRAYS.items():
        shape = (count, SIDE, SIDE * 3 // channels, channels)
        value = {"name": "images", "shape": shape, "datatype": "UINT8"}
        raw = noise(*shape).tobytes()
        header = json.dumps({"inputs": [value | {"parameters": {"binary_data_size": len(raw)}}]}).encode()
        length = {"Inference-Header-Content-Length": str(len(header)), "Content-Type": "application/octet-stream"}
        found[f"array, {name}"] = ("/v2/models/mixsize/infer", header + raw, length)
    return found


def ask_until(port: int, request: tuple, end: float, pause: float = 0.0) -> list[float]:
    """Return the milliseconds of a request sent again and again; at least one is sent."""
    path, body, headers = request
    connection, times = http.client.HTTPConnection("127.0.0.1", port, timeout=300), []
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        connection.request("POST" if body else "GET", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} of port {port} was answered with {answer.status}")
        times.append(1000 * (time.perf_counter() - start))
        time.sleep(pause)
    connection.close()
    return times


def turn(port: int, request: tuple, clients: int) -> dict[str, list[float]]:
    """Return the milliseconds of requests of some clients and of the health probe meanwhile."""
    end, done, health = time.perf_counter() + SECONDS.value, threading.Event(), []

    def probe():
        while not done.is_set():
            health.extend(ask_until(port, ("/v2/health/live", b"", {}), 0.0, pause=0.02))

    probing = threading.Thread(target=probe)
    probing.start()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        times = list(itertools.chain(*pool.map(lambda _: ask_until(port, request, end), range(clients))))
    done.set()
    probing.join()
    return {"request": times, "health": health}


def compare(ports: dict[str, int], request: tuple, clients: int) -> dict:
    """Return the percentiles of both servers, from turns that alternate."""
    found = {name: {"request": [], "health": []} for name in ports}
    for _, (name, port) in itertools.product(range(ROUNDS.value), ports.items()):
        for kind, times in turn(port, request, clients).items():
            found[name][kind] += times
    return {name: describe(times) for name, times in found.items()}


def describe(times: dict[str, list[float]]) -> dict:
    """Return the percentiles of a server."""
    p50, p99 = np.percentile(times["request"], [50, 99]).tolist()
    health = {"health_p99_ms": float(np.percentile(times["health"], 99)), "health_max_ms": max(times["health"])}
    return {"count": len(times["request"]), "p50_ms": p50, "p99_ms": p99} | health


@contextlib.contextmanager
def running(*command: str):
    """Run a server of a free port until the block ends, and yield the port; `PORT` stands for it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    with subprocess.Popen([PYTHON.value, *(part.replace("PORT", str(port)) for part in command)], **options) as server:
        try:
            for _ in range(240):
                time.sleep(0.5)
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
            yield port
        finally:
            server.terminate()


def main(_):
    exported = pathlib.Path(EXPORTED.value).resolve()
    kinds = bodies(load_export().manifest["input"]["channels"])
    kinds = {name: request for name, request in kinds.items() if any(part in name for part in KINDS.value)}
    version = str(max((folder for folder in exported.iterdir() if folder.name.isdecimal()), key=lambda a: int(a.name)))
    with (
        running("-m", "keras_mixsize", "serve", str(exported), "--port=PORT") as ours,
        running("benchmarks/plain_kserve.py", version, "PORT") as plain,
    ):
        ports, rows = {"ours": ours, "kserve": plain}, []
        for (kind, request), clients in itertools.product(kinds.items(), map(int, CLIENTS.value)):
            rows.append({"kind": kind, "bytes": len(request[1]), "clients": clients} | compare(ports, request, clients))
            console.print(rows[-1])
            sys.stdout.flush()
    write_results(OUTPUT.value, {"rows": rows, "seconds": SECONDS.value, "rounds": ROUNDS.value})


if __name__ == "__main__":
    app.run(main)
