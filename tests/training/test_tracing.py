"""A step is traced once per shape, and gives what the plain function gives."""

import numpy as np
import tensorflow as tf

from keras_mixsize.training.tracing import StepPerShape


def batch(count, size):
    return tf.ones([count, size, size, 1]), tf.range(count)


def doubled(data):
    images, labels = data
    return {"sum": 2 * tf.reduce_sum(images), "labels": tf.reduce_sum(labels)}


def test_each_shape_is_traced_once_and_stays_static():
    shapes = []

    def step(data):
        shapes.append(tuple(data[0].shape))
        return doubled(data)

    traced = StepPerShape(step, tf.distribute.get_strategy(), jit_compile=None)
    for _ in range(3):
        for count, size in [(4, 8), (2, 16), (1, 24)]:
            assert float(traced(batch(count, size))["sum"]) == 2 * count * size**2
    assert shapes == [(4, 8, 8, 1), (2, 16, 16, 1), (1, 24, 24, 1)] and traced.trace_count == 3


def test_tensorflow_does_not_warn_of_retracing(caplog):
    traced = StepPerShape(doubled, tf.distribute.get_strategy(), jit_compile=None)
    for size in range(1, 12):
        traced(batch(1, size))
    assert traced.trace_count == 11 and "retracing" not in caplog.text


def test_xla_is_used_when_asked_for():
    traced = StepPerShape(doubled, tf.distribute.get_strategy(), jit_compile=True)
    data = batch(2, 4)
    np.testing.assert_allclose(traced(data)["sum"], doubled(data)["sum"])
    assert traced.function_for(data).get_concrete_function(data).function_def.attr["_XlaMustCompile"].b
