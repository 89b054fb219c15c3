"""Measures how fast the server's health probe is answered while 50 clients send bodies of 1 kB to 30 MB of all kinds.

    make serve          # makes the server's environment and the export; stop it again
    python benchmarks/server_health.py --exported=runs/serve/exported --output=docs/benchmarks/server_health.json

The probes come from a process of their own. Another one probes a server that does nothing else, as long and as often:
what it waits is the busy machine's share.
"""

import base64
import concurrent.futures
import socket
import subprocess
import sys
import time

import numpy as np
from absl import app, flags
from exported import EXPORTED, load_export
from measuring import console, write_results
from probing import Probe
from server_client import ROOT, Client, resident_mib, running_server
from server_requests import GOOD, Request, files, pixels_in_json, pixels_raw, png, v1

CLIENTS = flags.DEFINE_integer("clients", 50, "Connections at a time.", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 60.0, "Of sending.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", "runs/server_health.json", "File for the figures.")
LIMIT = 100  # ms


def noise(*shape: int) -> np.ndarray:
    """Return drawn pixels, uint8, which no file format makes smaller."""
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def requests(channels: int) -> dict[str, Request]:
    """Return the kinds: files in base64, arrays as raw bytes and as numbers."""
    photo = png(noise(1400, 1400, 3))
    alone = [files(png(noise(20, 20, 3))), files(photo)]
    found = {f"file, {len(request.body):,} bytes": request for request in alone}
    found["file in lines"] = v1(instances=[{"b64": base64.encodebytes(photo).decode()}])
    found["files of 30 MB"] = files(*[photo] * 4)
    for count in (1, 10, 100):
        found[f"array of {count / 10} MB, raw"] = pixels_raw(noise(count, 100, 1000 // channels, channels))
    found["array of 30 MB, raw"] = pixels_raw((noise(75, 100, 1000 // channels, channels) / 255).astype(np.float32))
    found["array of 3 MB, JSON"] = pixels_in_json(noise(8, 100, 1000 // channels, channels), "UINT8")
    found["array of 30 MB, JSON"] = pixels_in_json(noise(80, 100, 1000 // channels, channels), "UINT8")
    return found


def send_until(url: str, kinds: list[Request], number: int, end: float) -> int:
    """Return how many requests were answered until a moment; all are good ones."""
    client, count = Client(url), 0
    while time.perf_counter() < end:
        answer = client.ask(kinds[(number + count) % len(kinds)])
        if answer.status != GOOD:
            raise SystemExit(f"answered with {answer.status}: {answer.body[:300]!r}")
        count += 1
    return count


def describe(times: list[float]) -> dict:
    """Return what a probe found."""
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    over = sum(time > LIMIT for time in times)
    return {"count": len(times), "p50_ms": p50, "p99_ms": p99, "max_ms": max(times), "over": over}


def measure(url: str, idle: str, process: int, kinds: dict[str, Request]) -> dict:
    """Return what both probes found, and what was answered meanwhile."""
    for request in kinds.values():
        send_until(url, [request], 0, time.perf_counter() + 0.01)
    with (
        Probe(f"{url}/v2/health/live") as health,
        Probe(idle) as control,
        concurrent.futures.ThreadPoolExecutor(CLIENTS.value) as pool,
    ):
        end = time.perf_counter() + SECONDS.value
        sending = [pool.submit(send_until, url, [*kinds.values()], number, end) for number in range(CLIENTS.value)]
        answered = sum(one.result() for one in sending)
    found = {"server": describe(health.times), "idle": describe(control.times)}
    return found | {"answered": answered, "resident_mib": resident_mib(process)}


def main(_):
    kinds = requests(load_export().manifest["input"]["channels"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind=127.0.0.1", f"--directory={ROOT / 'docs'}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as idle:
        try:
            with running_server(EXPORTED.value) as (url, server):
                results = measure(url, f"http://127.0.0.1:{port}/missing", server.pid, kinds)
        finally:
            idle.terminate()
    write_results(OUTPUT.value, results | {"clients": CLIENTS.value, "seconds": SECONDS.value, "kinds": [*kinds]})
    console.print(results)


if __name__ == "__main__":
    app.run(main)
