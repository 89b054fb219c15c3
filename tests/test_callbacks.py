"""The callbacks have one place, whatever room makes them."""

import keras

import keras_mixsize as kms


def test_every_callback_is_one_of_keras_and_documented():
    assert kms.callbacks.__all__ == ["Resume", "ValidateSizes"]
    for name in kms.callbacks.__all__:
        callback = getattr(kms.callbacks, name)
        assert issubclass(callback, keras.callbacks.Callback) and callback.__doc__
