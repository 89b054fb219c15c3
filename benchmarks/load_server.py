"""Sends thousands of good and bad requests from several clients at once to a server and says what became of them.

    make serve          # makes the server's environment and the export; stop it again
    python benchmarks/load_server.py --exported=runs/serve/exported --output=docs/benchmarks/load.json

Starts the server, asks each kind of request once alone, and then all of them in a drawn order. Writes for each kind how
many were sent and which statuses came back with which times, how many good answers differed from those that came alone,
and the server's resident memory from before the first request to after the last. Fails if anything is not as it should
be.
"""

import collections
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import random
import subprocess
import threading
import urllib.parse
from typing import NamedTuple

import numpy as np
from absl import app, flags
from exported import EXPORTED, load_export
from measuring import console, seconds_of, write_results
from server_requests import GOOD, Request, is_right, requests_by_kind

ROOT = pathlib.Path(__file__).parents[1]
PYTHON = flags.DEFINE_string("python", str(ROOT / ".venv-serving/bin/python"), "Interpreter with kserve.")
REQUESTS = flags.DEFINE_integer("requests", 5000, "Requests in all.", lower_bound=100)
CLIENTS = flags.DEFINE_integer("clients", 4, "Connections at a time.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Of the order.")
OUTPUT = flags.DEFINE_string("output", "runs/load.json", "File for the figures.")


class Answer(NamedTuple):
    """What came back for a request."""

    status: int
    content: dict
    milliseconds: float


class Done(NamedTuple):
    """A request that was answered."""

    kind: str
    status: int
    milliseconds: float
    right: bool


class Client:
    """A connection to the server."""

    def __init__(self, url: str):
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)

    def ask(self, request: Request) -> Answer:
        """Return what comes back."""
        found = []
        seconds = seconds_of(lambda: found.extend(self._send(request)))
        return Answer(*found, 1000 * seconds)

    def _send(self, request: Request) -> tuple[int, dict]:
        self._connection.request("POST", request.path, request.body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


class Load:
    """Requests from several clients at once to a server that answered each kind alone before.

    Args:
        url: of the server.
        kinds: requests by kind.
        alone: the answers that came alone, by kind.
    """

    def __init__(self, url: str, kinds: dict[str, Request], alone: dict[str, Answer]):
        self._url, self._kinds, self._alone, self._local = url, kinds, alone, threading.local()

    def order(self) -> list[str]:
        """Return the kinds to send, half of them good, drawn from the seed."""
        good, bad = [[name for name in self._kinds if self.is_good(name) == wanted] for wanted in (True, False)]
        draw = random.Random(SEED.value)
        return [draw.choice((good, bad)[draw.random() < 0.5]) for _ in range(REQUESTS.value)]

    def is_good(self, kind: str) -> bool:
        """Return whether requests of a kind should be answered."""
        return self._kinds[kind].status == GOOD

    def send(self, process: int) -> tuple[list[Done], list[float]]:
        """Return what became of each request, and the memory of the server's process at each tenth of them, in MiB."""
        done, memory = [], []
        with concurrent.futures.ThreadPoolExecutor(CLIENTS.value) as pool:
            for found in pool.map(self._ask, self.order()):
                done.append(found)
                if not len(done) % (REQUESTS.value // 10):
                    memory.append(resident_mib(process))
        return done, memory

    def _ask(self, kind: str) -> Done:
        self._local.client = getattr(self._local, "client", None) or Client(self._url)
        request, answer = self._kinds[kind], self._local.client.ask(self._kinds[kind])
        right = is_right(request, answer.status, answer.content, self._alone[kind].content)
        return Done(kind, answer.status, answer.milliseconds, right)


def resident_mib(process: int) -> float:
    """Return the memory that a process has in use."""
    lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def summarise(kind: str, request: Request, done: list[Done]) -> dict:
    """Return the row of a kind."""
    done = [one for one in done if one.kind == kind]
    p50, p99 = np.percentile([one.milliseconds for one in done], [50, 99]).tolist() if done else (None, None)
    statuses = collections.Counter(str(one.status) for one in done)
    wrong = sum(not one.right for one in done)
    row = {"kind": kind, "expected": request.status, "statuses": statuses, "wrong": wrong}
    return row | {"p50_ms": p50, "p99_ms": p99}


def ask_alone(url: str, kinds: dict[str, Request]) -> dict[str, Answer]:
    """Return the answers to one request of each kind, one after the other; ends the program if one is wrong."""
    client = Client(url)
    answers = {name: client.ask(request) for name, request in kinds.items()}
    wrong = [name for name, answer in answers.items() if not is_right(kinds[name], answer.status, answer.content, None)]
    if wrong:
        raise SystemExit(
            f"answers that are wrong when they come alone: {[(name, answers[name][:2]) for name in wrong]}"
        )
    return answers


def measure(url: str, process: int) -> dict:
    """Return what a running server did."""
    kinds = requests_by_kind(pathlib.Path(EXPORTED.value), load_export())
    before = resident_mib(process)
    load, found = Load(url, kinds, ask_alone(url, kinds)), []
    seconds = seconds_of(lambda: found.extend(load.send(process)))
    done, memory = found
    times = [one.milliseconds for one in done if load.is_good(one.kind)]
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    totals = {"sent": REQUESTS.value, "answered": len(done), "wrong": sum(not one.right for one in done)}
    good = {"good": len(times), "good_p50_ms": p50, "good_p99_ms": p99}
    settings = {"clients": CLIENTS.value, "seconds": seconds, "resident_mib": [before, *memory]}
    return totals | good | settings | {"kinds": [summarise(name, request, done) for name, request in kinds.items()]}


@contextlib.contextmanager
def running_server():
    """Yield the address and the process of a server of the export, which ends with the block."""
    command = [PYTHON.value, "-m", "keras_mixsize", "serve", str(pathlib.Path(EXPORTED.value).resolve()), "--port=0"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **options) as server:
        try:
            lines = iter(server.stdout.readline, "")
            url = next(line for line in lines if line.startswith("listening")).split()[-1]
            threading.Thread(target=collections.deque, args=(lines, 0), daemon=True).start()  # or its pipe runs full
            yield url, server.pid
        finally:
            server.terminate()


def main(_):
    with running_server() as (url, process):
        results = measure(url, process)
    write_results(OUTPUT.value, results)
    console.print({name: value for name, value in results.items() if name != "kinds"})
    if results["wrong"] or results["answered"] != results["sent"]:
        raise SystemExit(f"{results['wrong']} of {results['sent']} answers are wrong: see {OUTPUT.value}")


if __name__ == "__main__":
    app.run(main)
