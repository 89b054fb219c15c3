"""Small networks for tests."""

import keras

import keras_mixsize as kms


def tiny_network(channels: int = 1, classes: int = 10, dropout: float = 0.0) -> keras.Model:
    """Return a network of two convolutions with batch norm; its stride is 2."""
    layers = keras.layers
    inputs = keras.Input((None, None, channels))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(dropout)(x)
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)), name="tiny")


def compiled(network: keras.Model, **options) -> kms.MixSizeModel:
    """Return the network as a MixSizeModel, compiled with SGD."""
    model = kms.MixSizeModel.from_model(network, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, ["accuracy"])
    return model
