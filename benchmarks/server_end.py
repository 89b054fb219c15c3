"""Tells a server to end, by SIGTERM at a drawn moment, while requests of all kinds come.

end_under_load(kinds, clients=8, seed=0)["lost"]                # [], where all that was accepted was answered
"""

from __future__ import annotations

import collections
import concurrent.futures
import http.client
import random
import signal
import time

from exported import EXPORTED
from measuring import console
from server_client import Client, Refused, running_server
from server_requests import Request

_ENDED = 90  # seconds


def end_under_load(kinds: dict[str, Request], clients: int, seed: int) -> dict:
    """Return what became of the requests to a server that was told to end.

    Args:
        kinds: requests by kind, of which each client draws.
        clients: connections at a time.
        seed: of the moment and of the draws.
    """
    draw = random.Random(seed)
    after, seeds = draw.uniform(0.2, 2), [draw.random() for _ in range(clients)]
    with running_server(EXPORTED.value) as (url, server), concurrent.futures.ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(_ask_to_the_end, Client(url), kinds, seed) for seed in seeds]
        time.sleep(after)
        server.send_signal(signal.SIGTERM)
        found = [one.result() for one in asking]
        status = server.wait(_ENDED)
    statuses = sum((statuses for statuses, _ in found), collections.Counter())
    lost = [error for _, error in found if error]
    console.print(f"SIGTERM after {after:.2f} s: {statuses.total()} answered, lost: {lost}, exit status {status}")
    return {"after": after, "lost": lost, "statuses": dict(sorted(statuses.items())), "exit_status": status}


def _ask_to_the_end(client: Client, kinds: dict[str, Request], seed: float) -> tuple[collections.Counter, str]:
    """Return the statuses that came until the server took no connections any more, and what was lost, if anything."""
    draw, statuses = random.Random(seed), collections.Counter()
    while True:
        try:
            statuses[str(client.ask(kinds[draw.choice([*kinds])]).status)] += 1
        except Refused:
            return statuses, ""
        except (OSError, http.client.HTTPException) as error:
            return statuses, repr(error)
