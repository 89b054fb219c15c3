"""Workers: the processes of a multi-worker run, and what they tell each other between two steps.

A run without MultiWorkerMirroredStrategy is one worker, which tells itself, at no cost. Used by `training`, `resuming`
and `replicas`; knows nothing of models.

    workers = Workers(strategy)
    workers.check_agreement({"seed": 0})       # raises on every worker if one has another seed
    names = workers.gather(socket.gethostname())
    state = workers.share(read_from_disk)      # only the first worker reads
"""

from __future__ import annotations

import functools
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mixsize.input.dataset import MixSizeDataset

_CHUNK = 1 << 24  # int32 numbers sent at once
_SECONDS_APART = 1.0  # between two questions of an Agreement


class Workers:
    """The processes that a strategy trains on.

    Every method but the properties is a meeting: all workers must call it, in the same order. What is sent is pickled,
    so the cluster's network must be trusted, as TensorFlow's own traffic asks anyway.

    Args:
        strategy: any; only MultiWorkerMirroredStrategy has more than one worker.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.count, self.index = _count_and_index(strategy)
        self._functions: dict[Any, Any] = {}

    @property
    def is_chief(self) -> bool:
        """Whether this is the first worker, which writes what is written once."""
        return self.index == 0

    @property
    def local_replicas(self) -> int:
        """How many of the strategy's replicas are on this worker."""
        return self.strategy.num_replicas_in_sync // self.count

    def gather(self, value: Any) -> list[Any]:
        """Return every worker's value, in the workers' order; any value that can be pickled."""
        if self.count == 1:
            return [value]
        data = pickle.dumps(value)
        sizes = self.gather_numbers([len(data)])[:, 0]
        padded = np.zeros(4096 * -(-max(sizes) // 4096), np.uint8)  # few lengths, because each is traced
        padded[: len(data)] = np.frombuffer(data, np.uint8)
        rows = self._gather_rows(padded.view(np.int32)).view(np.uint8)
        return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes)]

    def gather_numbers(self, numbers: Sequence[int]) -> np.ndarray:
        """Return every worker's integers: int64 `[workers, N]` from N of them."""
        numbers = np.asarray(numbers, np.int64)
        return numbers[None] if self.count == 1 else self._gather_rows(numbers)

    def share(self, function: Callable[[], Any]) -> Any:
        """Return what a function returns on the first worker, which alone calls it.

        Raises:
            Exception: whatever it raises there, on every worker.
        """
        if self.count == 1:
            return function()
        outcome = pickle.dumps(_attempt(function)) if self.is_chief else b""
        size = int(self.gather_numbers([len(outcome)])[0, 0])
        words = np.zeros(-(-size // 4), np.int32)
        words.view(np.uint8)[: len(outcome)] = np.frombuffer(outcome, np.uint8)
        for start in range(0, len(words), _CHUNK):  # nothing but zeros comes from the others
            words[start : start + _CHUNK] = self._meet(self._sum, words[start : start + _CHUNK])
        value, error = pickle.loads(words.tobytes())
        if error is not None:
            raise error
        return value

    def check_agreement(self, facts: Mapping[str, object]) -> None:
        """Raise a ValueError on every worker if a fact differs between two of them.

        Args:
            facts: values by name, the same names on all workers.
        """
        every = self.gather(dict(facts))
        for name in facts:
            values = [other[name] for other in every]
            if any(value != values[0] for value in values):
                told = ", ".join(f"{value!r} on worker {index}" for index, value in enumerate(values))
                raise ValueError(
                    f"{name} must be the same on all workers, got {told}; start them with the same settings"
                )

    def _gather_rows(self, row: np.ndarray) -> np.ndarray:
        return self._meet(self._concatenate, row[None])[:: self.local_replicas]

    def _concatenate(self, rows):
        return self.strategy.gather(rows, axis=0)

    def _sum(self, rows):
        return self.strategy.reduce("SUM", rows, axis=None)

    def _meet(self, operation: Callable, array: np.ndarray) -> np.ndarray:
        """Return what an operation makes of every worker's array; one traced function for each shape, see `tracing`."""
        key = operation.__name__, array.shape, array.dtype
        if key not in self._functions:
            self._functions[key] = tf.function(functools.partial(operation), autograph=False)
        return self._functions[key](self._per_replica(array)).numpy()

    def _per_replica(self, array: np.ndarray):
        """Return a worker's array as its first replica's value; the worker's other replicas have zeros."""
        first = self.index * self.local_replicas

        def value_of(context):
            return tf.constant(array if context.replica_id_in_sync_group == first else np.zeros_like(array))

        return self.strategy.experimental_distribute_values_from_function(value_of)


class Agreement:
    """Lets workers act on what one of them has noticed, such as a signal, at the same step.

    They ask each other about once a second, whatever a step takes.

    Args:
        workers: who has to agree.
    """

    def __init__(self, workers: Workers):
        self._workers = workers
        self._asked_step = self._next_step = None
        self._asked_time = 0.0

    def any(self, step: int, *flags: bool) -> list[bool]:
        """Return for each flag whether a worker has it set; False between two questions.

        Args:
            step: the number of the next step, the same on all workers.
            flags: this worker's.
        """
        if self._workers.count == 1:
            return list(flags)
        if self._next_step is not None and step < self._next_step:
            return [False] * len(flags)
        now = time.monotonic()
        steps = step - self._asked_step if self._asked_step is not None else 0
        micros = int(1e6 * (now - self._asked_time) / steps) if steps else 0
        rows = self._workers.gather_numbers([*flags, micros])
        slowest = max(rows[:, -1])
        self._asked_step, self._asked_time = step, now
        self._next_step = step + (max(1, int(1e6 * _SECONDS_APART / slowest)) if slowest else 1)
        return [bool(told) for told in rows[:, :-1].any(axis=0)]


def batches_of_worker(strategy: tf.distribute.Strategy, data):
    """Return data as `fit` and `evaluate` take it: of several workers, each makes the images of its own replicas only.

    Args:
        strategy: of the model.
        data: a MixSizeDataset that is not sharded yet, of batches that the workers and replicas share evenly; anything
            else is returned as it is, for Keras to share out.
    """
    if not _is_shared(strategy, data):
        return data

    def read_own(context):
        own = data.shard(context.num_input_pipelines, context.input_pipeline_id)
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        return own if replicas == 1 else own.map(lambda *rows: _split(rows, replicas)).unbatch()

    return strategy.distribute_datasets_from_function(read_own)


def check_steps_given(strategy: tf.distribute.Strategy, data, **steps: int | None) -> None:
    """Raise a ValueError if several workers would go through a MixSizeDataset without end.

    Args:
        strategy: of the model.
        data: what they read.
        **steps: one number of steps, under the name of the user's argument; None if it was not given.
    """
    for argument, given in steps.items():
        if given is None and _is_shared(strategy, data):
            raise ValueError(f"{argument} must be given, because a MixSizeDataset is endless")


def _is_shared(strategy: tf.distribute.Strategy, data) -> bool:
    return isinstance(data, MixSizeDataset) and Workers(strategy).count > 1


def _split(rows, replicas: int):
    return tf.nest.map_structure(lambda x: tf.reshape(x, tf.concat([[replicas, -1], tf.shape(x)[1:]], 0)), rows)


def _attempt(function: Callable) -> tuple:
    try:
        return function(), None
    except Exception as error:  # it must reach the others, who wait
        return None, error


def _count_and_index(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or not resolver.cluster_spec():
        return 1, 0
    cluster = resolver.cluster_spec().as_dict()
    tasks = [(job, index) for job in ("chief", "worker") for index in range(len(cluster.get(job, ())))]
    return len(tasks), tasks.index((resolver.task_type, resolver.task_id))
