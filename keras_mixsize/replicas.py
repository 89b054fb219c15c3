"""What one training step does across replicas: sum gradients once, and skip an update on all of them or on none.

Called inside the step, in a replica's context or without any strategy; used by `training`.

    gradients = sum_over_replicas(gradients)
    run_if(finite, update, gradients)
"""

from __future__ import annotations

import keras
import tensorflow as tf


def sum_over_replicas(gradients):
    """Return the gradients summed over all replicas: the step's one all-reduce."""
    present = [gradient for gradient in gradients if gradient is not None]
    summed = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else next(summed) for gradient in gradients]


def expect_aggregated_gradients(optimizer) -> None:
    """Tell a Keras optimizer that its gradients are summed over replicas already; it would sum them once more."""
    inner = optimizer.inner_optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else optimizer
    inner._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars


def run_if(condition: tf.Tensor, function, *args) -> None:
    """Call `function(*args)`, which updates variables, if the condition holds, in any kind of replica context.

    A replica must not wait for the others inside a branch, so the branch is taken where all replicas meet.
    """

    def branch(taken, call):
        tf.cond(taken, lambda: (call(), True)[1], lambda: False)

    def meet(strategy, condition, *args):
        first = strategy.experimental_local_results(condition)[0]
        branch(first, lambda: strategy.extended.call_for_each_replica(function, args=args))

    if tf.distribute.has_strategy():
        tf.distribute.get_replica_context().merge_call(meet, args=(condition, *args))
    else:
        branch(condition, lambda: function(*args))
