"""Serving: exports answer.

`served_model` loads an export and needs TensorFlow and NumPy only, so that the file can be copied to a server alone.
`server` answers over HTTP with KServe, which is not among this package's requirements: `protocols` reads and writes
its forms, `page` is what a browser gets.

    served = load("exported")
    served.predict(images, size=24)
"""

from keras_mixsize.serving.served_model import FORMAT, FORMAT_VERSION, MANIFEST, Prediction, ServedModel, load

__all__ = ["FORMAT", "FORMAT_VERSION", "MANIFEST", "Prediction", "ServedModel", "load"]
