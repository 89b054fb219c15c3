"""Processes of their own for the contenders of input.py, on as many cores as asked for.

TensorFlow makes as many threads as it finds cores when it starts, so each is a fresh process.

    taken = measured(contenders.in_turns, ["plain tf.data"], files, 128, rounds=9, images=128)
    with racing("plain tf.data", files, 128, cores=1) as one, racing("plain tf.data", files, 128, cores=2) as two:
        rates = alternate({"one": one, "two": two}, rounds=9)
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import time

import input_contenders as contenders


def process_on(cores: int) -> concurrent.futures.Executor:
    """Return a fresh process that may use some cores only; TensorFlow makes no more threads than that."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(1, context, os.sched_setaffinity, (0, chosen))


def measured(function, *arguments, cores: int = 1, **options):
    """Return what a function of `input_contenders` measures in a fresh process."""
    with process_on(cores) as process:
        return process.submit(function, *arguments, **options).result()


@contextlib.contextmanager
def racing(name: str, files: list[str], size: int, *, cores: int):
    """Yield a function that measures a contender's rate, in a process that stands still from one call to the next.

    Otherwise it would make images ahead while it waits, the more the longer.
    """
    with process_on(cores) as process:
        process.submit(start, name, files, size, cores).result()
        pid = process.submit(os.getpid).result()

        def measure() -> float:
            os.kill(pid, signal.SIGCONT)
            found = process.submit(rate, 2.0).result()
            os.kill(pid, signal.SIGSTOP)
            return found

        os.kill(pid, signal.SIGSTOP)
        try:
            yield measure
        finally:
            os.kill(pid, signal.SIGCONT)


# In the process


def start(name: str, files: list[str], size: int, calls: int) -> None:
    """Start a contender that `rate` measures again and again."""
    global _started  # a process measures one contender, from one call to the next
    _started = contenders.CONTENDERS[name](files, size, calls=calls)
    for _ in range(4):
        next(_started)


def rate(seconds: float) -> float:
    """Return the started contender's images per second of wall time, after 0.3 s in which its buffers empty."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < 0.3:
        next(_started)
    begun, made = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        made += next(_started)
    return made / (time.perf_counter() - begun)
