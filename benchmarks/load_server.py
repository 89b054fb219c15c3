"""Sends thousands of good, bad and drawn requests from several clients at once to a server; says what became of them.

    make serve          # makes the server's environment and the export; stop it again
    python benchmarks/load_server.py --exported=runs/serve/exported --output=docs/benchmarks/load.json

Starts the server, asks each kind of request once alone, and then all of them in a drawn order. Writes for each kind how
many were sent and which statuses came back with which times, how many answers were wrong, and the memory of the server
and its processes. Then starts servers that are told to end, by SIGTERM at a drawn moment, while requests come, and
counts what was accepted and not answered. Fails if anything is not as it should be.
"""

import collections
import concurrent.futures
import pathlib
import random
import threading
from typing import NamedTuple

import numpy as np
from absl import app, flags
from exported import EXPORTED, load_export
from measuring import console, seconds_of, write_results
from server_bad import bad_requests
from server_client import Answer, Client, resident_mib, running_server
from server_drawn import drawn_requests
from server_end import end_under_load
from server_good import good_requests
from server_requests import GOOD, Request, is_right

REQUESTS = flags.DEFINE_integer("requests", 20_000, "Requests in all.", lower_bound=100)
DRAWN = flags.DEFINE_integer("drawn", 4000, "Those of them that hypothesis draws.", lower_bound=1)
CLIENTS = flags.DEFINE_integer("clients", 8, "Connections at a time.", lower_bound=1)
ENDS = flags.DEFINE_integer("ends", 20, "Servers that are told to end under load.", lower_bound=0)
SEED = flags.DEFINE_integer("seed", 0, "Of the order and of the moments.")
OUTPUT = flags.DEFINE_string("output", "runs/load.json", "File for the figures.")
DRAWN_KIND = "drawn by hypothesis"


class Done(NamedTuple):
    """A request that was answered."""

    kind: str
    answer: Answer
    right: bool


class Load:
    """Requests from several clients at once.

    Args:
        url: of the server.
        kinds: requests by kind.
        alone: the answers that came when each kind was sent alone.
    """

    def __init__(self, url: str, kinds: dict[str, Request], alone: dict[str, Answer]):
        self._url, self._kinds, self._alone, self._local = url, kinds, alone, threading.local()

    def send(self, order: list[tuple[str, Request]], process: int) -> tuple[list[Done], list[float]]:
        """Return what became of each request, and the server's memory at each tenth of them, in MiB."""
        done, memory = [], []
        with concurrent.futures.ThreadPoolExecutor(CLIENTS.value) as pool:
            for found in pool.map(self._ask, order):
                done.append(found)
                if not len(done) % (len(order) // 10):
                    memory.append(resident_mib(process))
        return done, memory

    def _ask(self, named: tuple[str, Request]) -> Done:
        kind, request = named
        self._local.client = getattr(self._local, "client", None) or Client(self._url)
        answer = self._local.client.ask(request)
        alone = self._alone[kind].body if kind in self._alone else None
        right = is_right(request, answer.status, answer.body, alone)
        if not right:
            console.print(f"{kind}: {answer.status} {answer.body[:300]!r} for {request.body[:300]!r}")
        return Done(kind, answer, right)


def drawn_order(kinds: dict[str, Request]) -> list[tuple[str, Request]]:
    """Return the requests to send with their kinds: those of hypothesis, and the others, half of them good."""
    good = [name for name, request in kinds.items() if request.statuses == (GOOD,)]
    bad, draw = [name for name in kinds if name not in good], random.Random(SEED.value)
    drawn = drawn_requests([kinds[name] for name in good], DRAWN.value)
    names = [draw.choice((good, bad)[draw.random() < 0.5]) for _ in range(REQUESTS.value - len(drawn))]
    order = [(name, kinds[name]) for name in names] + [(DRAWN_KIND, request) for request in drawn]
    draw.shuffle(order)
    return order


def summarise(kind: str, done: list[Done]) -> dict:
    """Return the row of a kind."""
    times = [one.answer.milliseconds for one in done]
    p50, p99 = np.percentile(times, [50, 99]).tolist() if times else (None, None)
    statuses = collections.Counter(str(one.answer.status) for one in done)
    return {
        "kind": kind,
        "statuses": dict(sorted(statuses.items())),
        "wrong": sum(not one.right for one in done),
        "p50_ms": p50,
        "p99_ms": p99,
    }


def ask_alone(url: str, kinds: dict[str, Request]) -> dict[str, Answer]:
    """Return the answers to one request of each kind, one after the other; ends the program if one is wrong."""
    client = Client(url)
    answers = {name: client.ask(request) for name, request in kinds.items()}
    wrong = {
        name: (answer.status, answer.body[:300])
        for name, answer in answers.items()
        if not is_right(kinds[name], answer.status, answer.body, None)
    }
    if wrong:
        raise SystemExit(f"answers that are wrong when they come alone: {wrong}")
    return answers


def load(kinds: dict[str, Request]) -> dict:
    """Return what a server did with all requests."""
    order = drawn_order(kinds)
    with running_server(EXPORTED.value) as (url, server):
        before = resident_mib(server.pid)
        load, found = Load(url, kinds, ask_alone(url, kinds)), []
        seconds = seconds_of(lambda: found.extend(load.send(order, server.pid)))
    done, memory = found
    by_kind = {name: [one for one in done if one.kind == name] for name in [*kinds, DRAWN_KIND]}
    good = [name for name, request in kinds.items() if request.statuses == (GOOD,)]
    times = [one.answer.milliseconds for name in good for one in by_kind[name]]
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    return {
        "sent": len(order),
        "answered": len(done),
        "wrong": sum(not one.right for one in done),
        "good_kinds": len(good),
        "bad_kinds": len(kinds) - len(good),
        "good": len(times),
        "good_p50_ms": p50,
        "good_p99_ms": p99,
        "clients": CLIENTS.value,
        "seconds": seconds,
        "resident_mib": [before, *memory],
        "kinds": [summarise(name, found) for name, found in by_kind.items()],
    }


def main(_):
    exported, served = pathlib.Path(EXPORTED.value), load_export()
    kinds = good_requests(exported, served) | bad_requests(exported, served)
    results = load(kinds)
    console.print({name: value for name, value in results.items() if name != "kinds"})
    results["ends"] = [end_under_load(kinds, CLIENTS.value, SEED.value + number) for number in range(ENDS.value)]
    write_results(OUTPUT.value, results)
    lost = sum(len(found["lost"]) + (found["exit_status"] != 0) for found in results["ends"])
    if results["wrong"] or lost or results["answered"] != results["sent"]:
        raise SystemExit(f"{results['wrong']} of {results['sent']} answers are wrong, {lost} lost: see {OUTPUT.value}")


if __name__ == "__main__":
    app.run(main)
