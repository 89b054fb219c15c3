"""What one training step does across replicas: sum gradients once, and take an update on all of them or on none.

Called inside the step, in a replica's context or without any strategy; used by `training`.

    gradients = sum_over_replicas(gradients)
    run_either(finite, update, restore, gradients)
    run_and_select(finite, update, variables, before)      # the same, for XLA
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_mixsize.distribution.workers import Workers
from keras_mixsize.internals import call_on_replicas


def sum_over_replicas(gradients: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """Return the gradients summed over all replicas: the step's one all-reduce, or one for each dtype among them."""
    context, summed = tf.distribute.get_replica_context(), list(gradients)
    present = [index for index, gradient in enumerate(gradients) if gradient is not None]
    for dtype in dict.fromkeys(gradients[index].dtype for index in present):  # TensorFlow joins what is summed at once
        alike = [index for index in present if gradients[index].dtype == dtype]
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [gradients[index] for index in alike])
        for index, total in zip(alike, sums, strict=True):
            summed[index] = total
    return summed


def run_either(condition: tf.Tensor, function: Callable, otherwise: Callable, *args) -> None:
    """Call `function(*args)` if the condition holds, else `otherwise(*args)`, in any kind of replica context.

    Both update variables. A replica must not wait for the others inside a branch, so the branch is taken where all
    replicas meet.
    """

    def branch(taken, call):
        tf.cond(taken, lambda: (call(function), True)[1], lambda: (call(otherwise), False)[1])

    def meet(strategy, condition, *args):
        first = strategy.experimental_local_results(condition)[0]
        branch(first, lambda chosen: call_on_replicas(strategy, chosen, args))

    if tf.distribute.has_strategy():
        tf.distribute.get_replica_context().merge_call(meet, args=(condition, *args))
    else:
        branch(condition, lambda chosen: chosen(*args))


def run_and_select(condition: tf.Tensor, function: Callable, variables: Sequence, before: Sequence) -> None:
    """Call `function()`, then give the variables their values of before back unless the condition holds.

    XLA can fuse the choice into the update; into a branch it cannot look.

    Args:
        condition: bool scalar.
        function: updates no other variables.
        variables: Keras variables.
        before: a tensor for each.
    """
    function()
    for variable, value in zip(variables, before, strict=True):
        variable.assign(tf.where(condition, tf.convert_to_tensor(variable), value))


def read_copies(strategy: tf.distribute.Strategy, variables: Sequence) -> list[list]:
    """Return the copy of each variable that every replica of this worker has, as arrays.

    Keras mirrors variables but lets each replica update its own batch-norm statistics and metrics, so copies may
    differ.
    """
    locally = strategy.experimental_local_results
    return [[copy.numpy() for copy in locally(variable.value)] for variable in variables]


def gather_copies(workers: Workers, variables: Sequence) -> list[list]:
    """Return what `read_copies` does, of the replicas of all workers where workers differ; all workers meet here."""
    copies = read_copies(workers.strategy, variables)
    if workers.count == 1:
        return copies
    digests = [hashlib.blake2b(b"".join(copy.tobytes() for copy in own), digest_size=16).digest() for own in copies]
    every = workers.gather(digests)
    differ = [
        index
        for index, variable in enumerate(variables)
        if is_summed(variable) or any(other[index] != digests[index] for other in every)
    ]
    gathered = workers.gather([copies[index] for index in differ])
    for index, by_worker in zip(differ, zip(*gathered)):
        copies[index] = [copy for own in by_worker for copy in own]
    return copies


def assign_copies(workers: Workers, variables: Sequence, values: Sequence[np.ndarray]) -> None:
    """Give every replica of this worker its copy of each variable back, on any number of replicas and workers.

    Args:
        workers: of the model's strategy.
        variables: Keras variables.
        values: for each, an array `[K, ...]` of K copies. If there are other than K replicas and K is not 1, or the
            variable is summed when it is read, as metrics are, replicas get what leaves its value in all as it was.
    """
    first = workers.index * workers.local_replicas
    for variable, copies in zip(variables, values, strict=True):
        all_copies = spread(copies, workers.strategy.num_replicas_in_sync, summed=is_summed(variable))
        locals_ = workers.strategy.experimental_local_results(variable.value)
        for local, copy in zip(locals_, all_copies[first:]):
            local.assign(copy)


def is_summed(variable: keras.Variable) -> bool:
    """Return whether the variable's value is the sum of the replicas' copies."""
    on_read = variable.value.synchronization == tf.VariableSynchronization.ON_READ
    return on_read and variable.value.aggregation == tf.VariableAggregation.SUM


def spread(copies: np.ndarray, replicas: int, *, summed: bool) -> list[np.ndarray]:
    """Return copies `[K, ...]` for another number of replicas: sums and means over replicas stay as they are."""
    if len(copies) == replicas:
        return list(copies)
    if summed:
        total = copies.sum(axis=0, dtype=copies.dtype)
        return [total, *[np.zeros_like(total)] * (replicas - 1)]
    whole = len(copies) == 1 or not tf.as_dtype(copies.dtype).is_floating  # to NumPy bfloat16 is no float
    return [copies[0] if whole else copies.mean(axis=0, dtype=np.float64).astype(copies.dtype)] * replicas


def pack_copies(copies: Sequence[np.ndarray], *, summed: bool) -> np.ndarray:
    """Return a variable's copies as one array `[K, ...]`, where K is 1 if they are equal and are not to be summed."""
    equal = not summed and all(copy.tobytes() == copies[0].tobytes() for copy in copies[1:])
    return np.stack(copies[:1] if equal else copies)
