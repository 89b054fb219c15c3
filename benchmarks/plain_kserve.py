"""An export behind plain KServe, for comparison: its own server and decoding, and a model of ten lines.

    .venv-serving/bin/python benchmarks/plain_kserve.py exported 8090

Takes V1 with encoded files and V2 with one array, and answers at the size nearest to the image.
"""

import base64
import sys

import kserve
import numpy as np
import tensorflow as tf


class Plain(kserve.Model):
    """The SavedModel's functions by KServe's protocols."""

    def __init__(self, path: str):
        super().__init__("mixsize")
        self._module = tf.saved_model.load(path)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        """Answer a request."""
        if isinstance(payload, dict):
            files = tf.constant([base64.b64decode(instance["b64"]) for instance in payload["instances"]])
            found = self._module.signatures["serve_bytes"](image_bytes=files)
            return {"predictions": found["probabilities"].numpy().tolist()}
        images = tf.constant(payload.inputs[0].as_numpy())
        found = self._module.signatures["serving_default_uint8"](images=images)["probabilities"].numpy()
        output = kserve.InferOutput("probabilities", list(found.shape), "FP32")
        output.set_data_from_numpy(np.asarray(found), binary_data=False)
        return kserve.InferResponse(payload.id or "0", "mixsize", [output])


if __name__ == "__main__":
    port = int(sys.argv[2])
    kserve.ModelServer(http_port=port, enable_grpc=False, access_log_format=None).start([Plain(sys.argv[1])])
