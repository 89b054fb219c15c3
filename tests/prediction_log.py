"""TensorFlow Serving's PredictionLog messages, read by the field numbers of its proto files."""

import tensorflow as tf


def fields(message):
    """Return the length-delimited fields of a protocol buffer, [(number, bytes)]."""
    found, place = [], 0
    while place < len(message):
        key, place = varint(message, place)
        length, place = varint(message, place)
        assert key & 7 == 2
        found.append((key >> 3, message[place : place + length]))
        place += length
    return found


def varint(message, place):
    value, shift = 0, 0
    while True:
        byte = message[place]
        value, shift, place = value | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:
            return value, place


def parse(record):
    """Return (signature, inputs) of a PredictionLog, by the field numbers of TensorFlow Serving's proto files."""
    ((predict_log, content),) = fields(record)
    ((request, content),) = fields(content)
    assert (predict_log, request) == (6, 1)
    (spec, *inputs) = fields(content)
    values = {}
    for _, entry in inputs:
        (_, name), (_, tensor) = fields(entry)
        proto = tf.make_tensor_proto(0)
        proto.ParseFromString(tensor)
        values[name.decode()] = tf.make_ndarray(proto)
    return dict(fields(spec[1]))[3].decode(), values
