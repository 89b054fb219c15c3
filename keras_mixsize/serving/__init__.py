"""Serving: exports answer.

`served_model` loads an export and needs TensorFlow and NumPy only, so that the file can be copied to a server alone.
`server` answers over HTTP and gRPC with KServe, which is not among this package's requirements: `v1` and `v2` read and
write its protocols, `page` is what a browser gets. The names are found on first use, because the server reads large
requests in processes without TensorFlow.

    from keras_mixsize.serving import load

    served = load("exported")
    served.predict(images, size=24)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_mixsize.serving.served_model import FORMAT as FORMAT
    from keras_mixsize.serving.served_model import FORMAT_VERSION as FORMAT_VERSION
    from keras_mixsize.serving.served_model import MANIFEST as MANIFEST
    from keras_mixsize.serving.served_model import Prediction as Prediction
    from keras_mixsize.serving.served_model import ServedModel as ServedModel
    from keras_mixsize.serving.served_model import load as load

__all__ = ["FORMAT", "FORMAT_VERSION", "MANIFEST", "Prediction", "ServedModel", "load"]


if not TYPE_CHECKING:

    def __getattr__(name: str):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.served_model"), name)
        globals()[name] = value
        return value
