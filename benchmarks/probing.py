"""Asks an address every 10 ms from a process of its own, as whoever watches a server's health does.

with Probe("http://127.0.0.1:8080/v2/health/live") as probe:
    ...
max(probe.times)                                            # ms
"""

from __future__ import annotations

import http.client
import json
import select
import subprocess
import sys
import time
import urllib.parse

PAUSE = 0.01  # seconds


class Probe:
    """A process that asks as long as the block runs.

    Args:
        url: what to ask; a connection for each time.

    Attributes:
        times: milliseconds of each answer, after the block.
    """

    def __init__(self, url: str):
        self._url, self.times = url, []

    def __enter__(self) -> Probe:
        command = [sys.executable, "-S", __file__, self._url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_) -> None:
        self.times = json.loads(self._process.communicate()[0])


def main(url: str) -> None:
    """Ask until the input ends."""
    parts, times = urllib.parse.urlsplit(url), []
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        start = time.perf_counter()
        connection = http.client.HTTPConnection(parts.netloc, timeout=300)
        connection.request("GET", parts.path)
        connection.getresponse().read()
        connection.close()
        times.append(1000 * (time.perf_counter() - start))
    print(json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1])
