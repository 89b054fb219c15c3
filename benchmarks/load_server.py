"""Sends thousands of good and bad requests from several clients at once to serve.py and says what became of them.

    make serve          # makes the server's environment and the export; stop it again
    python experiments/load_server.py --exported=runs/serve/exported --output=docs/benchmarks/load.json

Starts the server, asks each kind of request once alone, and then all of them in a drawn order. Writes for each kind how many were sent
and which statuses came back with which times, how many good answers differed from those that came alone, and the server's
resident memory from before the first request to after the last. Fails if anything is not as it should be.
"""

import base64
import collections
import concurrent.futures
import http.client
import json
import pathlib
import random
import subprocess
import threading
import time
import urllib.parse
import zlib

import numpy as np
import tensorflow as tf
from absl import app, flags

import keras_mixsize as kms
from keras_mixsize.cli.run import console, replace_file, versions

ROOT = pathlib.Path(__file__).parents[1]
EXPORTED = flags.DEFINE_string("exported", "runs/serve/exported", "What export.py wrote, with samples/.")
PYTHON = flags.DEFINE_string("python", str(ROOT / ".venv-serving/bin/python"), "Interpreter with kserve.")
REQUESTS = flags.DEFINE_integer("requests", 5000, "Requests in all.", lower_bound=100)
CLIENTS = flags.DEFINE_integer("clients", 4, "Connections at a time.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Of the order.")
OUTPUT = flags.DEFINE_string("output", "runs/load.json", "File for the figures.")
V1, V2 = "/v1/models/mixsize:predict", "/v2/models/mixsize/infer"
HUGE_SIDE = 23_000
GOOD = 200

Request = collections.namedtuple("Request", "path body status")


def huge_png() -> bytes:
    """Return a PNG file of about 1.5 MB that decodes to 23000 x 23000 pixels of three channels."""
    image = tf.io.encode_png(np.zeros([1, 1, 3], np.uint8)).numpy()
    header = b"IHDR" + b"".join(value.to_bytes(4, "big") for value in (HUGE_SIDE, HUGE_SIDE)) + image[24:29]
    packer, row = zlib.compressobj(), bytes(1 + 3 * HUGE_SIDE)
    data = b"IDAT" + b"".join(packer.compress(row) for _ in range(HUGE_SIDE)) + packer.flush()
    chunks = (header, data, b"IEND")
    return image[:8] + b"".join(
        (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") for chunk in chunks
    )


def requests_by_kind(exported: pathlib.Path, served: kms.serving.ServedModel) -> dict[str, Request]:
    """Return one request of each kind."""
    channels, limit = served.manifest["input"]["channels"], served.manifest["input"]["max_batch"]
    pngs = [file.read_bytes() for file in sorted((exported / "samples").iterdir())]
    pixels = np.stack([tf.io.decode_png(png, channels).numpy() for png in pngs])
    jpeg = tf.io.encode_jpeg(pixels[0]).numpy()

    def files(*contents, status=400, **options):
        instances = [{"b64": base64.b64encode(content).decode()} for content in contents]
        return Request(V1, json.dumps({"instances": instances, **options}), status)

    def tensor(name, values, datatype, status=400):
        data = [value.decode() for value in values] if datatype == "BYTES" else values.ravel().tolist()
        value = {"name": name, "shape": list(np.shape(values)), "datatype": datatype, "data": data}
        return Request(V2, json.dumps({"inputs": [value]}), status)

    def instances(values, status=400):
        return Request(V1, json.dumps({"instances": values}), status)

    good = {f"PNG at {size} px": files(pngs[0], status=GOOD, size=size) for size in served.sizes} | {
        "JPEG": files(jpeg, status=GOOD),
        "batch of files, cascade": files(*pngs, status=GOOD, size="cascade"),
        "pixels": instances(pixels[:2].tolist(), GOOD),
        "V2, files": tensor("image_bytes", [base64.b64encode(png) for png in pngs], "BYTES", GOOD),
        "V2, float32": tensor("images", pixels[:2] / 255, "FP32", GOOD),
    }
    bad = {
        "truncated JPEG": files(jpeg[: len(jpeg) // 2]),
        "truncated PNG": files(pngs[0][: len(pngs[0]) // 2]),
        "PNG of 23000 x 23000": files(huge_png()),
        "empty file": files(b""),
        "text": files(b"no image at all"),
        "GIF": files(b"GIF89a" + bytes(100)),
        "good and bad in a batch": files(pngs[0], b"GIF89a"),
        "wrong rank": instances(pixels[0].tolist()),
        "wrong channels": instances(np.zeros([1, 8, 8, 5 - channels], int).tolist()),
        "fractions in V1": instances((pixels[:1] / 255).tolist()),
        "wrong dtype": tensor("images", pixels[:1].astype(int), "INT64"),
        "float32 above 1": tensor("images", pixels[:1].astype(float), "FP32"),
        "empty batch": instances([]),
        "batch above the limit": files(*[pngs[0]] * (limit + 1)),
        "unknown size": files(pngs[0], size=max(served.sizes) + 1),
        "no base64": instances([{"b64": "?"}]),
        "no JSON": Request(V1, "no JSON", 400),
        "unknown model": Request("/v1/models/other:predict", files(pngs[0]).body, 404),
    }
    return good | bad


class Client:
    """A connection to the server."""

    def __init__(self, url: str):
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)

    def ask(self, request: Request) -> tuple[int, dict, float]:
        """Return status, answer and milliseconds."""
        start = time.perf_counter()
        self._connection.request("POST", request.path, request.body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = json.loads(answer.read())
        return answer.status, content, 1000 * (time.perf_counter() - start)


def resident_mib(process: int) -> float:
    """Return the memory that a process has in use."""
    lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def answers_of(content: dict) -> list[np.ndarray]:
    """Return the probabilities in an answer of either protocol."""
    if "predictions" in content:
        return [np.array(row["probabilities"]) for row in content["predictions"]]
    return [np.array(output["data"]) for output in content["outputs"] if output["name"] == "probabilities"]


def is_right(request: Request, status: int, content: dict, alone: dict | None) -> bool:
    """Return whether an answer has the status that it should, and what it should."""
    if status != request.status:
        return False
    if status != GOOD:
        return bool(content.get("error"))
    found = answers_of(content)
    return alone is None or all(np.allclose(*pair, atol=1e-5) for pair in zip(found, answers_of(alone), strict=True))


def send_all(url: str, kinds: dict[str, Request], alone: dict, process: int) -> tuple[list, list]:
    """Return kind, status, milliseconds and rightness of each request, and the memory at each tenth of them."""
    names = (
        [name for name in kinds if kinds[name].status == GOOD],
        [name for name in kinds if kinds[name].status != GOOD],
    )
    draw, local = random.Random(SEED.value), threading.local()
    order = [draw.choice(names[draw.random() < 0.5]) for _ in range(REQUESTS.value)]

    def ask(name):
        local.client = getattr(local, "client", None) or Client(url)
        status, content, milliseconds = local.client.ask(kinds[name])
        return name, status, milliseconds, is_right(kinds[name], status, content, alone[name])

    done, memory = [], []
    with concurrent.futures.ThreadPoolExecutor(CLIENTS.value) as pool:
        for found in pool.map(ask, order):
            done.append(found)
            if not len(done) % (REQUESTS.value // 10):
                memory.append(resident_mib(process))
    return done, memory


def summarise(kinds: dict[str, Request], done: list) -> list[dict]:
    """Return a row per kind."""
    rows = []
    for name, request in kinds.items():
        times = [milliseconds for kind, _, milliseconds, _ in done if kind == name]
        statuses = collections.Counter(str(status) for kind, status, _, _ in done if kind == name)
        p50, p99 = np.percentile(times, [50, 99]) if times else (None, None)
        wrong = sum(not right for kind, _, _, right in done if kind == name)
        row = {"kind": name, "expected": request.status, "statuses": statuses, "wrong": wrong}
        rows.append(row | {"p50_ms": p50, "p99_ms": p99})
    return rows


def measure(url: str, process: int) -> dict:
    """Return what a running server did."""
    exported = pathlib.Path(EXPORTED.value)
    kinds = requests_by_kind(exported, kms.serving.load(exported))
    client, memory = Client(url), [resident_mib(process)]
    first = {name: client.ask(request) for name, request in kinds.items()}
    alone = {name: content for name, (_, content, _) in first.items()}
    wrong = [name for name, (status, content, _) in first.items() if not is_right(kinds[name], status, content, None)]
    if wrong:
        raise SystemExit(f"answers that are wrong when they come alone: {[(name, first[name][:2]) for name in wrong]}")
    start = time.perf_counter()
    done, during = send_all(url, kinds, alone, process)
    seconds = time.perf_counter() - start
    times = [milliseconds for name, _, milliseconds, _ in done if kinds[name].status == GOOD]
    p50, p99 = np.percentile(times, [50, 99])
    totals = {"sent": REQUESTS.value, "answered": len(done), "wrong": sum(not right for *_, right in done)}
    good = {"good": len(times), "good_p50_ms": p50, "good_p99_ms": p99}
    return (
        totals
        | good
        | {
            "clients": CLIENTS.value,
            "seconds": seconds,
            "resident_mib": memory + during,
            "kinds": summarise(kinds, done),
            "versions": versions(),
        }
    )


def main(_):
    command = [PYTHON.value, str(ROOT / "experiments/serve.py"), f"--model_dir={EXPORTED.value}", "--http_port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            lines = iter(server.stdout.readline, "")
            url = next(line for line in lines if line.startswith("listening")).split()[-1]
            threading.Thread(target=collections.deque, args=(lines, 0), daemon=True).start()  # or its pipe runs full
            results = measure(url, server.pid)
        finally:
            server.terminate()
    replace_file(pathlib.Path(OUTPUT.value), json.dumps(results, indent=1))
    console.print({name: value for name, value in results.items() if name not in ("kinds", "versions")})
    if results["wrong"] or results["answered"] != results["sent"]:
        raise SystemExit(f"{results['wrong']} of {results['sent']} answers are wrong: see {OUTPUT.value}")


if __name__ == "__main__":
    app.run(main)
